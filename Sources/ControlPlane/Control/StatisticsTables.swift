// SPDX-License-Identifier: Apache-2.0

extension StatisticsReport {
    public func table() -> String {
        var parts = [heading()]
        if !luns.isEmpty { parts.append(lunTable()) }
        if !sessions.isEmpty { parts.append(sessionTable()) }
        for each in timed { parts.append(Self.stageTable(each.name, each.latency)) }
        parts.append(dataPathTable())
        if !loops.isEmpty { parts.append(loopTable()) }
        for each in devices where !each.counters.isEmpty { parts.append(Self.deviceTable(each)) }
        return parts.joined(separator: "\n")
    }

    private func heading() -> String {
        var lines = "Counts and times of \(Self.seconds(seconds)), rates of the last \(Self.seconds(rateSeconds)).\n"
        switch sampleInterval {
        case 0: lines += "No command is timed: start the server with --stats-sample N.\n"
        case 1: lines += "Every command is timed"
        default: lines += "One of \(sampleInterval) commands is timed"
        }
        if sampleInterval > 0 {
            lines += ": \(all.samples) were" + (lostSamples > 0 ? ", and \(lostSamples) were lost.\n" : ".\n")
        }
        return lines
    }

    // MARK: LUNs and sessions

    private static let activityHeadings = [
        "COMMANDS", "FAILED", "IOPS", "READ MiB/s", "WRITTEN MiB/s", "MEAN", "P50", "P90", "P99", "P99.9", "MAX",
    ]

    private static func cells(_ activity: ActivityReport, _ latency: LatencyReport) -> [String] {
        let times =
            latency.samples == 0
            ? [String](repeating: "-", count: 6)
            : [
                duration(latency.meanNanoseconds), duration(Double(latency.p50Nanoseconds)),
                duration(Double(latency.p90Nanoseconds)), duration(Double(latency.p99Nanoseconds)),
                duration(Double(latency.p999Nanoseconds)), duration(Double(latency.maxNanoseconds)),
            ]
        return [
            "\(activity.commands)", "\(activity.failedCommands)", significant(activity.commandsPerSecond),
            significant(activity.readBytesPerSecond / 0x1p20), significant(activity.writtenBytesPerSecond / 0x1p20),
        ] + times
    }

    private func lunTable() -> String {
        var table = TextTable(headings: ["LUN"] + Self.activityHeadings + ["TARGET"])
        for each in luns { table.add(["\(each.lun)"] + Self.cells(each.activity, each.latency) + [each.place]) }
        return table.text()
    }

    private func sessionTable() -> String {
        var table = TextTable(headings: ["TSIH"] + Self.activityHeadings + ["INITIATOR"])
        for each in sessions {
            table.add(["\(each.tsih)"] + Self.cells(each.activity, each.latency) + [each.initiator])
        }
        return table.text()
    }

    // MARK: Where the time goes

    /// Sessions alone are timed apart when one was asked for; a server with one LUN tells everything once.
    private var timed: [(name: String, latency: LatencyReport)] {
        let units = luns.filter { $0.latency.samples > 0 }
        if !units.isEmpty { return units.map { ("LUN \($0.lun) of \($0.place)", $0.latency) } }
        let logged = sessions.filter { $0.latency.samples > 0 }
        return logged.map { ("session \($0.tsih) of \($0.initiator)", $0.latency) }
    }

    private static func stageTable(_ name: String, _ latency: LatencyReport) -> String {
        var table = TextTable(headings: ["STAGE", "MEAN", "SHARE", "P99", "WHAT"])
        for each in latency.stages {
            table.add([
                each.stage, duration(each.meanNanoseconds), "\(Int((each.share * 100).rounded())) %",
                duration(Double(each.p99Nanoseconds)), meanings[each.stage] ?? "",
            ])
        }
        table.add([
            "all", duration(latency.meanNanoseconds), "100 %", duration(Double(latency.p99Nanoseconds)),
            "from the turn that received it until it is sent",
        ])
        return TextTable.line("Where the time goes: \(name)") + table.text()
    }

    private static let meanings = [
        "batch": "waits for those that were received with it",
        "data": "waits for data from the initiator, or for memory",
        "core": "checks, order, response",
        "handler": "with the device",
        "handBack": "from the device's thread back to the loop",
        "coalescing": "waits to be sent with others",
        "sending": "until the kernel has it",
    ]

    // MARK: The data path

    private func dataPathTable() -> String {
        var table = TextTable(headings: ["DATA PATH", "VALUE"])
        let rows: [(String, Double)] = [
            ("receives per command", dataPath.receivesPerCommand), ("bytes per receive", dataPath.bytesPerReceive),
            ("sends per command", dataPath.sendsPerCommand), ("responses per send", dataPath.responsesPerSend),
            ("turns per command", dataPath.turnsPerCommand), ("sleeps per command", dataPath.sleepsPerCommand),
            ("wake-ups per command", dataPath.wakeUpsPerCommand),
        ]
        for row in rows { table.add([row.0, Self.significant(row.1)]) }
        for (name, value) in counters.sorted(by: { $0.key < $1.key }) { table.add([name, "\(value)"]) }
        return table.text()
    }

    private func loopTable() -> String {
        var table = TextTable(headings: ["LOOP", "CONNECTIONS", "TURNS", "SLEEPS", "SPURIOUS", "WAKE-UPS"])
        for each in loops {
            table.add([
                "\(each.loop)", "\(each.connections)", "\(each.turns)", "\(each.sleeps)", "\(each.spuriousTurns)",
                "\(each.wakeUps)",
            ])
        }
        return table.text()
    }

    private static func deviceTable(_ device: DeviceStatistics) -> String {
        var table = TextTable(headings: ["DEVICE \(device.backstore)", "VALUE"])
        for (name, value) in device.counters.sorted(by: { $0.key < $1.key }) { table.add([name, "\(value)"]) }
        return table.text()
    }

    // MARK: Numbers

    static func seconds(_ value: Double) -> String { value < 100 ? "\(significant(value)) s" : "\(Int(value)) s" }

    /// `nanoseconds` in the unit that suits.
    static func duration(_ nanoseconds: Double) -> String {
        if nanoseconds < 999.5 { return "\(Int(nanoseconds.rounded())) ns" }
        if nanoseconds < 999.5e3 { return "\(significant(nanoseconds / 1e3)) µs" }
        if nanoseconds < 999.5e6 { return "\(significant(nanoseconds / 1e6)) ms" }
        return "\(significant(nanoseconds / 1e9)) s"
    }

    /// Three digits, or all of a whole number.
    static func significant(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return "0" }
        let magnitude = abs(value)
        if magnitude >= 99.95 { return "\(Int64(value.rounded()))" }
        let places = magnitude >= 9.995 ? 1 : magnitude >= 0.9995 ? 2 : magnitude >= 0.09995 ? 3 : 4
        return fixed(value, places: places)
    }

    private static func fixed(_ value: Double, places: Int) -> String {
        let scale = [1, 10, 100, 1_000, 10_000][places]
        let scaled = Int64((abs(value) * Double(scale)).rounded())
        let fraction = "\(scaled % Int64(scale))"
        let padded = String(repeating: "0", count: places - fraction.count) + fraction
        return "\(value < 0 ? "-" : "")\(scaled / Int64(scale)).\(padded)"
    }
}
