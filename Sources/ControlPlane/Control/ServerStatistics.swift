// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Synchronization
package import Transport

/// Makes statistics of samples and counters. An idle server does nothing here: samples wait in the loops' rings until
/// somebody asks, or until a ring is half full.
package final class ServerStatistics: Sendable {
    /// Counters at an earlier moment, to tell what came since.
    private struct Mark {
        var seconds: Double
        var units: [UnitName: UnitCounters] = [:]
        /// By number.
        var sessions: [UInt64: UnitCounters] = [:]
        var counters: [String: UInt64] = [:]
        var devices: [String: [String: UInt64]] = [:]
        var loops: [Int: LoopCounters] = [:]
    }

    private struct State {
        /// By the numbers that samples have for them.
        var units = HistogramTable<UInt32>()
        var sessions = HistogramTable<UInt64>()
        var reset: Mark
        var call: Mark
        /// Where samples come from, and the logical units that they name by number.
        var source: (@Sendable ((LatencySample) -> Void) -> Void)?
        var unitNames: @Sendable () -> [UnitName] = { [] }
    }

    private let sampleInterval: Int
    /// What is told of, in this order.
    private let units: Mutex<[SeenUnit]>
    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "martlet-statistics", qos: .utility)

    /// `now`: seconds of a monotonic clock, here and elsewhere.
    package init(sampleInterval: Int, units: [SeenUnit], now: Double) {
        self.sampleInterval = sampleInterval
        self.units = Mutex(units)
        state = Mutex(State(reset: Mark(seconds: now), call: Mark(seconds: now)))
    }

    /// The server has other logical units from now on.
    func follow(_ units: [SeenUnit]) { self.units.withLock { $0 = units } }

    /// `source` gives all samples that wait to its argument, and `unitNames` what their numbers mean.
    package func attach(
        _ source: @escaping @Sendable ((LatencySample) -> Void) -> Void,
        unitNames: @escaping @Sendable () -> [UnitName]
    ) {
        state.withLock { state in
            state.source = source
            state.unitNames = unitNames
        }
    }

    /// In a loop's thread: a ring is half full.
    package func samplesWait(now: @escaping @Sendable () -> Double) {
        queue.async { self.drain(now: now()) }
    }

    /// Takes the samples that wait.
    package func drain(now: Double) { state.withLock { drain(&$0, now: now) } }

    private func drain(_ state: inout State, now: Double) {
        guard let source = state.source else { return }
        var latest: UInt32?
        var isOurs = false
        let told = Set(units.withLock { $0.map(\.name) })
        // A number that a sample has was given before the sample was made; which may be while others are taken.
        var names = state.unitNames()
        source { sample in
            state.sessions.record(sample, sample.session, now: now)
            let number = sample.unit
            if number != latest {
                latest = number
                if number != LatencySample.noUnit, number >= names.count { names = state.unitNames() }
                isOurs = number < names.count && told.contains(names[Int(number)])
            }
            // Commands to logical units that are not there have no statistics of their own.
            state.units.record(sample, isOurs ? number : nil, now: now)
        }
    }

    // MARK: Reports

    package func report(_ input: StatisticsInput, _ purpose: StatisticsPurpose, now: Double) -> StatisticsReport {
        state.withLock { state in
            drain(&state, now: now)
            let report = report(input, state, now: now)
            state.sessions.keep(only: Set(input.sessions.map(\.number)))
            if purpose != .look { state.call = mark(input, now: now) }
            if purpose == .reset {
                state.reset = state.call
                state.units = HistogramTable()
                state.sessions = HistogramTable()
            }
            return report
        }
    }

    private func report(_ input: StatisticsInput, _ state: State, now: Double) -> StatisticsReport {
        var report = StatisticsReport()
        report.sampleInterval = sampleInterval
        report.seconds = max(0, now - state.reset.seconds)
        report.rateSeconds = max(0, now - state.call.seconds)
        report.all = state.units.total()
        report.counters = input.counters.since(state.reset.counters)
        report.lostSamples = report.counters["lostSamples"] ?? 0
        report.dataPath = DataPathReport(report.counters)
        func activity(_ now: UnitCounters, _ reset: UnitCounters?, _ call: UnitCounters?) -> ActivityReport {
            ActivityReport(now.since(reset), rates: now.since(call), rateSeconds: report.rateSeconds)
        }
        let numbers = Dictionary(state.unitNames().enumerated().map { ($1, UInt32($0)) }) { first, _ in first }
        for unit in units.withLock({ $0 }) {
            let name = unit.name
            var each = LUNStatistics()
            each.target = name.targetName
            each.lun = name.lun
            each.device = unit.isUsual ? nil : name.device
            each.activity = activity(
                input.units[name] ?? UnitCounters(), state.reset.units[name], state.call.units[name])
            each.latency = state.units.report(numbers[name] ?? LatencySample.noUnit)
            report.luns.append(each)
        }
        // What most find behind a number comes first.
        report.luns.sort { ($0.target, $0.lun, $0.device ?? "") < ($1.target, $1.lun, $1.device ?? "") }
        report.sessions = input.sessions.map { session in
            var each = session.names
            each.activity = activity(
                session.counters, state.reset.sessions[session.number], state.call.sessions[session.number])
            each.latency = state.sessions.report(session.number)
            return each
        }
        report.loops = input.loops.map { LoopStatistics($0, since: state.reset.loops[$0.loop]) }
        report.devices = input.devices.map { backstore, counters in
            var each = DeviceStatistics()
            each.backstore = backstore
            each.counters = counters.since(state.reset.devices[backstore] ?? [:])
            return each
        }
        return report
    }

    private func mark(_ input: StatisticsInput, now: Double) -> Mark {
        Mark(
            seconds: now, units: input.units,
            sessions: Dictionary(input.sessions.map { ($0.number, $0.counters) }) { first, _ in first },
            counters: input.counters,
            devices: Dictionary(input.devices.map { ($0.backstore, $0.counters) }) { first, _ in first },
            loops: Dictionary(input.loops.map { ($0.loop, $0) }) { first, _ in first })
    }
}

