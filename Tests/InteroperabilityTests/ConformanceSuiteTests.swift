// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// libiscsi's own test program, family by family, each against the set-up in which it skips least.
    ///
    /// `make conformance` runs each against all of them. Both take set-ups and allowed skips from one file.
    @Suite("iscsi-test-cu", .needs(.iscsiTest))
    struct ConformanceSuiteTests {
        /// scripts/conformance/setups.json.
        struct Plan: Decodable {
            struct SetUp: Decodable {
                let name: String
                let unit: String
                var paths: Int?
            }

            let setups: [SetUp]
            /// The set-up of a family; the first one, of those that are not named.
            let homes: [String: String]
            /// What every set-up skips: FAMILY.TEST or FAMILY.* to words of the program's message.
            let skips: [String: String]

            func setUp(for family: String) -> SetUp? {
                guard let home = homes[family] else { return setups.first }
                return setups.first { $0.name == home }
            }

            func allowsSkip(of test: String, in family: String, saying words: String) -> Bool {
                let allowed: [String] = [skips["\(family).\(test)"], skips["\(family).*"]].compactMap { $0 }
                return allowed.contains { words.contains($0) }
            }

            static func load() throws -> Plan {
                let path = URL(fileURLWithPath: #filePath)
                    .appendingPathComponent("../../../scripts/conformance/setups.json").standardized
                return try JSONDecoder().decode(Plan.self, from: Data(contentsOf: path))
            }
        }

        /// The families of the installed version, in its order.
        static let families: [String] = {
            let list: String = (try? Program.iscsiTest.run(["--list"]))?.output ?? ""
            var found: [String] = []
            for line in list.split(separator: "\n") {
                let names: [Substring] = line.split(separator: ".")
                if names.count == 2, names[0] == "ALL" { found.append(String(names[1])) }
            }
            return found
        }()

        static let limitSeconds = 180.0

        @Test("A family passes, and skips only what it must", arguments: families)
        func passes(_ family: String) throws {
            let plan = try Plan.load()
            let setUp = try #require(plan.setUp(for: family), "setups.json has no such set-up")
            let more: [String] = (setUp.paths ?? 1) > 1 ? ["--portal", "127.0.0.1:0"] : []
            let server = try MartletServer(setUp.unit, options: more)
            let result = try Program.iscsiTest.run(
                ["--dataloss", "--allow-sanitize", "--test", "ALL.\(family)"] + urls(of: server, setUp),
                limitSeconds: Self.limitSeconds)
            #expect(result.succeeded, "\(result.summary)")
            let summary = try #require(Summary(result.output), "no summary: \(result.summary)")
            #expect(summary.ran > 0 && summary.failed == 0, "\(result.summary)")
            for skip in Self.skips(in: result.output) {
                let isAllowed = plan.allowsSkip(of: skip.test, in: family, saying: skip.words)
                #expect(isAllowed, "\(family).\(skip.test): \(skip.words)")
            }
            try server.stop()
        }

        @Test("Every family that setups.json names is there")
        func names() throws {
            let plan = try Plan.load()
            for name in plan.homes.keys { #expect(Self.families.contains(name), "\(name)") }
            for test in plan.skips.keys {
                let name = String(test.prefix { $0 != "." })
                #expect(Self.families.contains(name), "\(name)")
            }
        }

        /// The unit's URL on each portal of a server with several.
        private func urls(of server: MartletServer, _ setUp: Plan.SetUp) throws -> [String] {
            guard (setUp.paths ?? 1) > 1 else { return ["\(server.url)"] }
            let portals = try Initiator.discover(portal: server.url.portal)[server.url.target] ?? []
            try #require(portals.count == setUp.paths)
            return portals.map { (portal: String) -> String in
                // Discovery tells the portal group tag too: ADDR:PORT,TAG.
                let address = String(portal.prefix { $0 != "," })
                return "iscsi://\(address)/\(server.url.target)/\(server.url.lun)"
            }
        }

        /// The program counts a test that it skips as passed; these are the lines that say so, with their test.
        static func skips(in output: String) -> [(test: String, words: String)] {
            var test = ""
            var found: [(test: String, words: String)] = []
            for line in output.split(separator: "\n") {
                if let start = line.range(of: "Test: ") {
                    test = String(line[start.upperBound...].prefix { $0 != " " })
                }
                if let mark = line.range(of: "[SKIPPED]") { found.append((test, String(line[mark.upperBound...]))) }
            }
            return found
        }

        /// The line `tests  Total Ran Passed Failed Inactive` of the program's closing table.
        struct Summary {
            let ran: Int
            let failed: Int

            init?(_ output: String) {
                for line in output.split(separator: "\n") {
                    let words = line.split(separator: " ")
                    guard words.first == "tests", words.count == 6, let ran = Int(words[2]), let failed = Int(words[4])
                    else { continue }
                    self.ran = ran
                    self.failed = failed
                    return
                }
                return nil
            }
        }
    }
}
