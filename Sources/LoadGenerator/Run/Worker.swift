// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Synchronization

/// What the main thread tells the workers, and hears of them. Read once in each turn.
final class RunControl: Sendable {
    enum Order: Int, AtomicRepresentable, Sendable {
        case fill, run, scan, end
    }

    let order: Atomic<Order>
    let isMeasuring = Atomic<Bool>(false)
    /// No new commands: those under way come to their end.
    let isStopping = Atomic<Bool>(false)
    /// Workers that have nothing more to do in this phase.
    let finishedCount = Atomic<Int>(0)
    let hasFailed = Atomic<Bool>(false)
    let stop: StopSignal

    init(first: Order, stop: StopSignal) {
        order = Atomic(first)
        self.stop = stop
    }
}

/// The connections of one thread. Made by the main thread, handed over to its own, and looked at by the main thread
/// again after that has ended: never two at a time, but for the atomics.
final class Worker: @unchecked Sendable {
    let measurement: Measurement
    private(set) var failure: LoadFailure?
    /// Commands that have ended: for the progress line.
    let endedCount = Atomic<UInt64>(0)
    private let connections: [Connection]
    private let workload: Workload
    private let control: RunControl
    private let polls: Bool
    private var entries: [pollfd]

    /// How long a wait goes on before orders and silence are looked at.
    private static let waitMilliseconds = 100

    init(
        _ connections: [Connection], _ workload: Workload, _ measurement: Measurement, _ control: RunControl,
        polls: Bool
    ) {
        self.connections = connections
        self.workload = workload
        self.measurement = measurement
        self.control = control
        self.polls = polls
        entries = connections.map { pollfd(descriptor: $0.descriptor, events: POLLIN) }
    }

    /// The thread's life: one phase after the other.
    func run() {
        if connections.count == 1, !polls { connections[0].setReceiveTimeout(milliseconds: Self.waitMilliseconds) }
        do throws(LoadFailure) {
            while let phase = nextPhase() {
                try run(phase)
                finishPhase()
            }
            logOut()
        } catch {
            failure = error
            control.hasFailed.store(true, ordering: .releasing)
            finishPhase()
        }
    }

    /// How long all targets together may take to say good-bye.
    private static let logoutLimitSeconds = 2.0

    private func logOut() {
        let deadline = Clock.after(seconds: Self.logoutLimitSeconds)
        for connection in connections { connection.sayGoodBye() }
        for connection in connections { connection.waitForGoodBye(until: deadline) }
    }

    private var lastOrder: RunControl.Order?

    /// Waits for the next order.
    private func nextPhase() -> Workload.Phase? {
        var order = control.order.load(ordering: .acquiring)
        while order == lastOrder {
            // Between phases only: nothing is measured here.
            var pause = timespec(tv_sec: 0, tv_nsec: 1_000_000)
            unsafe _ = nanosleep(&pause, nil)
            order = control.order.load(ordering: .acquiring)
        }
        lastOrder = order
        switch order {
        case .fill: return .fill
        case .run: return .run
        case .scan: return .scan
        case .end: return nil
        }
    }

    private func finishPhase() {
        measurement.isRunning = false
        endedCount.store(measurement.endedCount, ordering: .relaxed)
        control.finishedCount.add(1, ordering: .acquiringAndReleasing)
        control.stop.wake()
    }

    private var isBusy: Bool { connections.contains { $0.pipeline.outstandingCount > 0 } }

    private func run(_ phase: Workload.Phase) throws(LoadFailure) {
        workload.begin(phase)
        var now = Clock.now
        for connection in connections { try connection.send(now: now) }
        var nextCheck = now
        // The command window may be closed for a while: then there is work, and nothing under way.
        while isBusy || !workload.isDone {
            now = try turn()
            measurement.isRunning = control.isMeasuring.load(ordering: .acquiring)
            if control.isStopping.load(ordering: .acquiring) { workload.begin(.stopped) }
            endedCount.store(measurement.endedCount, ordering: .relaxed)
            if now >= nextCheck {
                nextCheck = now + UInt64(Self.waitMilliseconds) * 1_000_000
                for connection in connections { try connection.checkSilence(now: now) }
            }
        }
        workload.begin(.stopped)
    }

    /// Waits for the target, and works off what it sent. Returns the time, which is read once.
    private func turn() throws(LoadFailure) -> UInt64 {
        if polls {
            let now = Clock.now
            for connection in connections {
                let hasCome = try connection.receive(mayBlock: false) != nil
                if hasCome || connection.isBlocked || workload.verifies { try connection.send(now: now) }
            }
            return now
        }
        guard connections.count == 1, !connections[0].isBlocked else { return try waitForAny() }
        // The receive is the wait.
        let now = try connections[0].receive(mayBlock: true) ?? Clock.now
        try connections[0].send(now: now)
        return now
    }

    private func waitForAny() throws(LoadFailure) -> UInt64 {
        for index in connections.indices {
            entries[index].events = Int16(connections[index].isBlocked ? POLLIN | POLLOUT : POLLIN)
        }
        // The array has an entry for each connection.
        let count = unsafe poll(&entries, nfds_t(entries.count), CInt(Self.waitMilliseconds))
        if count < 0, clinux_errno() != EINTR { throw .runTime("\(SystemError.last("poll"))") }
        var now = Clock.now
        for index in connections.indices {
            let isReady = count > 0 && entries[index].revents != 0
            // Latencies of a long turn of many connections end when each is looked at.
            if isReady { now = try connections[index].receive(mayBlock: false) ?? now }
            // A verified connection may have found all units busy with another's commands, which have ended since.
            if isReady || workload.verifies { try connections[index].send(now: now) }
        }
        return now
    }
}
