// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Foundation
import Testing

@Suite("Placement")
struct PlacementTests {
    private static func settings(_ numa: NUMAMode, _ pinning: Pinning = .no) -> PlacementSettings {
        var settings = PlacementSettings()
        settings.numa = numa
        settings.pinning = pinning
        return settings
    }

    /// Node, processors and memory of each loop.
    private static func text(_ plan: PlacementPlan) -> [String] {
        plan.loops.map { loop in
            let memory =
                switch loop.memory {
                case .anywhere: "anywhere"
                case .preferred(let node): "preferred \(node)"
                case .bound(let node): "bound \(node)"
                }
            return "\(loop.node.map { "\($0)" } ?? "-") \(loop.processors) \(memory)"
        }
    }

    private static func plan(
        _ topology: Topology, allowed: String, loops: Int, _ settings: PlacementSettings
    ) throws -> [String] {
        let allowed = try #require(ProcessorSet(list: allowed))
        return text(
            try PlacementPlan.make(topology: topology, allowed: allowed, loopCount: loops, settings: settings))
    }

    @Test("nothing asked for, or one node: nothing is placed", arguments: [NUMAMode.off, .auto, .strict], [0, 1])
    func nothing(numa: NUMAMode, nodes: Int) throws {
        let topology = nodes == 0 ? Topology(nodes: []) : try FakeSystem.even(nodes: 1, processorsEach: 4).topology
        let plan = try Self.plan(topology, allowed: "0-3", loops: 3, Self.settings(numa))
        #expect(plan == Array(repeating: "-  anywhere", count: 3))
    }

    @Test(
        "loops are spread over the nodes, and each is kept on its node's processors and memory",
        arguments: [
            (2, 4, ["0 0-3", "1 4-7", "0 0-3", "1 4-7"]), (4, 2, ["0 0-1", "1 2-3", "2 4-5", "3 6-7"]),
            (8, 1, ["0 0", "1 1", "2 2", "3 3"]),
        ])
    func spread(nodes: Int, processorsEach: Int, places: [String]) throws {
        let topology = try FakeSystem.even(nodes: nodes, processorsEach: processorsEach).topology
        let preferred = try Self.plan(topology, allowed: "0-7", loops: 4, Self.settings(.auto))
        #expect(preferred == places.map { "\($0) preferred \($0.prefix(1))" })
        let bound = try Self.plan(topology, allowed: "0-7", loops: 4, Self.settings(.strict))
        #expect(bound == places.map { "\($0) bound \($0.prefix(1))" })
    }

    @Test("a node with more processors has more loops")
    func uneven() throws {
        let topology = Topology(nodes: [
            .init(number: 0, processors: ProcessorSet(0..<2), memoryByteCount: 1),
            .init(number: 1, processors: ProcessorSet(2..<8), memoryByteCount: 1),
        ])
        let plan = try PlacementPlan.make(
            topology: topology, allowed: ProcessorSet(0..<8), loopCount: 8, settings: Self.settings(.auto))
        #expect(plan.loops.count { $0.node == 0 } == 2)
        #expect(plan.loops.count { $0.node == 1 } == 6)
    }

