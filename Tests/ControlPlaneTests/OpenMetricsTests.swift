// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing

@Suite("OpenMetrics text")
struct OpenMetricsTests {
    private static let report: ServerReport = {
        var report = ServerReport()
        report.status.startTime = 1.5
        report.status.logins = 3
        report.status.traffic.receivedBytes = 1 << 40
        report.luns = [
            LUNReport(
                target: "iqn.2026-11.org.example:\"a\\b\"\n", lun: 0, blocks: 8, commands: 7, failedCommands: 1,
                readBytes: 4096, writtenBytes: 512),
            LUNReport(target: "t", lun: 16383), LUNReport(target: "t", lun: 16383, commands: 2),
        ]
        report.luns[1].health = "failed"
        report.luns[1].healthReason = "the disk is on fire"
        report.luns[2].device = "disk9"
        return report
    }()

    private let lines = OpenMetrics.text(report).split(separator: "\n", omittingEmptySubsequences: false).map(
        String.init)

    @Test("What is not well is told below the table, with its reason")
    func health() {
        let table = LUNReport.table(Self.report.luns)
        #expect(table.hasSuffix("\nt/16383: the disk is on fire\n") && table.contains("HEALTH"))
        #expect(!LUNReport.table([Self.report.luns[0]]).contains("/0:"))
    }

    @Test("It ends with the end mark, and the end mark is a whole line")
    func end() {
        #expect(lines.suffix(2) == ["# EOF", ""])
        #expect(lines.filter { $0 == "# EOF" }.count == 1)
    }

    @Test(
        "Samples carry their names, labels and values",
        arguments: [
            "martlet_build_info{version=\"\(Version.text)\"} 1", "martlet_start_time_seconds 1.5",
            "martlet_logins_total 3", "martlet_received_bytes_total 1099511627776", "martlet_sessions 0",
            #"martlet_lun_commands_total{target="iqn.2026-11.org.example:\"a\\b\"\n",lun="0"} 7"#,
            #"martlet_lun_commands_total{target="t",lun="16383"} 0"#,
            #"martlet_lun_commands_total{target="t",lun="16383",device="disk9"} 2"#,
            #"martlet_lun_health{target="iqn.2026-11.org.example:\"a\\b\"\n",lun="0"} 0"#,
            #"martlet_lun_health{target="t",lun="16383"} 2"#,
            #"martlet_lun_size_bytes{target="iqn.2026-11.org.example:\"a\\b\"\n",lun="0"} 4096"#,
            #"martlet_lun_written_bytes_total{target="iqn.2026-11.org.example:\"a\\b\"\n",lun="0"} 512"#,
        ])
    func sample(line: String) {
        #expect(lines.contains(line))
    }

    @Test(
        "Each family is described once, before its samples, with its unit; samples of other families do not interleave")
    func families() {
        var described: [String: String] = [:]
        var current = ""
        for line in lines.dropLast(2) {
            let words = line.split(separator: " ").map(String.init)
            if line.hasPrefix("# TYPE ") {
                current = words[2]
                #expect(described.updateValue(words[3], forKey: current) == nil)
            } else if line.hasPrefix("# UNIT ") {
                #expect(words[2] == current && current.hasSuffix("_\(words[3])"))
            } else if line.hasPrefix("# HELP ") {
                #expect(words[2] == current)
            } else {
                let suffix = ["counter": "_total", "info": "_info", "gauge": ""][described[current] ?? ""]
                let name = String(line.prefix { $0 != "{" && $0 != " " })
                #expect(name == current + (suffix ?? "?"))
            }
        }
        #expect(described.count > 10)
    }

    @Test("The content type names the version and the character set")
    func contentType() {
        #expect(OpenMetrics.contentType == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    }
}
