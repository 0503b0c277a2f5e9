// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Ceph: an OSD that hangs or dies", .needsCeph)
    struct CephFaultTests {
        static let busy: UInt8 = 0x08

        @Test("An OSD that hangs ends commands with BUSY in time, and is used again when it goes on")
        func hangingOSD() throws {
            let image = try CephImage()
            let server = try MartletServer(
                [try image.unit(";osd_op_timeout=2"), "ram/1M"], options: ["--loops", "1"])
            let session = try WireSession(server.url)
            var options = WireSession.Options()
            options.qualifier = 2
            let neighbour = try WireSession(server.urls[1], options)
            let content = Block.contents(lba: 0, blockCount: 8, generation: 1)
            try session.write(lba: 0, content)
            let osd = try Ceph.osd()
            try stopProcess(osd)
            let start = Date()
            let commands = (0..<100).map { number in
                number % 2 == 0 ? Command.read16(lba: 0, blockCount: 8) : .write16(lba: 0, content)
            }
            let outcomes = Result {
                let tags = try commands.map { try session.submit($0) }
                // The one event loop is not held up: nothing of librbd's waits in it.
                for _ in 0..<100 { _ = try neighbour.read(lba: 0, blockCount: 1) }
                #expect(Date().timeIntervalSince(start) < 1.5 && session.outcomes(tags).allSatisfy { $0 == nil })
                return try session.collect(tags)
            }
            kill(osd, SIGCONT)
            for outcome in try outcomes.get() { #expect(outcome.status == Self.busy) }
            #expect(Date().timeIntervalSince(start) < 15)
            #expect(
                server.standardError.contains("cannot read at byte 0: the cluster did not answer in time (1 failures"))
            try Self.retryWhileBusy { try session.perform(.write16(lba: 0, content)) }
            expectEqual(try session.read(lba: 0, blockCount: 8), content)
            try server.stop()
        }

        /// Initiators repeat a command that ended with BUSY. Each attempt waits for the cluster.
        private static func retryWhileBusy(_ attempt: () throws -> Outcome) throws {
            let deadline = Date(timeIntervalSinceNow: 30)
            while true {
                let outcome = try attempt()
                if outcome.status == Outcome.good { return }
                guard outcome.status == busy, Date() < deadline else { throw HarnessError("ended with \(outcome)") }
            }
        }

        @Test("An OSD that is killed and comes back under load loses nothing, and no command fails")
        func killedOSD() throws {
            print("seed \(seed)")
            let image = try CephImage()
            let server = try MartletServer(try image.unit())
            let session = try WireSession(server.url)
            var workload = Workload(session, first: 0, blockCount: 16384, seed: seed)
            for _ in 0..<2 {
                let restart = InBackground {
                    kill(try Ceph.osd(), SIGKILL)
                    try Ceph.rig("up")
                }
                for _ in 0..<8 { try workload.step() }
                try restart.wait()
            }
            try workload.verifyAll()
            try server.stop()
        }
    }
}
