// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("TaskTags")
struct TaskTagTests {
    private func positions(of tag: UInt32, in tags: TaskTags) -> [Int] {
        var found: [Int] = []
        var next = tags.newest(of: tag)
        while let position = next {
            found.append(position)
            next = tags.older(than: position)
        }
        return found
    }

    @Test("nothing is found where nothing was entered")
    func empty() {
        var tags = TaskTags()
        #expect(tags.newest(of: 0) == nil)
        tags.remove(position: 3)
        #expect(tags.newest(of: 0) == nil)
    }

    @Test("tasks of one tag are found newest first, and those that are left when one of them goes")
    func sameTag() {
        var tags = TaskTags()
        for position in [4, 2, 7] { tags.insert(9, position: position) }
        #expect(positions(of: 9, in: tags) == [7, 2, 4])
        tags.remove(position: 2)
        #expect(positions(of: 9, in: tags) == [7, 4])
        tags.remove(position: 7)
        tags.remove(position: 7)
        #expect(positions(of: 9, in: tags) == [4])
        tags.remove(position: 4)
        #expect(positions(of: 9, in: tags) == [])
    }

    @Test("it tells what a plain list tells, whatever comes and goes", arguments: [1, 40, UInt32.max])
    func againstList(tagCount: UInt32) {
        var random = SplitMix(state: UInt64(tagCount))
        var tags = TaskTags()
        // Newest first.
        var list: [(tag: UInt32, position: Int)] = []
        var free = Array(0..<300)
        for _ in 0..<5000 {
            if !free.isEmpty, list.isEmpty || Bool.random(using: &random) {
                let position = free.remove(at: Int.random(in: 0..<free.count, using: &random))
                let tag = UInt32.random(in: 0..<tagCount, using: &random)
                tags.insert(tag, position: position)
                list.insert((tag, position), at: 0)
            } else {
                let gone = list.remove(at: Int.random(in: 0..<list.count, using: &random))
                tags.remove(position: gone.position)
                free.append(gone.position)
            }
            let tag = list.randomElement(using: &random)?.tag ?? 0
            #expect(positions(of: tag, in: tags) == list.filter { $0.tag == tag }.map(\.position))
        }
        for task in list { tags.remove(position: task.position) }
        for task in list { #expect(tags.newest(of: task.tag) == nil) }
    }
}
