// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Testing

@Suite("The placement in martlet status")
struct PlacementReportTests {
    private static let status: StatusReport = {
        var status = StatusReport()
        status.placement = "2 NUMA nodes: loops and their memory are kept on them"
        var placed = LoopReport()
        placed.node = 1
        placed.processors = "4-7"
        placed.isPinned = true
        placed.memory = .preferred
        placed.leasedBufferBytes = 65_536
        placed.keptBufferBytes = 2 << 20
        var free = LoopReport()
        free.loop = 1
        free.processors = "0-7"
        status.loops = [placed, free]
        return status
    }()

    @Test("People read where each loop runs, and what memory its buffers take")
    func table() {
        let lines = Self.status.table(now: 0).split(separator: "\n").map { line in
            line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        #expect(
            lines.suffix(3) == [
                "placement 2 NUMA nodes: loops and their memory are kept on them",
                "loop 0 node 1, pinned to 4-7, memory preferred there; buffers: 64 KiB on loan, 2 MiB kept",
                "loop 1 not pinned (0-7); buffers: 0 bytes on loan, 0 bytes kept",
            ])
    }

    @Test("Machines read the same")
    func json() throws {
        let text = JSON.text(Self.status)
        let read = try JSONDecoder().decode(StatusReport.self, from: Data(text.utf8))
        #expect(read == Self.status)
        #expect(text.contains(#""processors" : "4-7""#))
    }
}
