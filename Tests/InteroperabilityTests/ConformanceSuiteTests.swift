// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// libiscsi's own test program, family by family.
    @Suite("iscsi-test-cu", .needs(.iscsiTest))
    struct ConformanceSuiteTests {
        struct Family: CustomTestStringConvertible {
            let name: String
            /// Skips that are right for a writable, thinly provisioned unit without protection information: the words of
            /// the program's message, and why.
            var skips: [(message: String, reason: String)] = []

            var testDescription: String { name }
        }

        private static let unaligned = [
            (message: "LBPPB < 2", reason: "a physical block holds one logical block, so that nothing is unaligned")
        ]

        /// Every family that must pass, in the program's order. `docs/conformance.md` repeats the reasons.
        static let families = [
            Family(name: "CompareAndWrite", skips: unaligned), Family(name: "GetLBAStatus"), Family(name: "Inquiry"),
            Family(name: "Mandatory"), Family(name: "ModeSense6"), Family(name: "Read6"), Family(name: "Read10"),
            Family(name: "Read12"), Family(name: "Read16"), Family(name: "ReadCapacity10"),
            Family(name: "ReadCapacity16"), Family(name: "ReportSupportedOpcodes"),
            Family(
                name: "StartStopUnit",
                skips: [("Media is not removable", "a disk has no medium to eject")]),
            Family(name: "TestUnitReady"), Family(name: "Unmap"), Family(name: "Verify10"),
            Family(name: "Verify12"), Family(name: "Verify16"), Family(name: "Write10"), Family(name: "Write12"),
            Family(name: "Write16"), Family(name: "WriteSame10", skips: unaligned),
            Family(name: "WriteSame16", skips: unaligned),
            Family(name: "WriteVerify10"), Family(name: "WriteVerify12"), Family(name: "WriteVerify16"),
            Family(name: "iSCSIResiduals"), Family(name: "iSCSITMF"), Family(name: "iSCSIcmdsn"),
            Family(name: "iSCSIdatasn"), Family(name: "iSCSINop"), Family(name: "iSCSISendTargets"),
            Family(name: "ReportLUNs"),
        ]

        static let limitSeconds = 120.0

        @Test("A family passes, and skips only what it must", arguments: families)
        func passes(_ family: Family) throws {
            let list = try Program.iscsiTest.run(["--list"])
            guard list.output.split(separator: "\n").contains("ALL.\(family.name)") else {
                try Test.cancel("this version of iscsi-test-cu has no family \(family.name)")
            }
            let server = try MartletServer("ram/128M")
            let result = try Program.iscsiTest.run(
                ["--dataloss", "--normal", "--test", "ALL.\(family.name)", "\(server.url)"],
                limitSeconds: Self.limitSeconds)
            #expect(result.succeeded, "\(result.summary)")
            let summary = try #require(Summary(result.output), "no summary: \(result.summary)")
            #expect(summary.ran > 0 && summary.failed == 0, "\(result.summary)")
            for line in result.output.split(separator: "\n") where line.contains("[SKIPPED]") {
                #expect(family.skips.contains { line.contains($0.message) }, "unexplained: \(line)")
            }
            try server.stop()
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
