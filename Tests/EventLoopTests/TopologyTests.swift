// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Foundation
import Testing

/// Machines made of files, as sysfs would show them.
final class FakeSystem {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID())").path

    /// `nodes`: processors and kilobytes by number; nil leaves a file out.
    init(online: String?, processorsOnline: String? = nil, nodes: [Int: (list: String?, kilobytes: String?)] = [:])
        throws
    {
        try FileManager.default.createDirectory(atPath: root + "/cpu", withIntermediateDirectories: true)
        if let processorsOnline { try write(processorsOnline + "\n", to: "cpu/online") }
        guard let online else { return }
        try FileManager.default.createDirectory(atPath: root + "/node", withIntermediateDirectories: true)
        try write(online + "\n", to: "node/online")
        for (number, node) in nodes {
            try FileManager.default.createDirectory(
                atPath: root + "/node/node\(number)", withIntermediateDirectories: true)
            if let list = node.list { try write(list + "\n", to: "node/node\(number)/cpulist") }
            guard let kilobytes = node.kilobytes else { continue }
            try write(
                "Node \(number) MemTotal:       \(kilobytes) kB\nNode \(number) MemFree:  1 kB\n",
                to: "node/node\(number)/meminfo")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: "\(root)/\(path)", atomically: false, encoding: .utf8)
    }

    /// A machine of equal nodes, with processors dealt out as most firmware does it: node 0 has the first ones.
    static func even(nodes: Int, processorsEach: Int) throws -> FakeSystem {
        var contents: [Int: (list: String?, kilobytes: String?)] = [:]
        for node in 0..<nodes {
            contents[node] = ("\(node * processorsEach)-\((node + 1) * processorsEach - 1)", "1048576")
        }
        return try FakeSystem(
            online: nodes == 1 ? "0" : "0-\(nodes - 1)", processorsOnline: "0-\(nodes * processorsEach - 1)",
            nodes: contents)
    }

    var topology: Topology { Topology.read(root: root) }
}

@Suite("Topology")
struct TopologyTests {
    @Test("every node is found with its processors and its memory", arguments: [1, 2, 4, 8])
    func nodes(count: Int) throws {
        let system = try FakeSystem.even(nodes: count, processorsEach: 4)
        let topology = system.topology
        #expect(topology.defects.isEmpty)
        #expect(
            topology.nodes
                == (0..<count).map {
                    .init(number: $0, processors: ProcessorSet($0 * 4..<$0 * 4 + 4), memoryByteCount: 1 << 30)
                })
    }

    @Test("a machine without nodes has none, and that is no defect")
    func none() throws {
        #expect(try FakeSystem(online: nil, processorsOnline: "0-3").topology == Topology(nodes: []))
        #expect(Topology.read(root: "/nowhere/at/all") == Topology(nodes: []))
    }

    @Test("holes between nodes, nodes of memory alone, and processors in pieces are taken as they are")
    func oddNodes() throws {
        let system = try FakeSystem(
            online: "0,3-4", processorsOnline: "0-15",
            nodes: [0: ("0-3,8-11", "2097152"), 3: ("4-7,12,14", "0"), 4: ("", "4194304")])
        let topology = system.topology
        #expect(topology.defects.isEmpty)
        #expect(topology.nodes.map(\.number) == [0, 3, 4])
        #expect(topology.nodes.map(\.processors.description) == ["0-3,8-11", "4-7,12,14", ""])
        #expect(topology.nodes.map(\.memoryByteCount) == [2 << 30, 0, 4 << 30])
    }

    @Test("processors that are offline count for nothing")
    func offline() throws {
        let system = try FakeSystem(
            online: "0-1", processorsOnline: "0-1,4", nodes: [0: ("0-3", "1"), 1: ("4-7", "1")])
        #expect(system.topology.nodes.map(\.processors.description) == ["0-1", "4"])
    }

    @Test("a processor is on the first node that names it")
    func twice() throws {
        let system = try FakeSystem(
            online: "0-1", processorsOnline: "0-3", nodes: [0: ("0-2", "1"), 1: ("2-3", "1")])
        #expect(system.topology.nodes.map(\.processors.description) == ["0-2", "3"])
    }

    @Test(
        "garbage in the list of nodes leaves one node, and says so",
        arguments: ["", "x", "0-", "-1", "3-1", "0,,1", "0 1", "99999999999999999999", "0-8192", "\u{0}\u{1}", "é"])
    func garbageNodes(text: String) throws {
        let topology = try FakeSystem(online: text, processorsOnline: "0-3", nodes: [0: ("0-3", "1")]).topology
        #expect(topology.nodes.isEmpty)
        #expect(topology.defects.count == 1)
    }

    @Test("garbage in a node's files leaves that out, and the rest stands", arguments: ["zero", "0-3-5", nil])
    func garbageProcessors(list: String?) throws {
        let topology = try FakeSystem(
            online: "0-1", processorsOnline: "0-7", nodes: [0: (list, "many"), 1: ("4-7", "1024")]
        ).topology
        #expect(topology.nodes.map(\.processors.description) == ["", "4-7"])
        #expect(topology.nodes.map(\.memoryByteCount) == [nil, 1 << 20])
        #expect(topology.defects.count == 1)
        #expect(topology.defects.first?.hasSuffix("node 0 is left out") == true)
    }

    @Test("an unreadable list of online processors leaves the nodes believed")
    func garbageOnline() throws {
        let topology = try FakeSystem(online: "0", processorsOnline: "all", nodes: [0: ("0-3", "1")]).topology
        #expect(topology.nodes.map(\.processors.description) == ["0-3"])
        #expect(topology.defects.count == 1)
    }

    @Test("this machine's own sysfs is understood")
    func thisMachine() throws {
        let topology = Topology.read()
        #expect(topology.defects.isEmpty)
        let mine = try ThreadPlacement.processors()
        #expect(!mine.isEmpty)
        let known = ProcessorSet(topology.nodes.flatMap(\.processors.numbers))
        #expect(topology.nodes.isEmpty || mine.subtracting(known).isEmpty)
    }

    @Test(
        "lists of processors are read as the kernel writes them, and written back",
        arguments: [
            ("0", [0]), ("0-3", [0, 1, 2, 3]), ("0-1,8", [0, 1, 8]), ("63-64\n", [63, 64]), ("5,3-4", [3, 4, 5]),
            ("", []), ("\n", []), ("8191", [8191]),
        ])
    func lists(text: String, numbers: [Int]) throws {
        let set = try #require(ProcessorSet(list: text))
        #expect(set.numbers == numbers)
        #expect(set.count == numbers.count)
        #expect(ProcessorSet(list: set.description) == set)
        #expect(ProcessorSet(mask: set.mask) == set)
        #expect(numbers.allSatisfy { set.contains($0) })
        #expect(!set.contains(-1) && !set.contains(8192) && !set.contains(7))
    }
}
