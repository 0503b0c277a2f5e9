// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// What is counted where one number leads some initiators to another device than others.
    @Suite("Statistics of logical units")
    struct UnitStatisticsTests {
        private static let target = AccessTests.target
        private static let alice = AccessTests.alice
        private static let bob = AccessTests.bob
        private static let lunsChanged = 0x6_3F0E

        private struct Report: Decodable {
            struct Activity: Decodable { let commands, writtenBytes: Int }
            struct Latency: Decodable { let samples: Int }
            struct Unit: Decodable {
                let lun: Int
                let device: String?
                let activity: Activity
                let latency: Latency
            }
            let luns: [Unit]
        }

        private static func configuration(bobLUNs: String) -> String {
            """
            portals: [{listen: "127.0.0.1:0"}]
            performance: {stats-sample: 1}
            devices: {d0: {backstore: ram/4M}, d1: {backstore: ram/8M}}
            targets:
              \(target):
                luns: {0: d0}
                initiators:
                  - {name: "\(alice)"}
                  - {name: "\(bob)", luns: \(bobLUNs)}

            """
        }

        /// "LUN device: commands samples", in the order of the report; "-" where most find the device.
        private func lines(_ server: AccessServer) throws -> [String] {
            let text = try server.demand(["stats", "--json"])
            return try JSONDecoder().decode(Report.self, from: Data(text.utf8)).luns.map {
                "\($0.lun) \($0.device ?? "-"): \($0.activity.commands) \($0.latency.samples)"
            }
        }

        private func session(_ server: AccessServer, _ name: String) throws -> InitiatorSession {
            try server.url.session { $0.initiatorName = name }
        }

        private func write(_ session: InitiatorSession, count: Int) throws {
            for index in 0..<UInt64(count) {
                let bytes = InitiatorSession.pattern(lba: index, blockCount: 1)
                #expect(try session.perform(.write(lba: index, bytes)).isGood)
            }
        }

        @Test("Each device behind a number is counted by itself, and a session that is led elsewhere counts there")
        func apart() throws {
            let server = try AccessServer(Self.configuration(bobLUNs: "{0: d1}"), unitCount: 1)
            let alice = try session(server, Self.alice)
            let bob = try session(server, Self.bob)
            _ = try server.demand(["stats", "--reset"])
            try write(alice, count: 3)
            try write(bob, count: 5)
            #expect(try lines(server) == ["0 -: 3 3", "0 d1: 5 5"])

            // Bob finds the device of all behind the number from now on, and is counted there.
            let same = try server.apply(Self.configuration(bobLUNs: "{0: d0, 1: d1}"))
            try #require(same.succeeded, "\(same.summary)")
            #expect(try bob.perform(.testUnitReady).senseCode != nil)
            try bob.becomeReady()
            let before = try lines(server)
            try #require(before.count == 2 && before[1].hasPrefix("1 -: 0"), "\(before)")
            _ = try server.demand(["stats", "--reset"])
            try write(bob, count: 4)
            try write(alice, count: 1)
            #expect(try lines(server) == ["0 -: 5 5", "1 -: 0 0"])
            bob.options.lun = 1
            try bob.becomeReady()
            _ = try server.demand(["stats", "--reset"])
            try write(bob, count: 2)
            #expect(try lines(server) == ["0 -: 0 0", "1 -: 2 2"])
            try server.martlet.stop()
        }

        @Test("luns and metrics have a line for each device, with labels that differ")
        func shown() throws {
            let server = try AccessServer(Self.configuration(bobLUNs: "{0: d1}"), unitCount: 1)
            try write(try session(server, Self.bob), count: 2)
            let table = try server.demand(["luns"])
            #expect(table.contains("ram/4M") && table.contains("ram/8M"), "\(table)")
            #expect(table.contains("\(Self.target) (d1)"), "\(table)")
            let selected = try server.demand(["stats", "--lun", "\(Self.target)/0"])
            #expect(selected.contains("\(Self.target) (d1)"), "\(selected)")
            try server.martlet.stop()
        }
    }
}
