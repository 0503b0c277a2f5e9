// SPDX-License-Identifier: Apache-2.0

/// What came of a load. Its JSON has these names in snake case.
package struct LoadReport: Encodable, Equatable, Sendable {
    /// In microseconds.
    package struct Latency: Encodable, Equatable, Sendable {
        package var mean: Double
        package var p50: Double
        package var p90: Double
        package var p99: Double
        package var p999: Double
        package var max: Double
    }

    /// What a process cost while was measured.
    package struct Cost: Encodable, Equatable, Sendable {
        /// User and system time.
        package var cpuMicrosecondsPerCommand: Double
        /// Processors that were busy on average.
        package var cpus: Double
        /// Voluntary and involuntary, of all threads.
        package var contextSwitchesPerCommand: Double?

        enum CodingKeys: String, CodingKey {
            case cpuMicrosecondsPerCommand = "cpu_us_per_command"
            case cpus
            case contextSwitchesPerCommand = "context_switches_per_command"
        }
    }

    package var target: String
    package var access: String
    /// Of `rw` and `randrw` only.
    package var readPercent: Int?
    package var blockByteCount: Int
    package var queueDepth: Int
    package var connectionCount: Int
    package var threadCount: Int
    package var digests: String
    package var polls: Bool
    package var seed: UInt64
    /// Every block of the area was written, and found right after the run.
    package var isVerified: Bool
    /// A signal ended the run early.
    package var isInterrupted: Bool
    /// Measured time.
    package var seconds: Double
    package var readCount: UInt64
    package var writeCount: UInt64
    package var latency: Latency
    package var client: Cost
    package var server: Cost?

    package var commandCount: UInt64 { readCount + writeCount }
    package var commandsPerSecond: Double { seconds > 0 ? Double(commandCount) / seconds : 0 }
    package var mebibytesPerSecond: Double { commandsPerSecond * Double(blockByteCount) / 1_048_576 }

    enum CodingKeys: String, CodingKey {
        case target
        case access = "rw"
        case readPercent = "mix"
        case blockByteCount = "block_size"
        case queueDepth = "queue_depth"
        case connectionCount = "connections"
        case threadCount = "threads"
        case digests
        case polls = "poll"
        case seed
        case isVerified = "verified"
        case isInterrupted = "interrupted"
        case seconds
        case commandCount = "commands"
        case readCount = "reads"
        case writeCount = "writes"
        case commandsPerSecond = "iops"
        case mebibytesPerSecond = "mib_per_s"
        case latency = "latency_us"
        case client
        case server
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(target, forKey: .target)
        try container.encode(access, forKey: .access)
        try container.encodeIfPresent(readPercent, forKey: .readPercent)
        try container.encode(blockByteCount, forKey: .blockByteCount)
        try container.encode(queueDepth, forKey: .queueDepth)
        try container.encode(connectionCount, forKey: .connectionCount)
        try container.encode(threadCount, forKey: .threadCount)
        try container.encode(digests, forKey: .digests)
        try container.encode(polls, forKey: .polls)
        try container.encode(seed, forKey: .seed)
        try container.encode(isVerified, forKey: .isVerified)
        try container.encode(isInterrupted, forKey: .isInterrupted)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(commandCount, forKey: .commandCount)
        try container.encode(readCount, forKey: .readCount)
        try container.encode(writeCount, forKey: .writeCount)
        try container.encode(commandsPerSecond, forKey: .commandsPerSecond)
        try container.encode(mebibytesPerSecond, forKey: .mebibytesPerSecond)
        try container.encode(latency, forKey: .latency)
        try container.encode(client, forKey: .client)
        try container.encodeIfPresent(server, forKey: .server)
    }
}

extension LoadReport {
    /// For people: a line of what was done, then what came of it.
    package var text: String {
        var lines = [title]
        lines.append(row("IOPS", Decimal.grouped(commandsPerSecond.rounded())))
        lines.append(row("MiB/s", Decimal.fixed(mebibytesPerSecond, digits: 1)))
        if readCount > 0, writeCount > 0 {
            lines.append(
                row(
                    "commands",
                    "\(Decimal.grouped(Double(readCount))) reads, \(Decimal.grouped(Double(writeCount))) writes")
            )
        }
        let latencies = [
            ("mean", latency.mean), ("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99),
            ("p99.9", latency.p999), ("max", latency.max),
        ]
        let words = latencies.map { "\($0) \(Decimal.fixed($1, digits: 1))" }.joined(separator: ", ")
        lines.append(row("latency, µs", words))
        lines.append(row("client CPU", Self.words(client)))
        if let server { lines.append(row("server CPU", Self.words(server))) }
        if isVerified { lines.append(row("verified", "every block of the area is as it was written")) }
        if isInterrupted { lines.append(row("interrupted", "after \(Decimal.fixed(seconds, digits: 1)) s")) }
        return lines.joined(separator: "\n") + "\n"
    }

    private var title: String {
        var parts = ["\(access) of \(ByteSize.describe(UInt64(blockByteCount)))"]
        if let readPercent { parts[0] += " (\(readPercent) % reads)" }
        parts.append("queue depth \(queueDepth)")
        parts.append(connectionCount == 1 ? "1 connection" : "\(connectionCount) connections")
        if threadCount > 1 { parts.append("\(threadCount) threads") }
        if digests != DigestChoice.none.rawValue { parts.append("digests: \(digests)") }
        if polls { parts.append("polling") }
        parts.append("\(Decimal.fixed(seconds, digits: 1)) s")
        return parts.joined(separator: ", ")
    }

    private func row(_ name: String, _ value: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 13 - name.count)) + value
    }

    private static func words(_ cost: Cost) -> String {
        var words =
            "\(Decimal.fixed(cost.cpuMicrosecondsPerCommand, digits: 2)) µs per command, "
            + "\(Decimal.fixed(cost.cpus * 100, digits: 0)) % of a processor"
        if let switches = cost.contextSwitchesPerCommand {
            words += ", \(Decimal.fixed(switches, digits: 3)) context switches per command"
        }
        return words
    }
}

/// Numbers for people, the same in every locale.
package enum Decimal {
    /// So many digits behind the point, rounded.
    package static func fixed(_ value: Double, digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
        let scale = (0..<digits).reduce(1.0) { power, _ in power * 10 }
        let scaled = UInt64((value.magnitude * scale).rounded())
        var text = String(scaled)
        if digits > 0 {
            text = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
            text.insert(".", at: text.index(text.endIndex, offsetBy: -digits))
        }
        return (value < 0 && scaled > 0 ? "-" : "") + text
    }

    /// A whole number with commas between its thousands.
    package static func grouped(_ value: Double) -> String {
        let digits = fixed(value, digits: 0)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }
}
