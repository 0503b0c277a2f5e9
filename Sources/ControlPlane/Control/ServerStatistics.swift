// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Synchronization
package import Transport

/// Makes statistics of samples and counters. An idle server does nothing here: samples wait in the loops' rings until
/// somebody asks, or until a ring is half full.
package final class ServerStatistics: Sendable {
    /// A logical unit as samples name it.
    private struct UnitNumber: Hashable {
        let target: UInt32
        let lun: UInt32
    }

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
        var units = HistogramTable<UnitNumber>()
        var sessions = HistogramTable<UInt64>()
        var reset: Mark
        var call: Mark
        /// Where samples come from.
        var source: (@Sendable ((LatencySample) -> Void) -> Void)?
    }

    private let sampleInterval: Int
    /// By their numbers in samples.
    private let units: Mutex<[UnitNumber: UnitName]>
    /// Of all targets that there ever were: a position never means another.
    private let targetNames: Mutex<[String]>
    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "martlet-statistics", qos: .utility)

    /// `targetNames`: in the order of the server's targets. `now`: seconds of a monotonic clock, here and elsewhere.
    package init(sampleInterval: Int, targetNames: [String], units: [UnitName], now: Double) {
        self.sampleInterval = sampleInterval
        self.targetNames = Mutex(targetNames)
        self.units = Mutex(Self.numbered(units, targetNames))
        state = Mutex(State(reset: Mark(seconds: now), call: Mark(seconds: now)))
    }

    /// The server has other targets and logical units from now on.
    func follow(targetNames: [String], units: [UnitName]) {
        let names = self.targetNames.withLock { names in
            for name in targetNames where !names.contains(name) { names.append(name) }
            return names
        }
        self.units.withLock { $0 = Self.numbered(units, names) }
    }

    private static func numbered(_ units: [UnitName], _ targetNames: [String]) -> [UnitNumber: UnitName] {
        let positions = Dictionary(targetNames.enumerated().map { ($1, UInt32($0)) }) { first, _ in first }
        let numbered = units.compactMap { unit in
            positions[unit.targetName].map { (UnitNumber(target: $0, lun: UInt32(unit.lun)), unit) }
        }
        return Dictionary(numbered) { first, _ in first }
    }

    /// `source` gives all samples that wait to its argument.
    package func attach(_ source: @escaping @Sendable ((LatencySample) -> Void) -> Void) {
        state.withLock { $0.source = source }
    }

    /// In a loop's thread: a ring is half full.
    package func samplesWait(now: @escaping @Sendable () -> Double) {
        queue.async { self.drain(now: now()) }
    }

    /// Takes the samples that wait.
    package func drain(now: Double) { state.withLock { drain(&$0, now: now) } }

    private func drain(_ state: inout State, now: Double) {
        guard let source = state.source else { return }
        var latest: UnitNumber?
        var isOurs = false
        let units = units.withLock { $0 }
        source { sample in
            state.sessions.record(sample, sample.session, now: now)
            let number = UnitNumber(target: sample.target, lun: sample.lun)
            if number != latest {
                latest = number
                isOurs = units[number] != nil
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
        for (number, name) in units.withLock({ $0 }) {
            var each = LUNStatistics()
            each.target = name.targetName
            each.lun = name.lun
            each.activity = activity(
                input.units[name] ?? UnitCounters(), state.reset.units[name], state.call.units[name])
            each.latency = state.units.report(number)
            report.luns.append(each)
        }
        report.luns.sort { ($0.target, $0.lun) < ($1.target, $1.lun) }
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
