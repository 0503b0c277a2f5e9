// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Synchronization
public import TargetCore

/// An iSCSI server: portals, loops, and the sessions on them.
public final class ISCSIServer: Sendable {
    private let state: ServerState
    /// Nil before the start.
    private let placement = Mutex<ServerPlacement?>(nil)
    private let workers = Mutex<[Worker]>([])

    /// One loop from outside.
    private final class Worker: Sendable {
        let handle: LoopHandle
        let mailbox: CompletionMailbox
        let samples: StatisticsRing
        /// Set by the loop's thread; touched in that thread only, by work sent through the handle.
        nonisolated(unsafe) var context: LoopContext?

        init(handle: LoopHandle, whenSamplesWait: @escaping @Sendable () -> Void) {
            self.handle = handle
            samples = StatisticsRing(whenHalfFull: whenSamplesWait)
            mailbox = CompletionMailbox(handle: handle)
        }

        /// Runs `body` in the loop's thread.
        func perform(_ body: @escaping @Sendable (LoopContext) -> Void) {
            handle.execute { [self] in
                if let context = unsafe context { body(context) }
            }
        }
    }

    private let threads = Mutex<[LoopThread]>([])
    /// Deals out what is spread over the loops.
    private let watchCount = Atomic<Int>(0)

    public init(configuration: ISCSIServerConfiguration, targets: [SCSITarget], diagnostics: Diagnostics) {
        state = ServerState(
            configuration: configuration, served: ServedTargets(openTargets: targets), diagnostics: diagnostics)
    }

    public init(configuration: ISCSIServerConfiguration, served: ServedTargets, diagnostics: Diagnostics) {
        state = ServerState(configuration: configuration, served: served, diagnostics: diagnostics)
    }

