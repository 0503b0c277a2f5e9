// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// How busy a server is and where its time goes: what `martlet stats` tells.
///
/// Counts and times are those since the last reset, or since the start. Rates are those since the last call of
/// `martlet stats` (or the last reset, or the start). Times are of the commands that were sampled.
public struct StatisticsReport: Codable, Equatable, Sendable {
    /// Of so many commands one is timed, on average; 0: none.
    public var sampleInterval = 0
    /// Seconds that the counts cover.
    public var seconds = 0.0
    /// Seconds that the rates cover.
    public var rateSeconds = 0.0
    /// Timed commands that found no room in the statistics.
    public var lostSamples: UInt64 = 0
    /// All commands of the server.
    public var all = LatencyReport()
    public var luns: [LUNStatistics] = []
    /// Those that are logged in.
    public var sessions: [SessionStatistics] = []
    public var dataPath = DataPathReport()
    public var loops: [LoopStatistics] = []
    public var devices: [DeviceStatistics] = []
    /// Everything that is counted, by name.
    public var counters: [String: UInt64] = [:]

    public init() {}
}

/// Why somebody asks for statistics.
public enum StatisticsPurpose: Sendable {
    /// To look on, as metrics do: nothing changes.
    case look
    /// Rates are those since the call before.
    case call
    /// As a call; then everything begins anew.
    case reset
}

/// What a LUN or a session has done.
public struct ActivityReport: Codable, Equatable, Sendable {
    public var commands: UInt64 = 0
    /// Ended with a status other than GOOD and CONDITION MET.
    public var failedCommands: UInt64 = 0
    /// Bytes that went to initiators.
    public var readBytes: UInt64 = 0
    /// Bytes that came from initiators.
    public var writtenBytes: UInt64 = 0
    public var commandsPerSecond = 0.0
    public var readBytesPerSecond = 0.0
    public var writtenBytesPerSecond = 0.0

    public init() {}

    init(_ counters: UnitCounters, rates: UnitCounters, rateSeconds: Double) {
        commands = counters.commandCount
        failedCommands = counters.failedCommandCount
        readBytes = counters.readByteCount
        writtenBytes = counters.writtenByteCount
        guard rateSeconds > 0 else { return }
        commandsPerSecond = Double(rates.commandCount) / rateSeconds
        readBytesPerSecond = Double(rates.readByteCount) / rateSeconds
        writtenBytesPerSecond = Double(rates.writtenByteCount) / rateSeconds
    }
}

public struct LUNStatistics: Codable, Equatable, Sendable {
    public var target = ""
    public var lun = 0
    /// Nil for what most initiators find behind the number; else the device that some find there instead.
    public var device: String?
    public var activity = ActivityReport()
    public var latency = LatencyReport()

    public init() {}
}

extension LUNStatistics {
    /// The target, and the device where that is not what most find there.
    var place: String { target + (device.map { " (\($0))" } ?? "") }
}

public struct SessionStatistics: Codable, Equatable, Sendable {
    public var initiator = ""
    public var tsih: UInt16 = 0
    public var target = ""
    public var peer: String?
    public var activity = ActivityReport()
    public var latency = LatencyReport()

    public init() {}
}

/// The times of sampled commands, in nanoseconds, from the turn that received a command until its response was sent.
public struct LatencyReport: Codable, Equatable, Sendable {
    public var samples: UInt64 = 0
    public var meanNanoseconds = 0.0
    public var p50Nanoseconds: UInt64 = 0
    public var p90Nanoseconds: UInt64 = 0
    public var p99Nanoseconds: UInt64 = 0
    public var p999Nanoseconds: UInt64 = 0
    public var maxNanoseconds: UInt64 = 0
    /// In the order in which a command passes through them; without samples there are none.
    public var stages: [StageReport] = []
    /// How many samples took at most so long, for some round times.
    public var buckets: [LatencyBucket] = []

    public init() {}
}

public struct StageReport: Codable, Equatable, Sendable {
    /// `batch`, `data`, `core`, `handler`, `handBack`, `coalescing`, `sending`.
    public var stage = ""
    public var meanNanoseconds = 0.0
    public var p99Nanoseconds: UInt64 = 0
    /// Of the whole time, from 0 to 1.
    public var share = 0.0

    public init() {}
}

public struct LatencyBucket: Codable, Equatable, Sendable {
    public var upToNanoseconds: UInt64
    public var samples: UInt64

    public init(upToNanoseconds: UInt64, samples: UInt64) {
        self.upToNanoseconds = upToNanoseconds
        self.samples = samples
    }
}

/// What a command costs in system calls and turns.
public struct DataPathReport: Codable, Equatable, Sendable {
    public var receivesPerCommand = 0.0
    public var sendsPerCommand = 0.0
    /// PDUs for each call that sent.
    public var responsesPerSend = 0.0
    public var wakeUpsPerCommand = 0.0
    public var turnsPerCommand = 0.0
    public var sleepsPerCommand = 0.0
    public var bytesPerReceive = 0.0

    public init() {}

    /// `counters`: by the names of `ServerSnapshot.namedCounters`.
    init(_ counters: [String: UInt64]) {
        func ratio(_ dividend: String, _ divisor: String) -> Double {
            guard let divisor = counters[divisor], divisor > 0 else { return 0 }
            return Double(counters[dividend] ?? 0) / Double(divisor)
        }
        receivesPerCommand = ratio("receiveCalls", "commands")
        sendsPerCommand = ratio("sendCalls", "commands")
        responsesPerSend = ratio("sentPDUs", "sendCalls")
        wakeUpsPerCommand = ratio("wakeUps", "commands")
        turnsPerCommand = ratio("turns", "commands")
        sleepsPerCommand = ratio("sleeps", "commands")
        bytesPerReceive = ratio("receivedBytes", "receiveCalls")
    }
}

public struct LoopStatistics: Codable, Equatable, Sendable {
    public var loop = 0
    /// Open now.
    public var connections = 0
    public var turns: UInt64 = 0
    /// Turns that began with a wait that could block.
    public var sleeps: UInt64 = 0
    /// Turns that found nothing to do.
    public var spuriousTurns: UInt64 = 0
    /// System calls of other threads that woke the loop.
    public var wakeUps: UInt64 = 0

    public init() {}
}

/// What a device counts.
public struct DeviceStatistics: Codable, Equatable, Sendable {
    public var backstore = ""
    public var counters: [String: UInt64] = [:]

    public init() {}
}
