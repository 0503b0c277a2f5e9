// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISCSI
internal import SCSI
internal import Synchronization

/// A load from its first connection to its report.
package final class LoadRun {
    /// What is going on, once a second.
    package enum Progress: Equatable, Sendable {
        /// Before and after a verified run.
        case filling(commandsPerSecond: Double)
        case checking(commandsPerSecond: Double)
        case running(seconds: Double, of: Double, commandsPerSecond: Double)
    }

    private let options: LoadOptions
    private let stop: StopSignal
    private let report: (Progress) -> Void
    private var workers: [Worker] = []
    private var area = Area(firstLBA: 0, blocksPerUnit: 1, unitCount: 1)
    private var blockByteCount = 512

    private static let progressSeconds = 1.0

    /// `progress` is called in the calling thread.
    package init(_ options: LoadOptions, stop: StopSignal, progress: @escaping (Progress) -> Void = { _ in }) {
        self.options = options
        self.stop = stop
        report = progress
    }

    package func run() throws(LoadFailure) -> LoadReport {
        try options.check()
        // Said before the load, not after it.
        if let process = options.serverProcess { _ = try ProcessCost.of(process) }
        let control = RunControl(first: options.verifies ? .fill : .run, stop: stop)
        try open(control)
        var threads: [LoopThread] = []
        defer {
            control.isStopping.store(true, ordering: .releasing)
            control.order.store(.end, ordering: .releasing)
            for thread in threads { thread.join() }
        }
        for (index, worker) in workers.enumerated() {
            do throws(SystemError) {
                threads.append(try LoopThread(name: "bench-\(index)") { worker.run() })
            } catch {
                throw .runTime("a thread cannot be started: \(error)")
            }
        }
        return try drive(control, &threads)
    }

    // MARK: Sessions

    private func open(_ control: RunControl) throws(LoadFailure) {
        let setups = try openSessions()
        var perWorker: [[Connection]] = Array(repeating: [], count: options.threadCount)
        let seeds = (0..<options.threadCount).map { SplitMix64.mix(options.seed &+ UInt64($0)) }
        let workloads = try (0..<options.threadCount).map { index throws(LoadFailure) in
            Workload(
                access: options.access, readPercent: options.readPercent ?? LoadOptions.defaultReadPercent,
                units: try units(index), seed: seeds[index], verifies: options.verifies)
        }
        let measurements = (0..<options.threadCount).map { _ in Measurement() }
        for (index, setup) in setups.enumerated() {
            let worker = index % options.threadCount
            let setting = Pipeline.Setting(
                lun: LogicalUnitNumber(options.url.lun), area: area, blockByteCount: blockByteCount,
                queueDepth: options.queueDepth, seed: options.seed, parameters: setup.parameters)
            let pipeline = Pipeline(
                setting, numbers: setup.numbers, workload: workloads[worker], measurement: measurements[worker])
            perWorker[worker].append(Connection(setup, pipeline))
        }
        workers = (0..<options.threadCount).map {
            Worker(perWorker[$0], workloads[$0], measurements[$0], control, polls: options.polls)
        }
    }

    private func openSessions() throws(LoadFailure) -> [SessionSetup] {
        var setups: [SessionSetup] = []
        for index in 0..<options.connectionCount {
            let setup = try SessionSetup(options, isid: Self.isid(index), stop: stop)
            try setup.waitUntilReady()
            if index == 0 { try lay(try setup.readCapacity()) }
            setups.append(setup)
        }
        return setups
    }

    /// A random ISID (RFC 7143 11.12.5), which tells the sessions of this host apart.
    private static func isid(_ index: Int) -> InitiatorSessionIdentifier {
        InitiatorSessionIdentifier(
            rawValue: 0x80 << 40 | UInt64(UInt32(bitPattern: getpid()) & 0xFF_FFFF) << 16 | UInt64(index))
    }

    /// Lays the area out on a LUN of this capacity.
    private func lay(_ capacity: SessionSetup.Capacity) throws(LoadFailure) {
        area = try Area.laid(
            out: options, blockCount: capacity.blockCount, blockByteCount: capacity.blockByteCount)
        blockByteCount = capacity.blockByteCount
    }

    /// What goes in order, and what is verified, is shared out among the threads; random places are everybody's.
    private func units(_ worker: Int) throws(LoadFailure) -> Range<UInt64> {
        guard options.verifies || !options.access.isRandom else { return 0..<area.unitCount }
        let share = area.share(worker, of: options.threadCount)
        guard !share.isEmpty else {
            throw .usage(
                "the area has room for \(area.unitCount) commands, fewer than --threads \(options.threadCount)")
        }
        return share
    }

    // MARK: Phases

    private func drive(_ control: RunControl, _ threads: inout [LoopThread]) throws(LoadFailure) -> LoadReport {
        if options.verifies {
            try finish(control) { .filling(commandsPerSecond: $0) }
            guard !stop.isStopped else { throw InitiatorSocket.interrupted }
            begin(.run, control)
        }
        let window = try measure(control)
        control.isStopping.store(true, ordering: .releasing)
        let isInterrupted = stop.isStopped
        try finish(control, nil)
        var isVerified = false
        if options.verifies && !isInterrupted {
            control.isStopping.store(false, ordering: .releasing)
            begin(.scan, control)
            try finish(control) { .checking(commandsPerSecond: $0) }
            isVerified = !stop.isStopped
        }
        control.order.store(.end, ordering: .releasing)
        for thread in threads { thread.join() }
        threads = []
        return summary(
            window, isVerified: isVerified, isInterrupted: isInterrupted || (options.verifies && stop.isStopped))
    }

    private func begin(_ order: RunControl.Order, _ control: RunControl) {
        control.finishedCount.store(0, ordering: .releasing)
        control.order.store(order, ordering: .releasing)
    }

    /// Waits until all workers have finished their phase. `progress` makes a line out of commands per second.
    private func finish(_ control: RunControl, _ progress: ((Double) -> Progress)?) throws(LoadFailure) {
        var ticker = Ticker(total: endedCount)
        while control.finishedCount.load(ordering: .acquiring) < workers.count {
            try check(control)
            if stop.isStopped { control.isStopping.store(true, ordering: .releasing) }
            stop.wait(until: ticker.deadline)
            if let rate = ticker.tick(endedCount), let progress { report(progress(rate)) }
        }
        try check(control)
    }

    /// What was read at both ends of the measured time.
    private struct Window {
        var beginNanoseconds: UInt64 = 0
        var endNanoseconds: UInt64 = 0
        var client = (ProcessCost(), ProcessCost())
        var server = (ProcessCost(), ProcessCost())
    }

    private func measure(_ control: RunControl) throws(LoadFailure) -> Window {
        var window = Window()
        let start = Clock.now
        var ticker = Ticker(total: endedCount)
        try wait(until: start + Self.nanoseconds(options.warmUpSeconds), since: start, control, &ticker)
        guard !stop.isStopped else { throw InitiatorSocket.interrupted }
        window.client.0 = .own()
        if let process = options.serverProcess { window.server.0 = try ProcessCost.of(process) }
        window.beginNanoseconds = Clock.now
        control.isMeasuring.store(true, ordering: .releasing)
        let end = window.beginNanoseconds + Self.nanoseconds(options.seconds)
        try wait(until: end, since: start, control, &ticker)
        control.isMeasuring.store(false, ordering: .releasing)
        window.endNanoseconds = Clock.now
        window.client.1 = .own()
        if let process = options.serverProcess { window.server.1 = try ProcessCost.of(process) }
        return window
    }

    private func wait(
        until end: UInt64, since start: UInt64, _ control: RunControl, _ ticker: inout Ticker
    ) throws(LoadFailure) {
        while Clock.now < end, !stop.isStopped {
            try check(control)
            stop.wait(until: min(end, ticker.deadline))
            if let rate = ticker.tick(endedCount) {
                report(
                    .running(
                        seconds: Double(Clock.now - start) / Clock.nanosecondsPerSecond,
                        of: options.warmUpSeconds + options.seconds, commandsPerSecond: rate))
            }
        }
    }

    private static func nanoseconds(_ seconds: Double) -> UInt64 { UInt64(seconds * Clock.nanosecondsPerSecond) }

    private var endedCount: UInt64 { workers.reduce(0) { $0 &+ $1.endedCount.load(ordering: .relaxed) } }

    /// Throws what a worker failed with. It wrote that before it said so.
    private func check(_ control: RunControl) throws(LoadFailure) {
        guard control.hasFailed.load(ordering: .acquiring) else { return }
        for worker in workers {
            if let failure = worker.failure { throw failure }
        }
    }

    /// Commands per second since it last told.
    private struct Ticker {
        private(set) var deadline = Clock.after(seconds: LoadRun.progressSeconds)
        private var total: UInt64
        private var last = Clock.now

        init(total: UInt64) { self.total = total }

        /// Nil before its time.
        mutating func tick(_ newTotal: UInt64) -> Double? {
            let now = Clock.now
            guard now >= deadline, now > last else { return nil }
            defer {
                total = newTotal
                last = now
                deadline = now + LoadRun.nanoseconds(LoadRun.progressSeconds)
            }
            return Double(newTotal &- total) * Clock.nanosecondsPerSecond / Double(now - last)
        }
    }

    private func summary(_ window: Window, isVerified: Bool, isInterrupted: Bool) -> LoadReport {
        let measurement = Measurement()
        for worker in workers { measurement.add(worker.measurement) }
        let seconds = Double(window.endNanoseconds - window.beginNanoseconds) / Clock.nanosecondsPerSecond
        func cost(_ ends: (ProcessCost, ProcessCost), countsSwitches: Bool) -> LoadReport.Cost {
            // A run without a single command has its costs all the same.
            let commands = Double(max(1, measurement.count))
            let nanoseconds = Double(ends.1.cpuNanoseconds &- ends.0.cpuNanoseconds)
            // Threads that ended took their switches with them.
            let switches = Double(Int64(bitPattern: ends.1.contextSwitches &- ends.0.contextSwitches))
            return LoadReport.Cost(
                cpuMicrosecondsPerCommand: nanoseconds / 1000 / commands,
                cpus: seconds > 0 ? nanoseconds / Clock.nanosecondsPerSecond / seconds : 0,
                contextSwitchesPerCommand: countsSwitches ? max(0, switches) / commands : nil)
        }
        return LoadReport(
            target: "\(options.url)", access: options.access.rawValue,
            readPercent: options.access.isMixed ? options.readPercent ?? LoadOptions.defaultReadPercent : nil,
            blockByteCount: options.blockByteCount, queueDepth: options.queueDepth,
            connectionCount: options.connectionCount, threadCount: options.threadCount,
            digests: options.digests.rawValue, polls: options.polls, seed: options.seed, isVerified: isVerified,
            isInterrupted: isInterrupted, seconds: seconds, readCount: measurement.readCount,
            writeCount: measurement.writeCount, latency: measurement.latency,
            client: cost(window.client, countsSwitches: false),
            server: options.serverProcess.map { _ in cost(window.server, countsSwitches: true) })
    }
}
