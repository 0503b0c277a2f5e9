// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Testing

@Suite("Statistics for people and machines")
struct StatsPresentationTests {
    private static let latency: LatencyReport = {
        var latency = LatencyReport()
        latency.samples = 10
        latency.meanNanoseconds = 12_345
        latency.p50Nanoseconds = 999
        latency.p99Nanoseconds = 1_500_000
        latency.maxNanoseconds = 2_000_000_000
        latency.stages = ["core", "handler"].map { name in
            var stage = StageReport()
            stage.stage = name
            stage.meanNanoseconds = 6172.5
            stage.share = 0.5
            return stage
        }
        latency.buckets = [
            LatencyBucket(upToNanoseconds: 10_000, samples: 4), LatencyBucket(upToNanoseconds: 20_000, samples: 9),
        ]
        return latency
    }()

    private static let report: StatisticsReport = {
        var report = StatisticsReport()
        report.sampleInterval = 64
        report.seconds = 12.34
        report.rateSeconds = 200
        report.all = latency
        for (target, lun) in [("iqn.2026-11.org.example:a", 0), ("iqn.2026-11.org.example:a", 7)] {
            var unit = LUNStatistics()
            unit.target = target
            unit.lun = lun
            unit.activity.commands = 41
            if lun == 0 { unit.latency = latency }
            report.luns.append(unit)
        }
        for tsih in [1, 2] as [UInt16] {
            var session = SessionStatistics()
            session.initiator = tsih == 1 ? "iqn.1993-08.org.debian:evil\n\u{1B}[2J" : "iqn.1993-08.org.debian:2"
            session.tsih = tsih
            session.target = "iqn.2026-11.org.example:a"
            report.sessions.append(session)
        }
        report.loops = [LoopStatistics()]
        report.counters = ["commands": 41]
        return report
    }()

    // MARK: The table

    @Test(
        "Times are in the unit that suits, with three digits",
        arguments: [
            "12.3 µs", "999 ns", "1.50 ms", "2.00 s", "6.17 µs", "50 %", "iqn.2026-11.org.example:a", "handler",
        ])
    func table(word: String) {
        #expect(Self.report.table().contains(word), "\(Self.report.table())")
    }

    @Test("A LUN without samples has no times, and a peer's words cannot leave their cell")
    func careful() {
        let lines = Self.report.table().split(separator: "\n")
        let unit = lines.first { $0.hasPrefix("7 ") }
        #expect(unit?.contains(" - ") == true)
        #expect(lines.contains { $0.contains("evil [2J") })
        #expect(!Self.report.table().contains("\u{1B}"))
    }

    @Test(
        "The heading says how many commands are timed",
        arguments: [(0, "No command is timed"), (1, "Every command is timed: 10 were."), (64, "One of 64 commands")])
    func heading(interval: Int, words: String) {
        var report = Self.report
        report.sampleInterval = interval
        #expect(report.table().contains(words))
        #expect(!report.table().contains("lost"))
        report.lostSamples = 3
        #expect(report.table().contains("and 3 were lost.") == (interval > 0))
    }

    @Test("An empty report is a table too")
    func empty() {
        #expect(StatisticsReport().table().hasPrefix("Counts and times of 0 s"))
    }

    // MARK: The selection

    @Test("Without a wish there is everything; a LUN or a session is told alone")
    func selection() throws {
        let all = try StatisticsSelection(lun: nil, session: nil).apply(to: Self.report)
        #expect(all == Self.report)
        let unit = try StatisticsSelection(lun: "iqn.2026-11.org.example:a/7", session: nil).apply(to: Self.report)
        #expect(unit.luns.map(\.lun) == [7])
        #expect(unit.sessions.isEmpty)
        for text in ["2", "iqn.1993-08.org.debian:2"] {
            let session = try StatisticsSelection(lun: nil, session: text).apply(to: Self.report)
            #expect(session.sessions.map(\.tsih) == [2])
            #expect(session.luns.isEmpty)
        }
    }