    @Test("only what the process may use is used: one node is left, and nothing is to be placed")
    func allowed() throws {
        let topology = try FakeSystem.even(nodes: 2, processorsEach: 4).topology
        #expect(
            try Self.plan(topology, allowed: "1,6-7", loops: 2, Self.settings(.auto)) == [
                "1 6-7 preferred 1", "0 1 preferred 0",
            ])
        #expect(try Self.plan(topology, allowed: "4-5", loops: 1, Self.settings(.auto)) == ["-  anywhere"])
    }

    @Test("nodes of memory alone get no loop; nodes without memory get loops that take it from anywhere")
    func halfNodes() throws {
        let topology = Topology(nodes: [
            .init(number: 0, processors: ProcessorSet(0..<2), memoryByteCount: 1),
            .init(number: 2, processors: ProcessorSet(2..<4), memoryByteCount: 0),
            .init(number: 5, processors: ProcessorSet(), memoryByteCount: 1),
        ])
        #expect(
            try Self.plan(topology, allowed: "0-3", loops: 3, Self.settings(.auto)) == [
                "0 0-1 preferred 0", "2 2-3 anywhere", "0 0-1 preferred 0",
            ])
        let error = #expect(throws: PlacementError.self) {
            try Self.plan(topology, allowed: "0-3", loops: 3, Self.settings(.strict))
        }
        #expect(error?.description.hasPrefix("node 2 has processors and no memory") == true)
        // Without its processors there is one node left.
        #expect(throws: Never.self) { try Self.plan(topology, allowed: "0-1", loops: 3, Self.settings(.strict)) }
    }

    @Test("pinned loops have a processor each, and share them when there are more loops")
    func pinned() throws {
        let two = try FakeSystem.even(nodes: 2, processorsEach: 2).topology
        #expect(
            try Self.plan(two, allowed: "0-3", loops: 5, Self.settings(.off, .yes)) == [
                "0 0 anywhere", "1 2 anywhere", "0 1 anywhere", "1 3 anywhere", "0 0 anywhere",
            ])
        #expect(
            try Self.plan(two, allowed: "0-3", loops: 2, Self.settings(.auto, .yes)) == [
                "0 0 preferred 0", "1 2 preferred 1",
            ])
        #expect(
            try Self.plan(Topology(nodes: []), allowed: "0-1", loops: 3, Self.settings(.off, .yes)) == [
                "- 0 anywhere", "- 1 anywhere", "- 0 anywhere",
            ])
    }

    @Test("a list of processors is kept to, and one that cannot be had is refused")
    func list() throws {
        let two = try FakeSystem.even(nodes: 2, processorsEach: 4).topology
        func settings(_ list: String) throws -> PlacementSettings {
            Self.settings(.auto, .processors(try #require(ProcessorSet(list: list))))
        }
        #expect(
            try Self.plan(two, allowed: "0-7", loops: 3, try settings("3,5")) == [
                "0 3 preferred 0", "1 5 preferred 1", "0 3 preferred 0",
            ])
        #expect(try Self.plan(two, allowed: "0-7", loops: 2, try settings("2-3")) == ["0 2 anywhere", "0 3 anywhere"])
        for (list, missing) in [("8", "processor 8"), ("3,8-9", "processors 8-9")] {
            let settings = try settings(list)
            let error = #expect(throws: PlacementError.self) {
                try Self.plan(two, allowed: "0-7", loops: 1, settings)
            }
            #expect(error?.description == "pin names \(missing), which this process cannot use: it has 0-7")
        }
    }

    // MARK: Real threads

    @Test("a thread that is pinned is where the kernel says that it is, and its memory on its node")
    func realThread() throws {
        let before = try ThreadPlacement.processors()
        let last = try #require(before.numbers.last)
        let node = Topology.read().nodes.first { $0.processors.contains(last) }?.number
        try Self.inThread {
            try ThreadPlacement.setProcessors(ProcessorSet([last]))
            #expect(try ThreadPlacement.processors() == ProcessorSet([last]))
            #expect(Self.status("Cpus_allowed_list:") == "\(last)")
            guard let node else { return }
            try Self.expectMode(1, after: .preferred(node: node))
            try Self.expectMode(2, after: .bound(node: node))
        }
        // Nobody else has been moved.
        #expect(try ThreadPlacement.processors() == before)
    }

    @Test("what the kernel refuses is an error with its reason")
    func refused() throws {
        try Self.inThread {
            #expect(throws: SystemError(call: "sched_setaffinity", code: EINVAL)) {
                try ThreadPlacement.setProcessors(ProcessorSet())
            }
            #expect(throws: SystemError(call: "sched_setaffinity 8191", code: EINVAL)) {
                try ThreadPlacement.setProcessors(ProcessorSet([8191]))
            }
            for node in [-1, 1023, 100_000] {
                let error = #expect(throws: SystemError.self) {
                    try ThreadPlacement.setMemory(.bound(node: node))
                }
                #expect(error?.call == "set_mempolicy")
            }
        }
    }

    /// The kernel's number for the calling thread's policy once that is set.
    private static func expectMode(_ mode: CInt, after memory: LoopPlacement.Memory) throws {
        do {
            try ThreadPlacement.setMemory(memory)
        } catch {
            // Containers may forbid it.
            guard [EPERM, ENOSYS].contains(error.code) else { throw error }
            return
        }
        #expect(clinux_get_memory_policy() == mode)
    }

    /// A line of the calling thread's status.
    private static func status(_ key: String) -> String? {
        let text = try? String(contentsOfFile: "/proc/self/task/\(clinux_thread_id())/status", encoding: .utf8)
        return text?.split(separator: "\n").first { $0.hasPrefix(key) }?
            .dropFirst(key.count).trimmingCharacters(in: .whitespaces)
    }

    /// A thread of our own: what is done to it is done to nobody else.
    private static func inThread(_ body: @escaping @Sendable () throws -> Void) throws {
        let thread = try LoopThread(name: "placed") {
            do { try body() } catch { Issue.record(error) }
        }
        thread.join()
    }
}
