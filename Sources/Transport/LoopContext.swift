// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import TargetCore

/// One loop's share of the server: its buffers, its connections, and what is to be done at the end of a turn.
/// Belongs to the loop's thread.
@safe final class LoopContext: TurnWork {
    let loop: EventLoop
    let mailbox: CompletionMailbox
    let pool: BufferPool
    let place: LoopPlacement
    let server: ServerState
    let diagnostics: Diagnostics
    let latencies: LatencyRecorder

    private var connections: [ObjectIdentifier: ISCSIConnection] = [:]
    /// Those that are not logged in yet, by their tickets in the ledger.
    private var halfOpen: [UInt64: ISCSIConnection] = [:]
    /// Sessions whose connection has gone, kept until no handler holds a command of theirs.
    private var departing: [ObjectIdentifier: ISCSISession] = [:]
    /// Connections with something to send at the end of the turn.
    private var unflushed: [ISCSIConnection] = []
    private var unflushedNow: [ISCSIConnection] = []
    /// Connections that hold what has gathered, and some that did a moment ago.
    private var holding: [ISCSIConnection] = []
    /// Sessions that gave work to devices in this turn.
    private var busySessions: [ISCSISession] = []
    private var busySessionsNow: [ISCSISession] = []

    private var listeners: [Listener] = []
    /// Sessions that have become quiet in this turn, and connections that were closed in it: let go at its end, when
    /// nobody is inside them any more. Who works with one of them in a turn need not count it.
    private var departed: [ISCSISession] = []
    private var closed: [ISCSIConnection] = []
    private var spareTasks: [ISCSITask] = []
    private(set) var isStopping = false
    private var stopped: (() -> Void)?

    /// Counters of connections and sessions that have gone, and of all logical units.
    var totals = ServerSnapshot()
    private var countedUnits: [UnitName: UnsafeMutablePointer<CountedUnit>] = unsafe [:]

    init(
        loop: EventLoop, mailbox: CompletionMailbox, samples: StatisticsRing, place: LoopPlacement, server: ServerState
    ) {
        self.loop = loop
        self.place = place
        pool = BufferPool(keptCount: server.configuration.keptBufferCount, memory: place.memory)
        self.mailbox = mailbox
        self.server = server
        diagnostics = server.diagnostics
        // Each loop from a seed of its own: they pick different commands.
        latencies = LatencyRecorder(
            interval: server.configuration.sampleInterval, ring: samples, seed: loop.now)
        unflushed.reserveCapacity(64)
        unflushedNow.reserveCapacity(64)
        busySessions.reserveCapacity(64)
        busySessionsNow.reserveCapacity(64)
        loop.add(self)
    }

    deinit {
        while let unit = unsafe countedUnits.popFirst() { unsafe unit.value.deallocate() }
    }

    // MARK: A turn

    var hasPending: Bool { !mailbox.isEmpty || !unflushed.isEmpty || !busySessions.isEmpty }

    func drain() { mailbox.drain() }

    /// What these calls plan anew is for the next turn, which then comes without sleep.
    func turnEnded() {
        // Devices first: their threads start while this one sends.
        swap(&busySessions, &busySessionsNow)
        for session in busySessionsNow { session.turnEnded() }
        busySessionsNow.removeAll(keepingCapacity: true)
        swap(&unflushed, &unflushedNow)
        for connection in unflushedNow { connection.flush() }
        unflushedNow.removeAll(keepingCapacity: true)
        if !holding.isEmpty { endHolds() }
        if !departed.isEmpty { departed.removeAll() }
        if !closed.isEmpty { closed.removeAll() }
    }

    func hold(_ connection: ISCSIConnection) { holding.append(connection) }

    var deadline: UInt64 { holding.isEmpty ? .max : holding.reduce(.max) { min($0, $1.heldUntil) } }

    private func endHolds() {
        for connection in holding where connection.heldUntil <= loop.now { connection.flush() }
        holding.removeAll { $0.heldUntil == .max }
    }

    func willFlush(_ connection: ISCSIConnection) { unflushed.append(connection) }

    func willEndTurn(_ session: ISCSISession) { busySessions.append(session) }

    // MARK: Connections

    /// Takes over an accepted socket.
    func adopt(_ descriptor: CInt, portal: PortalIndex) {
        let socket = Socket(adopting: descriptor)
        guard !isStopping, let ticket = admit(socket.peerAddress) else { return }
        let connection = ISCSIConnection(socket: socket, context: self, portal: portal)
        connection.ticket = ticket
        halfOpen[ticket] = connection
        connections[ObjectIdentifier(connection)] = connection
        connection.start()
    }

    /// A copy: what is done with them may close some.
    var openConnections: [ISCSIConnection] { Array(connections.values) }

    func forget(_ connection: ISCSIConnection) {
        // The counted reference moves on: the caller may have none.
        guard let connection = connections.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        closed.append(connection)
        totals.counters.add(connection.counters)
        halfOpen[connection.ticket] = nil
        server.admission.closed(connection.ticket)
        finishStopping()
    }