    @Test(
        "What is no LUN is a usage error that says how one is written",
        arguments: ["", "/", "/0", "a/", "a/x", "a/-1", "a/16384", "0"])
    func noLUN(text: String) {
        #expect(
            throws: Failure.usage(
                "--lun \"\(text)\" is no LUN: write TARGET/LUN, such as iqn.2026-11.org.martlet:default/0")
        ) { try StatisticsSelection(lun: text, session: nil) }
    }

    @Test("An empty session is a usage error; a LUN or a session that is not there is a failure that names it")
    func absent() throws {
        let failure = #expect(throws: Failure.self) { try StatisticsSelection(lun: nil, session: "") }
        #expect(failure?.kind == .usage)
        let unit = try StatisticsSelection(lun: "a/0", session: nil)
        #expect(throws: Failure.runTime("the server has no LUN a/0: martlet luns lists what there is")) {
            try unit.apply(to: Self.report)
        }
        let session = try StatisticsSelection(lun: nil, session: "3")
        #expect(
            throws: Failure.runTime("the server has no session 3: martlet sessions lists those that are logged in")
        ) { try session.apply(to: Self.report) }
    }

    // MARK: Settings

    @Test(
        "The interval is a power of two or nothing, on the command line and in the file",
        arguments: [0, 1, 64, 1 << 20])
    func legalInterval(interval: Int) throws {
        var options = ServeOptions()
        options.lunSpecifications = ["ram/1M"]
        options.sampleInterval = interval
        #expect(try options.configuration().performance.sampleInterval == interval)
        let text = "performance:\n  stats-sample: \(interval)"
        #expect(try ConfigurationFile.parse(text, file: "m.yaml").performance.sampleInterval == interval)
    }

    @Test("Any other interval is refused by name", arguments: [-1, 3, 63, 1 << 21, .max, .min])
    func illegalInterval(interval: Int) {
        var options = ServeOptions()
        options.lunSpecifications = ["ram/1M"]
        options.sampleInterval = interval
        let words = "write 0, or a power of two up to 1048576"
        #expect(throws: Failure.usage("--stats-sample \(interval) is not possible: \(words)")) {
            try options.configuration()
        }
        #expect(throws: Failure.usage("m.yaml:2: stats-sample cannot be \"\(interval)\": \(words)")) {
            try ConfigurationFile.parse("performance:\n  stats-sample: \(interval)", file: "m.yaml")
        }
    }

    // MARK: OpenMetrics

    @Test(
        "Latencies are a histogram and stages a summary, in seconds, by LUN",
        arguments: [
            "# TYPE martlet_lun_latency_seconds histogram", "# UNIT martlet_lun_latency_seconds seconds",
            #"martlet_lun_latency_seconds_bucket{target="iqn.2026-11.org.example:a",lun="0",le="1e-05"} 4"#,
            #"martlet_lun_latency_seconds_bucket{target="iqn.2026-11.org.example:a",lun="0",le="2e-05"} 9"#,
            #"martlet_lun_latency_seconds_bucket{target="iqn.2026-11.org.example:a",lun="0",le="+Inf"} 10"#,
            #"martlet_lun_latency_seconds_count{target="iqn.2026-11.org.example:a",lun="0"} 10"#,
            #"martlet_lun_latency_seconds_sum{target="iqn.2026-11.org.example:a",lun="0"} 0.00012345"#,
            "# TYPE martlet_lun_stage_seconds summary",
            #"martlet_lun_stage_seconds_count{target="iqn.2026-11.org.example:a",lun="0",stage="handler"} 10"#,
            #"martlet_loop_turns_total{loop="0"} 0"#, "martlet_sample_interval 64",
        ])
    func metrics(line: String) {
        let lines = OpenMetrics.text(ServerReport(), Self.report).split(separator: "\n")
        #expect(lines.contains(Substring(line)), "\(lines.joined(separator: "\n"))")
    }

    @Test("No session is a label: there may be any number of them")
    func bounded() {
        let text = OpenMetrics.text(ServerReport(), Self.report)
        #expect(!text.contains("debian"))
        #expect(!text.contains(#"lun="7""#))
        #expect(text.hasSuffix("# EOF\n"))
    }
}