/// A logical unit that somebody finds behind a number of a target.
package struct SeenUnit: Sendable, Equatable {
    package let name: UnitName
    /// What most find there; otherwise it is there for some initiators alone.
    package let isUsual: Bool

    package init(_ name: UnitName, isUsual: Bool = true) {
        self.name = name
        self.isUsual = isUsual
    }
}

/// The counters of a server at one moment.
package struct StatisticsInput: Sendable {
    package struct Session: Sendable {
        package var number: UInt64
        package var names: SessionStatistics
        package var counters: UnitCounters

        package init(number: UInt64, names: SessionStatistics, counters: UnitCounters) {
            self.number = number
            self.names = names
            self.counters = counters
        }
    }

    package var units: [UnitName: UnitCounters] = [:]
    package var sessions: [Session] = []
    package var loops: [LoopCounters] = []
    package var counters: [String: UInt64] = [:]
    package var devices: [(backstore: String, counters: [String: UInt64])] = []

    package init() {}

    init(_ snapshot: ServerSnapshot) {
        units = snapshot.units
        loops = snapshot.loops
        counters = Dictionary(snapshot.namedCounters.map { ($0.name, $0.value) }) { $0 + $1 }
        sessions = snapshot.sessions.compactMap { session in
            guard let target = session.targetName else { return nil }
            var names = SessionStatistics()
            names.initiator = session.initiatorName
            names.tsih = session.tsih
            names.target = target
            names.peer = session.peer?.description
            return Session(number: session.number, names: names, counters: session.unitCounters)
        }.sorted { $0.number < $1.number }
    }
}

extension LoopStatistics {
    fileprivate init(_ now: LoopCounters, since before: LoopCounters?) {
        let before = before ?? LoopCounters()
        loop = now.loop
        connections = now.connectionCount
        turns = now.turnCount.since(before.turnCount)
        sleeps = now.sleepCount.since(before.sleepCount)
        spuriousTurns = now.spuriousTurnCount.since(before.spuriousTurnCount)
        wakeUps = now.wakeUpCount.since(before.wakeUpCount)
    }
}

extension UInt64 {
    /// What came since; a loop that did not answer in time must not look like 2^64.
    fileprivate func since(_ before: UInt64) -> UInt64 { self > before ? self - before : 0 }
}

extension UnitCounters {
    fileprivate func since(_ before: UnitCounters?) -> UnitCounters {
        guard let before else { return self }
        var difference = UnitCounters()
        difference.commandCount = commandCount.since(before.commandCount)
        difference.failedCommandCount = failedCommandCount.since(before.failedCommandCount)
        difference.readByteCount = readByteCount.since(before.readByteCount)
        difference.writtenByteCount = writtenByteCount.since(before.writtenByteCount)
        return difference
    }
}

extension [String: UInt64] {
    fileprivate func since(_ before: [String: UInt64]) -> [String: UInt64] {
        var difference = self
        for (name, value) in self { difference[name] = value.since(before[name] ?? 0) }
        return difference
    }
}
