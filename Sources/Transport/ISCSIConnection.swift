// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import TargetCore

/// One iSCSI connection: its socket, what has come in, what is to go out, and where its login stands.
/// Belongs to its loop's thread. The files beside this one hold its parts: receiving, login, requests, sending.
@safe final class ISCSIConnection {
    enum Phase {
        /// Login Requests alone are understood.
        case login
        /// The login is good; a session of the same name is being ended first.
        case establishing
        /// RFC 7143's full feature phase.
        case fullFeature
        /// What is queued is sent, then the socket is closed. Nothing more is received.
        case closing
        case closed
    }

    let socket: Socket
    let context: LoopContext
    let coalescer: ResponseCoalescer
    /// Where it came to.
    let portal: PortalIndex
    let peer: PortalAddress?
    let local: PortalAddress?

    var phase = Phase.login
    var loginMachine: LoginStateMachine?
    /// What the login asks about targets and access.
    var targetDirectory: TargetDirectory?
    /// Who has logged in.
    var visitor: Visitor?
    /// What was negotiated; RFC 7143's defaults until then.
    var parameters = NegotiatedParameters()
    var framer = PDUFramer()
    /// The next status sequence number.
    var statSN: UInt32 = 0
    /// Where the connection stands by the RFC's states; `phase` says what is done with what comes in.
    var machine = ConnectionStateMachine()
    /// CmdSN order: the session's. A discovery session has its own.
    var order = CommandOrder(initialCmdSN: 0, depth: 1) {
        didSet { unsafe orderContents = order.contents }
    }
    /// Of `order`.
    private(set) var orderContents: UnsafeMutablePointer<CommandOrder.Contents>
    /// What may have to be sent again; nil at error recovery level 0.
    var retention: StatusRetention?
    /// ExpStatSN is looked at: responses are kept, or the order among several connections matters.
    var tracksStatus = false
    /// Answers before this StatSN have been acknowledged.
    var acknowledgedStatSN: UInt32 = 0
    /// Nothing is sent while a response fence stands on another connection of the session.
    var isFenced = false
    /// The session that it is about to join.
    var joining: ISCSISession?
    /// How it leaves its session.
    var leave = ISCSISession.Leave.failed
    var text = TextExchange()
    /// A normal session; nil in login and in a discovery session.
    var session: ISCSISession? {
        didSet { link = session.map { Borrowed($0) } }
    }
    /// The session, uncounted.
    private(set) var link: Borrowed<ISCSISession>?

    var input = ReceiveBuffer()
    var segment: DataSegment?
    var outbox = Outbox()
    var isFlushPlanned = false
    /// Whether what has gathered leaves at the end of a turn.
    var pacing: CoalescingController
    /// SCST's rule instead, with the policy `.classic`.
    var classicRule: ClassicNagleRule?
    /// SCSI commands that came since responses were last sent or held.
    var requestCount = 0
    /// Something is queued that no initiator should wait for: an R2T, an answer that is no SCSI response.
    var isUrgent = false
    /// When what is held leaves at the latest; `UInt64.max` while nothing is held.
    var heldUntil = UInt64.max
    /// The kernel's send buffer was full: more goes out when it tells of room.
    var isSendBlocked = false
    var isReadPaused = false
    var isReadStopped = false
    /// Too much came ahead of a request that another connection must bring first.
    var isGapPaused = false
    var isWorkOffPlanned = false
    /// Responses of sampled commands that the coalescer holds.
    var sampledResponses = LatencyRecorder.Responses()
    var receiveCallCount: UInt64 = 0
    var receivedByteCount: UInt64 = 0
    var receivedPDUCount: UInt64 = 0

    /// Nil before the start, and once closed.
    var stream: (any ByteStream)?
    var timer: TimerQueue.Identifier?
    /// Nanoseconds of the monotonic clock when the peer was last heard.
    var lastHeard: UInt64
    /// Of the NOP-In that has not been answered yet.
    var keepaliveTag: UInt32?
    /// StatSN when that was sent.
    var keepaliveStatSN: UInt32 = 0
    /// When it was sent, in the loop's nanoseconds.
    var keepaliveTime: UInt64 = 0
    var keepaliveCount: UInt32 = 0
    /// Task management that waits for commands to end.
    var managementWaits: [ManagementWait] = []
    /// CID, as the initiator chose it.
    var connectionIdentifier: UInt16 = 0
    /// A discovery session has a TSIH too.
    var discoveryHandle: SessionHandle?
    /// In the ledger of connections.
    var ticket: UInt64 = 0
    let closingReason = "the peer was told to go"

    init(socket: Socket, context: LoopContext, portal: PortalIndex) {
        self.portal = portal
        peer = socket.peerAddress
        local = socket.localAddress
        self.socket = socket
        self.context = context
        unsafe orderContents = order.contents
        coalescer = ResponseCoalescer(pool: context.pool)
        let policy = context.server.configuration.coalescing
        pacing = CoalescingController(policy)
        classicRule = policy == .classic ? ClassicNagleRule() : nil
        lastHeard = context.loop.now
    }

