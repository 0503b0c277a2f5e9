// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Foundation
import Synchronization
import TargetCore
import Testing
import Transport

/// A server with real threads; its machine is real, or made of files.
@Suite("Placement of a server's loops", .serialized)
struct ServerPlacementTests {
    /// What the server reports.
    private final class Report: Sendable {
        private let lines = Mutex<[String]>([])

        var diagnostics: Diagnostics {
            Diagnostics(threshold: .info) { [self] _, message in lines.withLock { $0.append(message) } }
        }

        var text: [String] { lines.withLock { $0 } }
    }

    private static func server(
        loops: Int, _ report: Report = Report(), _ change: (inout PlacementSettings) -> Void
    ) -> ISCSIServer {
        var configuration = ISCSIServerConfiguration(
            portals: [PortalAddress(host: "127.0.0.1", port: 0)], loopCount: loops)
        change(&configuration.placement)
        return ISCSIServer(configuration: configuration, targets: [], diagnostics: report.diagnostics)
    }

    /// Processors that the loops' threads may run on, by the threads' names, as the kernel tells them.
    private static func threads() throws -> [String: String] {
        var found: [String: String] = [:]
        for task in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
            guard let text = try? String(contentsOfFile: "/proc/self/task/\(task)/status", encoding: .utf8) else {
                continue
            }
            var fields: [Substring: String] = [:]
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { fields[parts[0]] = parts[1].trimmingCharacters(in: .whitespaces) }
            }
            guard let name = fields["Name"], name.hasPrefix("martlet-loop") else { continue }
            found[name] = fields["Cpus_allowed_list"]
        }
        return found
    }

    @Test("pinned loops have a processor each, in the kernel's own words, and say so")
    func pinned() throws {
        let allowed = try ThreadPlacement.processors()
        let server = Self.server(loops: 3) { $0.pinning = .yes }
        _ = try server.start()
        defer { server.stop() }
        let snapshot = server.snapshot()
        #expect(snapshot.placedLoops.map(\.loop) == [0, 1, 2])
        let threads = try Self.threads()
        for placed in snapshot.placedLoops {
            #expect(placed.place.isPinned)
            #expect(placed.processors.count == 1)
            #expect(placed.processors.subtracting(allowed).isEmpty)
            #expect(threads["martlet-loop\(placed.loop)"] == placed.processors.description)
        }
        let used = ProcessorSet(snapshot.placedLoops.flatMap(\.processors.numbers))
        #expect(used.count == min(3, allowed.count))
        #expect(snapshot.placementSummary.hasSuffix(": loops are pinned"))
    }

    @Test(
        "loops that are not placed run where the process may, whatever the nodes",
        arguments: [NUMAMode.off, .auto, .strict])
    func notPlaced(numa: NUMAMode) throws {
        let report = Report()
        let system = try FakeNodes(["0-8191"])
        let server = Self.server(loops: 1, report) {
            $0.numa = numa
            $0.systemRoot = system.root
        }
        _ = try server.start()
        defer { server.stop() }
        let snapshot = server.snapshot()
        #expect(try Self.threads()["martlet-loop0"] == ThreadPlacement.processors().description)
        #expect(snapshot.placementSummary == "one NUMA node: nothing to place")
        #expect(snapshot.placedLoops.first?.place == LoopPlacement())
        #expect(report.text == [])
    }

    @Test("what cannot be pinned to is refused, and nothing listens")
    func impossible() throws {
        let server = Self.server(loops: 1) { $0.pinning = .processors(ProcessorSet([8191])) }
        let error = #expect(throws: ServerError.self) { try server.start() }
        #expect(error?.description.hasPrefix("pin names processor 8191, which this process cannot use") == true)
        #expect(try Self.threads() == [:])
    }

    /// Two nodes that share this machine's processors; the second node's memory is not there.
    private static func twoNodes() throws -> FakeNodes? {
        let numbers = try ThreadPlacement.processors().numbers
        // The kernel must not have the second node.
        guard numbers.count > 1, Topology.read().nodes.count <= 1 else { return nil }
        return try FakeNodes([
            numbers[..<(numbers.count / 2)].map(String.init).joined(separator: ","),
            numbers[(numbers.count / 2)...].map(String.init).joined(separator: ","),
        ])
    }

    @Test("auto: loops stay on their nodes, and what the kernel refuses is told once and done without")
    func refusalIsTold() throws {
        guard let system = try Self.twoNodes() else { return }
        let report = Report()
        let server = Self.server(loops: 4, report) {
            $0.numa = .auto
            $0.systemRoot = system.root
        }
        _ = try server.start()
        defer { server.stop() }
        let snapshot = server.snapshot()
        let threads = try Self.threads()
        for (index, placed) in snapshot.placedLoops.enumerated() {
            #expect(placed.place.node == index % 2)
            #expect(threads["martlet-loop\(index)"] == system.lists[index % 2])
            // Node 1 has no memory that the kernel knows of.
            #expect(index % 2 == 0 || placed.place.memory == .anywhere)
        }
        #expect(report.text.count == 1)
        #expect(
            report.text.first?.hasPrefix("loops run without the places that were asked for: set_mempolicy: ") == true)
        #expect(snapshot.placementSummary.hasPrefix("2 NUMA nodes: loops and their memory are kept on them; refused: "))
    }

    @Test("strict: what the kernel refuses ends the start, and all threads with it")
    func refusalIsAnError() throws {
        guard let system = try Self.twoNodes() else { return }
        let server = Self.server(loops: 4) {
            $0.numa = .strict
            $0.systemRoot = system.root
        }
        let error = #expect(throws: ServerError.self) { try server.start() }
        #expect(error?.description.hasPrefix("numa: strict cannot be had: set_mempolicy: ") == true)
        #expect(error?.description.hasSuffix("; write auto to do without") == true)
        #expect(try Self.threads() == [:])
    }
}

/// The node folder of a machine, made of files: the processors of each node.
private final class FakeNodes {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID())").path
    let lists: [String]

    init(_ lists: [String]) throws {
        self.lists = lists.map { ProcessorSet(list: $0)?.description ?? $0 }
        for (number, list) in lists.enumerated() {
            let folder = "\(root)/node/node\(number)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try "\(list)\n".write(toFile: folder + "/cpulist", atomically: false, encoding: .utf8)
        }
        try "0-\(lists.count - 1)\n".write(toFile: root + "/node/online", atomically: false, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }
}
