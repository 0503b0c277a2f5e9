// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import Testing

struct MergePlannerTests {
    private typealias Request = MergePlanner.Request

    /// The groups in which `requests` are issued, as a device does it.
    private static func plan(_ requests: [MergePlanner.Request], _ limits: MergePlanner.Limits) -> [[Int]] {
        var planner = MergePlanner(limits)
        var groups: [[Int]] = []
        func takeAll() {
            while let group = planner.takeGroup() { groups.append(group.map { planner[$0].index }) }
        }
        for request in requests where !planner.add(request) {
            takeAll()
            let isTaken = planner.add(request)
            precondition(isTaken, "an empty plan takes any request")
        }
        takeAll()
        return groups
    }

    /// The same, said as simply as possible: compares each with each, and sorts with all three criteria.
    private static func simplePlan(_ requests: [MergePlanner.Request], _ limits: MergePlanner.Limits) -> [[Int]] {
        var groups: [[Int]] = []
        var part: [MergePlanner.Request] = []
        func overlap(_ one: MergePlanner.Request, _ other: MergePlanner.Request) -> Bool {
            one.byteOffset < other.byteOffset + UInt64(other.byteCount)
                && other.byteOffset < one.byteOffset + UInt64(one.byteCount)
        }
        func end() {
            let sorted = part.enumerated().sorted { left, right in
                if left.element.isWrite != right.element.isWrite { return right.element.isWrite }
                if left.element.byteOffset != right.element.byteOffset {
                    return left.element.byteOffset < right.element.byteOffset
                }
                return left.offset < right.offset
            }.map(\.element)
            var group: [MergePlanner.Request] = []
            for request in sorted {
                if let last = group.last, last.isWrite == request.isWrite,
                    last.byteOffset + UInt64(last.byteCount) == request.byteOffset, group.count < limits.elementCount,
                    group.map(\.byteCount).reduce(request.byteCount, +) <= limits.byteCount
                {
                    group.append(request)
                } else {
                    if !group.isEmpty { groups.append(group.map(\.index)) }
                    group = [request]
                }
            }
            if !group.isEmpty { groups.append(group.map(\.index)) }
            part = []
        }
        for request in requests {
            if part.count == limits.requestCount || part.contains(where: { overlap($0, request) }) { end() }
            part.append(request)
        }
        end()
        return groups
    }

    @Test("Random batches are planned as the simplest planner does it", arguments: [4, 40, 4000])
    func random(_ blockCount: UInt64) {
        let seed = SeededGenerator.freshSeed
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            let limits = MergePlanner.Limits(
                requestCount: Int.random(in: 1...40, using: &generator),
                elementCount: Int.random(in: 1...8, using: &generator),
                byteCount: Int.random(in: 1...16, using: &generator) * 512)
            // Far up the medium, too, where differences do not fit the types that they are often put in.
            let base: UInt64 = Bool.random(using: &generator) ? 0 : (1 << 63) - (blockCount + 16) * 512
            var requests: [MergePlanner.Request] = []
            for index in 0..<Int.random(in: 0...60, using: &generator) {
                let isNext = Int.random(in: 0..<3, using: &generator) > 0
                let last = requests.last
                let next = last.map { $0.byteOffset + UInt64($0.byteCount) } ?? base
                let isInside = next < base + blockCount * 512
                let block = UInt64.random(in: 0..<blockCount, using: &generator)
                requests.append(
                    Request(
                        isWrite: Int.random(in: 0..<4, using: &generator) == 0,
                        byteOffset: isNext && isInside ? next : base + block * 512,
                        byteCount: Int.random(in: 1...8, using: &generator) * 512, index: index))
            }
            let groups = Self.plan(requests, limits)
            guard groups == Self.simplePlan(requests, limits) else {
                Issue.record("seed \(seed): \(requests) with \(limits) became \(groups)")
                return
            }
            #expect(groups.flatMap { $0 }.sorted() == Array(requests.indices))
            let place = Dictionary(uniqueKeysWithValues: groups.flatMap { $0 }.enumerated().map { ($1, $0) })
            for (older, one) in requests.enumerated() {
                for (younger, other) in requests.enumerated().dropFirst(older + 1)
                where one.byteOffset < other.byteOffset + UInt64(other.byteCount)
                    && other.byteOffset < one.byteOffset + UInt64(one.byteCount)
                {
                    #expect(place[older]! < place[younger]!, "seed \(seed)")
                }
            }
        }
    }

    private static let wide = MergePlanner.Limits(requestCount: 100, elementCount: 64, byteCount: 1 << 20)

    private static func request(_ isWrite: Bool, _ block: UInt64, _ blockCount: Int, _ index: Int)
        -> MergePlanner.Request
    {
        Request(isWrite: isWrite, byteOffset: block * 512, byteCount: blockCount * 512, index: index)
    }

    @Test("Neighbours are merged in whatever order they come, and reads never with writes")
    func neighbours() {
        let requests = [
            Self.request(false, 9, 1, 0), Self.request(false, 8, 1, 1), Self.request(true, 10, 1, 2),
            Self.request(true, 11, 2, 3), Self.request(false, 7, 1, 4), Self.request(false, 20, 1, 5),
        ]
        #expect(Self.plan(requests, Self.wide) == [[4, 1, 0], [5], [2, 3]])
    }

    @Test("A request that overlaps an older one goes after it")
    func overlapping() {
        let requests = [
            Self.request(true, 4, 4, 0), Self.request(false, 7, 2, 1), Self.request(true, 0, 4, 2),
            Self.request(true, 8, 1, 3),
        ]
        // 1 overlaps 0, and 3 overlaps 1: three plans, of which the second has 1 and 2.
        #expect(Self.plan(requests, Self.wide) == [[0], [1], [2], [3]])
        // Without the read between them, the writes are one.
        #expect(Self.plan([requests[0], requests[2], requests[3]], Self.wide) == [[2, 0, 3]])
    }

    @Test("A group ends at each of its limits")
    func limits() {
        let requests = (0..<6).map { Self.request(true, UInt64($0) * 2, 2, $0) }
        let byElements = MergePlanner.Limits(requestCount: 100, elementCount: 4, byteCount: 1 << 20)
        #expect(Self.plan(requests, byElements) == [[0, 1, 2, 3], [4, 5]])
        let byBytes = MergePlanner.Limits(requestCount: 100, elementCount: 64, byteCount: 3071)
        #expect(Self.plan(requests, byBytes) == [[0, 1], [2, 3], [4, 5]])
        let tooSmall = MergePlanner.Limits(requestCount: 100, elementCount: 64, byteCount: 512)
        #expect(Self.plan(requests, tooSmall) == [[0], [1], [2], [3], [4], [5]])
        let byRequests = MergePlanner.Limits(requestCount: 4, elementCount: 64, byteCount: 1 << 20)
        #expect(Self.plan(requests, byRequests) == [[0, 1, 2, 3], [4, 5]])
    }

    @Test("Without requests there is no group")
    func empty() {
        var planner = MergePlanner(Self.wide)
        #expect(planner.isEmpty && planner.takeGroup() == nil && planner.takeGroup() == nil)
    }
}
