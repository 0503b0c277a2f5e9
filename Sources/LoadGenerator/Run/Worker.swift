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
            for connection in connections { connection.logOut(control.stop) }
        } catch {
            failure = error
            control.hasFailed.store(true, ordering: .releasing)
            finishPhase()
        }
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
        // A run may find the command window closed for a while; the other phases end with their last unit.
        while isBusy || (workload.phase == .run && !control.isStopping.load(ordering: .acquiring)) {
            try turn()
            now = Clock.now
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

    /// Waits for the target, and works off what it sent.
    private func turn() throws(LoadFailure) {
        if polls {
            for connection in connections where try connection.receive(mayBlock: false) || workload.verifies {
                try connection.send(now: Clock.now)
            }
            for connection in connections where connection.isBlocked { try connection.send(now: Clock.now) }
        } else if connections.count == 1, !connections[0].isBlocked {
            // The receive is the wait.
            _ = try connections[0].receive(mayBlock: true)
            try connections[0].send(now: Clock.now)
        } else {
            try waitForAny()
        }
    }

    private func waitForAny() throws(LoadFailure) {
        for index in connections.indices {
            entries[index].events = Int16(connections[index].isBlocked ? POLLIN | POLLOUT : POLLIN)
        }
        // The array has an entry for each connection.
        let count = unsafe poll(&entries, nfds_t(entries.count), CInt(Self.waitMilliseconds))
        if count < 0, clinux_errno() != EINTR { throw .runTime("\(SystemError.last("poll"))") }
        for index in connections.indices {
            let isReady = count > 0 && entries[index].revents != 0
            if isReady { _ = try connections[index].receive(mayBlock: false) }
            // A verified connection may have found all units busy with another's commands, which have ended since.
            if isReady || workload.verifies { try connections[index].send(now: Clock.now) }
        }
    }
}