    /// Listens on all portals and starts the loops. Returns the portals with their real ports. All or nothing.
    public func start() throws(ServerError) -> [PortalAddress] {
        // A connection is a descriptor: takes all that the process may have.
        _ = clinux_raise_descriptor_limit()
        var bound: [PortalAddress] = []
        var descriptors: [CInt] = []
        for portal in state.configuration.portals.map(\.listen) {
            do throws(SystemError) {
                let socket = try Socket.listening(on: portal)
                bound.append(socket.localAddress ?? portal)
                descriptors.append(socket.release())
            } catch {
                for descriptor in descriptors { close(descriptor) }
                throw Self.explain(error, portal)
            }
        }
        state.setPortals(bound)
        do throws(ServerError) {
            try startLoops()
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        let all = workers.withLock { $0 }
        let deal = Dealer(workers: all.map(\.handle)) { index, descriptor, portal in
            all[index].perform { $0.adopt(descriptor, portal: portal) }
        }
        for (position, descriptor) in descriptors.enumerated() {
            all[0].perform { context in
                let listener = Listener(
                    socket: Socket(adopting: descriptor), context: context,
                    deal: { deal.deal($0, portal: PortalIndex(position)) })
                do throws(SystemError) {
                    try context.listen(listener)
                } catch {
                    context.diagnostics.report(.error, "cannot listen: \(error)")
                }
            }
        }
        return bound
    }

    /// Stops accepting, lets commands under way end, closes all sessions and joins the loops' threads.
    public func stop() {
        for worker in workers.withLock({ $0 }) {
            worker.perform { context in context.stop {} }
        }
        for thread in threads.withLock({ threads in
            defer { threads = [] }
            return threads
        }) { thread.join() }
    }

    /// Runs `body` in the thread of one of the loops, of the next one at each call.
    func performOnNextLoop(_ body: @escaping @Sendable (LoopContext) -> Void) {
        let all = workers.withLock { $0 }
        guard !all.isEmpty else { return }
        all[watchCount.add(1, ordering: .relaxed).oldValue % all.count].perform(body)
    }

    /// Runs `body` in the thread of each loop, and waits until all have.
    func performOnEveryLoop(waitingMilliseconds: UInt64, _ body: @escaping @Sendable (LoopContext) -> Void) {
        let all = workers.withLock { $0 }
        let latch = Latch(count: all.count)
        for worker in all {
            worker.perform { context in
                body(context)
                latch.countDown()
            }
        }
        latch.wait(milliseconds: waitingMilliseconds)
    }

    /// The logical units that samples name, by their numbers there.
    public var unitNames: [UnitName] { state.unitNames }

    func replaceState(by served: ServedTargets) { state.replaceServed(by: served) }

    /// Asks every loop for what it knows. Blocks for as long as a turn of the busiest loop takes.
    public func snapshot() -> ServerSnapshot {
        let answers = Mutex<[ServerSnapshot]>([])
        let all = workers.withLock { $0 }
        let latch = Latch(count: all.count)
        let placement = placement.withLock { $0 }
        for (index, worker) in all.enumerated() {
            worker.perform { context in
                var answer = context.snapshot()
                answer.loops[0].loop = index
                answer.placedLoops = [placement?.look(at: context, loop: index)].compactMap { $0 }
                answers.withLock { $0.append(answer) }
                latch.countDown()
            }
        }
        latch.wait(milliseconds: 2_000)
        var sum = ServerSnapshot()
        for answer in answers.withLock({ $0 }) { sum.add(answer) }
        sum.loops.sort { $0.loop < $1.loop }
        sum.placedLoops.sort { $0.loop < $1.loop }
        sum.placementSummary = placement?.summary ?? ""
        sum.pollerName = state.pollerName
        sum.admission = state.admission.counters
        return sum
    }

    /// Takes the times of commands that were sampled since the last call. Neither waits for the loops nor wakes them.
    public func drainSamples(_ body: (LatencySample) -> Void) {
        for worker in workers.withLock({ $0 }) { worker.samples.drain(body) }
    }

    private func startLoops() throws(ServerError) {
        let loopCount = max(1, state.configuration.loopCount)
        let placement = try ServerPlacement(
            settings: state.configuration.placement, loopCount: loopCount, diagnostics: state.diagnostics)
        self.placement.withLock { $0 = placement }
        for index in 0..<loopCount {
            do throws(SystemError) {
                let worker = Worker(
                    handle: try LoopHandle(), whenSamplesWait: state.configuration.whenSamplesWait)
                workers.withLock { $0.append(worker) }
                let state = state
                let thread = try LoopThread(name: "martlet-loop\(index)") {
                    Self.run(worker, state, place: placement.place(loop: index))
                }
                threads.withLock { $0.append(thread) }
            } catch {
                stop()
                throw ServerError("cannot start event loop \(index): \(error)")
            }
        }
        do throws(ServerError) {
            try placement.finish(state.diagnostics)
        } catch {
            stop()
            throw error
        }
    }

    private static func run(_ worker: Worker, _ state: ServerState, place: LoopPlacement) {
        do throws(SystemError) {
            let (poller, reason) = try state.configuration.poller.makePoller()
            state.notePoller(poller.name, reason)
            let loop = try EventLoop(handle: worker.handle, poller: poller, polling: state.configuration.polling)
            unsafe worker.context = LoopContext(
                loop: loop, mailbox: worker.mailbox, samples: worker.samples, place: place, server: state)
            try loop.run()
        } catch {
            state.diagnostics.report(.error, "an event loop ended: \(error)")
        }
        // What is left of the loop goes with its thread, but for what handlers may still reach.
        if let context = unsafe worker.context { EndedLoops.keep(context) }
        unsafe worker.context = nil
    }

    private static func explain(_ error: SystemError, _ portal: PortalAddress) -> ServerError {
        switch error.code {
        case EADDRINUSE:
            ServerError(
                "portal \(portal) is in use by another program: stop it, or choose another port (port 0 picks a free one)"
            )
        case EADDRNOTAVAIL:
            ServerError("portal \(portal): this machine has no such address: choose one that `ip address` shows")
        case EACCES:
            ServerError("portal \(portal): no permission for this port: choose one above 1023")
        default: ServerError("portal \(portal) cannot be opened: \(error)")
        }
    }
}

/// Deals accepted sockets out to the loops in turn. Used by the one loop that listens.
private final class Dealer: @unchecked Sendable {
    private let count: Int
    private let give: @Sendable (Int, CInt, PortalIndex) -> Void
    private var next = 0

    init(workers: [LoopHandle], give: @escaping @Sendable (Int, CInt, PortalIndex) -> Void) {
        count = workers.count
        self.give = give
    }

    func deal(_ descriptor: CInt, portal: PortalIndex) {
        give(next, descriptor, portal)
        next = (next + 1) % count
    }
}