    private func admit(_ peer: PortalAddress?) -> UInt64? {
        let admission = server.admission.admit(peer, now: loop.now, closer: closeHalfOpen)
        if admission.isNews {
            diagnostics.report(
                .warning,
                "connections are at a limit, with one from \(peer?.description ?? "unknown"): "
                    + (admission.ticket == nil
                        ? "it is closed"
                        : "the oldest that has not logged in, of the address with most of them, is closed"))
        }
        return admission.ticket
    }

    /// From any thread: closes a connection of this loop that is not logged in yet.
    private lazy var closeHalfOpen: AdmissionControl.Closer = {
        nonisolated(unsafe) weak let context = self
        return { [mailbox] ticket in
            mailbox.perform { unsafe context?.halfOpen[ticket]?.close(reason: Self.evictionReason) }
        }
    }()

    static let evictionReason = "its place is needed for another"

    /// The login of `connection` is done, and nobody closes it for the sake of another any more. False when that has
    /// been decided already: the message that closes it is on its way to this loop.
    @discardableResult
    func keepsPlace(_ connection: ISCSIConnection) -> Bool {
        guard server.admission.loggedIn(connection.ticket) else { return false }
        halfOpen[connection.ticket] = nil
        return true
    }

    /// A connection that comes from another loop, with its login almost done.
    func take(_ connection: ISCSIConnection) {
        connections[ObjectIdentifier(connection)] = connection
        connection.goOn()
        if isStopping { connection.close(reason: "the server stops") }
    }

    /// `connection` goes on in another loop: nothing of it is left here.
    func giveAway(_ connection: ISCSIConnection) {
        guard let connection = connections.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        closed.append(connection)
        totals.counters.add(connection.counters)
        halfOpen[connection.ticket] = nil
        finishStopping()
    }

    func keepUntilQuiet(_ session: ISCSISession) { departing[ObjectIdentifier(session)] = session }

    /// Sessions without a connection that may get one again.
    var waitingSessions: [ISCSISession] { departing.values.filter { !$0.isEnding } }

    /// The session has a connection again, which keeps it.
    func keepNoMore(_ session: ISCSISession) { departing[ObjectIdentifier(session)] = nil }

    func becameQuiet(_ session: ISCSISession) {
        if let session = departing.removeValue(forKey: ObjectIdentifier(session)) { departed.append(session) }
        finishStopping()
    }

    // MARK: Tasks

    func takeSpareTask(for session: ISCSISession, index: UInt32) -> ISCSITask {
        guard let task = spareTasks.popLast() else {
            return ISCSITask(index: index, session: session, loop: mailbox)
        }
        task.move(to: session, index: index)
        return task
    }

    /// No command of any session is under way.
    var isQuiet: Bool { departing.isEmpty && connections.isEmpty }

    var tasksOfQuietSessions: [ISCSITask] { spareTasks }

    /// The tasks of a session that is quiet.
    func keepSpare(_ tasks: [ISCSITask]) { spareTasks += tasks }

    // MARK: Listening and stopping

    func listen(_ listener: Listener) throws(SystemError) {
        try listener.start()
        listeners.append(listener)
    }

    /// Ends all sessions; `done` is called when no command of theirs is under way and all sockets are closed, or when
    /// the time for it is over.
    func stop(_ done: @escaping () -> Void) {
        isStopping = true
        stopped = done
        for listener in listeners { listener.stop() }
        listeners = []
        for connection in connections.values { connection.shutDown() }
        // Sessions that wait for a connection wait in vain.
        for session in departing.values where !session.isEnding { session.closeAll(reason: "the server stops") }
        _ = loop.schedule(afterMilliseconds: server.configuration.stopTimeoutMilliseconds) { [self] in
            guard stopped != nil else { return }
            diagnostics.report(
                .warning, "stopping although commands of \(departing.count + connections.count) sessions are under way")
            for connection in connections.values { connection.close(reason: "the server stops") }
            finish()
        }
        finishStopping()
    }

    private func finishStopping() {
        if isStopping, connections.isEmpty, departing.isEmpty { finish() }
    }

    private func finish() {
        guard let done = stopped else { return }
        stopped = nil
        done()
        loop.stop()
    }

    // MARK: Counters

    /// Where the commands of one logical unit are counted on this loop: stays where it is as long as the loop lives.
    func counted(_ name: UnitName) -> UnsafeMutablePointer<CountedUnit> {
        if let unit = unsafe countedUnits[name] { return unsafe unit }
        let unit = UnsafeMutablePointer<CountedUnit>.allocate(capacity: 1)
        unsafe unit.initialize(to: CountedUnit(number: server.unitNumber(of: name)))
        unsafe countedUnits[name] = unsafe unit
        return unsafe unit
    }

    func snapshot() -> ServerSnapshot {
        var snapshot = totals
        for connection in connections.values {
            snapshot.counters.add(connection.counters)
            if let session = connection.sessionSnapshot() { snapshot.sessions.append(session) }
        }
        snapshot.connectionCount = connections.count
        snapshot.loops = [LoopCounters(of: self, connectionCount: connections.count)]
        for name in unsafe Array(countedUnits.keys) {
            snapshot.units[name] = unsafe countedUnits[name]?.pointee.counters
        }
        return snapshot
    }
}