    /// Goes on in the loop of `context` with a login that another loop has brought to its end.
    convenience init(_ handover: LoginHandover, context: LoopContext) {
        self.init(socket: handover.takeSocket(), context: context, portal: handover.portal)
        targetDirectory = handover.targetDirectory
        loginMachine = handover.machine
        machine = handover.connectionMachine
        ticket = handover.ticket
        phase = .establishing
        unsafe handover.input.withUnsafeBytes { unsafe input.append($0, pool: context.pool) }
    }

    func start() {
        guard openStream() else { return }
        drive(.transportConnected)
        beginLogin()
        limitLogin()
    }

    /// The same for a connection that comes from another loop.
    func goOn() {
        guard openStream() else { return }
        updateInterest()
        limitLogin()
    }

    private func openStream() -> Bool {
        do throws(SystemError) {
            stream = try context.loop.openStream(socket.descriptor, owner: self)
            return true
        } catch {
            close(reason: "cannot watch its socket: \(error)")
            return false
        }
    }

    private func limitLogin() {
        timer = context.loop.schedule(afterMilliseconds: context.server.configuration.loginTimeoutMilliseconds) {
            [self] in
            timer = nil
            guard phase == .login || phase == .establishing else { return }
            close(reason: "it did not log in within the time for it")
        }
    }

    /// The socket goes to another loop.
    func releaseSocket() -> CInt {
        stream?.close()
        stream = nil
        return socket.release()
    }

    /// Receives or not, as things stand.
    func updateInterest() {
        stream?.isReceiving =
            (phase == .login || phase == .fullFeature) && !isReadPaused && !isReadStopped
            && !isGapPaused
    }

    func planFlush() {
        guard !isFlushPlanned, phase != .closed else { return }
        isFlushPlanned = true
        context.willFlush(self)
    }

    // MARK: The full feature phase's clock

    func startKeepalive() {
        cancelTimer()
        let interval = context.server.configuration.keepaliveMilliseconds
        if interval > 0 { watchSilence(forMilliseconds: interval) }
    }

    private func watchSilence(forMilliseconds milliseconds: UInt64) {
        // A closed connection cancels its timer, so the timer may hold it: a weak reference would make every count
        // of the connection slower.
        timer = context.loop.schedule(afterMilliseconds: milliseconds) { [self] in
            timer = nil
            guard phase == .fullFeature else { return }
            judgeSilence()
        }
    }

    /// Whatever has come since a NOP-In of ours went out is a sign of life.
    private func judgeSilence() {
        let configuration = context.server.configuration
        if keepaliveTag != nil, lastHeard <= keepaliveTime {
            let answerTime = configuration.keepaliveAnswerMilliseconds
            // It leaves when the fence of another connection ends.
            if isFenced { keepaliveTime = context.loop.now }
            let waited = (context.loop.now &- keepaliveTime) / 1_000_000
            guard waited < answerTime else { return close(reason: "it did not answer a NOP-In") }
            return watchSilence(forMilliseconds: answerTime - waited)
        }
        let interval = configuration.keepaliveMilliseconds
        let silence = (context.loop.now &- lastHeard) / 1_000_000
        guard silence >= interval else { return watchSilence(forMilliseconds: interval - silence) }
        sendKeepalive()
        watchSilence(forMilliseconds: configuration.keepaliveAnswerMilliseconds)
    }

    func cancelTimer() {
        if let timer { context.loop.cancel(timer) }
        timer = nil
    }

    // MARK: What it looks like from outside

    func sessionSnapshot() -> SessionSnapshot? {
        // One line for a session, whichever of its connections is asked first.
        guard let session, session.connections.first === self else { return nil }
        var snapshot = SessionSnapshot(
            initiatorName: session.name.initiatorName, isid: session.name.isid, tsih: session.handle.tsih,
            targetName: session.name.targetName, peer: peer, local: local,
            hasHeaderDigest: parameters.hasHeaderDigest, hasDataDigest: parameters.hasDataDigest,
            commandCount: session.activeTaskCount, bufferByteCount: session.leasedByteCount, counters: counters,
            number: session.statisticsNumber, unitCounters: session.ended,
            errorRecoveryLevel: session.parameters.errorRecoveryLevel,
            connections: session.connections.map { ConnectionSnapshot($0) })
        snapshot.visitor = visitor
        return snapshot
    }

    var counters: ConnectionCounters {
        var counters = ConnectionCounters()
        counters.receiveCallCount = receiveCallCount
        counters.receivedByteCount = receivedByteCount
        counters.receivedPDUCount = receivedPDUCount
        counters.sendCallCount = coalescer.sendCount
        counters.sentByteCount = coalescer.sentByteCount
        counters.sentPDUCount = coalescer.sentPDUCount
        counters.coalescing = pacing.counters
        return counters
    }
}
