// SPDX-License-Identifier: Apache-2.0

/// An iSCSI initiator for tests, written from RFC 7143 by its own reading: a session of one or more connections, in the
/// caller's thread, without hidden waiting. Every call that awaits something ends by `timeoutSeconds`, and tells what
/// was awaited and what came. Everything that the target sends is checked; a broken rule is thrown.
///
///     var options = SessionOptions(targetName: "iqn.2026-11.org.example:disk")
///     options.maxConnections = 4
///     let session = try InitiatorSession.login(Portal(host: "127.0.0.1", port: 3260), options)
///     let second = try session.addConnection(cid: 7)
///     let write = try session.submit(.write(lba: 8, bytes), on: second)
///     let read = try session.perform(.read(lba: 8, blockCount: 1))       // submit and wait
///     try session.wait(for: write)
///     session.connection(7)?.receiveFilter = { $0.opcode == WirePDU.Opcode.dataIn ? .damage : .take }
///     session.cut(second)                                                // a reset, at this moment
///     try session.recover(second, onto: session.leading)                 // level 2: logout, TASK REASSIGN, retries
///     try session.logout()
///
/// What goes out can be changed or lost by `sendFilter` of a connection, what comes in by `receiveFilter`; anything at
/// all is sent with `send(_:on:)`. `RecoveringInitiator` stands on top of this and does whatever the level asks.
package final class InitiatorSession {
    package struct Reject {
        package let cid: UInt16
        package let reason: UInt8
        /// The header of the PDU that was refused.
        package let header: WirePDU
    }

    package var options: SessionOptions
    package let tsih: UInt16
    package let negotiated: NegotiatedKeys
    /// All that the target said in the login of the leading connection.
    package let loginKeys: TextKeys
    /// Makes the transport connection of another iSCSI connection.
    package var connect: () throws -> ByteSocket

    package internal(set) var cmdSN: UInt32
    package internal(set) var expCmdSN: UInt32
    package internal(set) var maxCmdSN: UInt32
    /// By CID; a connection that ended stays here until another takes its CID.
    package internal(set) var connections: [UInt16: InitiatorConnection] = [:]
    package internal(set) var tasks: [UInt32: InitiatorTask] = [:]
    package internal(set) var rejects: [Reject] = []
    /// Asynchronous Messages, in the order in which they came.
    package internal(set) var asyncMessages: [WirePDU] = []
    /// NOP-Ins that wanted no answer, or that `answersPings` left to the test.
    package internal(set) var pings: [WirePDU] = []

    /// Wait for room in the command window before a command goes out (RFC 7143 4.2.2.1).
    package var obeysWindow = true
    /// Keep R2Ts in `heldR2Ts` of their tasks instead of answering them.
    package var holdsR2Ts = false
    /// Ask again, by SNACK, for what is known to be missing (level 1 and 2).
    package var asksAgain = true
    /// SNACKs that were sent.
    package internal(set) var snackCount = 0
    /// Answers to NOP-Outs, task management, texts and logouts, by task tag.
    var answers: [UInt32: WirePDU] = [:]
    /// Tags of what is awaited besides commands, and the connection that must answer.
    var awaited: [UInt32: UInt16] = [:]
    var probes: Set<UInt32> = []
    var trace: [String] = []
    private var nextTag: UInt32 = 0x1000
    private static let traceLength = 24

    init(
        options: SessionOptions, tsih: UInt16, negotiated: NegotiatedKeys, loginKeys: TextKeys, exchange: LoginExchange,
        connect: @escaping () throws -> ByteSocket
    ) {
        self.options = options
        self.tsih = tsih
        self.negotiated = negotiated
        self.loginKeys = loginKeys
        self.connect = connect
        cmdSN = options.firstCmdSN
        expCmdSN = exchange.expCmdSN
        maxCmdSN = exchange.maxCmdSN
    }

    // MARK: Connections

    package func connection(_ cid: UInt16) -> InitiatorConnection? { connections[cid] }

    /// The lowest CID that is logged in.
    package var leading: UInt16 { liveCIDs.first ?? options.cid }

    package var liveCIDs: [UInt16] {
        connections.values.filter { $0.state == .loggedIn }.map(\.cid).sorted()
    }

    func live(_ cid: UInt16) throws -> InitiatorConnection {
        guard let connection = connections[cid] else {
            throw InitiatorFailure(.misuse, "the session has no connection \(cid)")
        }
        guard connection.state == .loggedIn else {
            throw InitiatorFailure(.connectionClosed, "connection \(cid) is \(connection.state); \(recentPDUs)")
        }
        return connection
    }

    /// The last PDUs, for a failure's words.
    package var recentPDUs: String { "the last PDUs were:\n" + trace.joined(separator: "\n") }

    func note(_ direction: String, _ cid: UInt16, _ pdu: WirePDU) {
        if trace.count == Self.traceLength { trace.removeFirst() }
        trace.append("\(direction) \(cid): \(pdu.summary)")
    }

    // MARK: Sending

    /// A tag that nothing under way has.
    package func makeTag() -> UInt32 {
        defer { nextTag = nextTag == 0xFFFF_FFFE ? 0 : nextTag + 1 }
        return nextTag
    }

    /// Sends any PDU as it is, but for ExpStatSN.
    package func send(_ pdu: WirePDU, on cid: UInt16) throws {
        let connection = try live(cid)
        note("to", cid, pdu)
        connection.queue(pdu)
        try connection.stream.flush()
    }

    /// The CmdSN of the next request: it is used up unless the request is immediate.
    package func takeCmdSN(isImmediate: Bool = false) throws -> UInt32 {
        if isImmediate { return cmdSN }
        if obeysWindow {
            try pump(awaiting: "room in the command window", alive: nil) {
                Int32(bitPattern: self.maxCmdSN &- self.cmdSN) >= 0
            }
        }
        defer { cmdSN &+= 1 }
        return cmdSN
    }

    /// Sends a command with its immediate and unsolicited data, and does not wait for its end. `tag`: one that nothing
    /// under way has.
    @discardableResult
    package func submit(
        _ command: InitiatorCommand, on cid: UInt16? = nil, tag: UInt32? = nil
    ) throws -> InitiatorTask {
        let connection = try live(cid ?? leading)
        let number = try takeCmdSN(isImmediate: command.isImmediate)
        let task = InitiatorTask(
            command, lun: command.lun ?? options.lun, tag: tag ?? makeTag(), cmdSN: number, cid: connection.cid,
            limits: limits(connection))
        tasks[task.initiatorTaskTag] = task
        try send(task, on: connection.cid)
        return task
    }

    /// Sends the command of a task, as it was or for the first time.
    func send(_ task: InitiatorTask, on cid: UInt16) throws {
        try send(task.commandPDU(), on: cid)
        for pdu in task.unsolicitedDataOut() { try send(pdu, on: cid) }
    }

    func limits(_ connection: InitiatorConnection) -> InitiatorTask.Limits {
        InitiatorTask.Limits(
            immediateData: negotiated.immediateData, initialR2T: negotiated.initialR2T,
            firstBurst: negotiated.firstBurstLength, maxBurst: negotiated.maxBurstLength,
            outstandingR2Ts: negotiated.maxOutstandingR2T, targetSegment: connection.targetSegmentByteCount,
            ownSegment: options.maxRecvDataSegmentLength, errorRecoveryLevel: negotiated.errorRecoveryLevel)
    }

    // MARK: Waiting

    /// Waits for the ends of tasks, and returns their outcomes in this order.
    @discardableResult
    package func wait(for tasks: [InitiatorTask]) throws -> [CommandOutcome] {
        let allegiances = { Set(tasks.filter { !$0.isEnded }.map(\.cid)) }
        try pump(awaiting: "the ends of \(tasks.count) commands", alive: allegiances) {
            tasks.allSatisfy(\.isEnded)
        }
        return try tasks.map { task in
            self.tasks[task.initiatorTaskTag] = nil
            if let reason = task.rejection {
                throw InitiatorFailure(.rejected(reason), "a command; " + recentPDUs)
            }
            return task.outcome!
        }
    }

    @discardableResult
    package func wait(for task: InitiatorTask) throws -> CommandOutcome { try wait(for: [task])[0] }

    package func perform(_ command: InitiatorCommand, on cid: UInt16? = nil) throws -> CommandOutcome {
        try wait(for: submit(command, on: cid))
    }

    /// Takes PDUs until `condition` holds. `alive` gives the connections without which it never will.
    package func pump(
        awaiting what: String, alive: (() -> Set<UInt16>)?, until condition: () -> Bool
    ) throws {
        let deadline = Deadline(seconds: options.timeoutSeconds)
        while true {
            if condition() { return }
            if try takeOne() { continue }
            noteClosedConnections()
            for cid in alive?() ?? [] { _ = try live(cid) }
            let streams = connections.values.filter { $0.state == .loggedIn }.map(\.stream)
            guard !streams.isEmpty else {
                throw InitiatorFailure(
                    .connectionClosed, "no connection is left where \(what) was awaited; \(recentPDUs)")
            }
            guard !deadline.isOver else { throw InitiatorFailure(.timedOut, "\(what) did not come; \(recentPDUs)") }
            let isRecovering = asksAgain && negotiated.errorRecoveryLevel > 0
            let limit = isRecovering ? options.quietMilliseconds : deadline.millisecondsLeft
            do {
                let came = try Waiting.step(streams, options, milliseconds: min(limit, deadline.millisecondsLeft))
                if !came && isRecovering { try askForWhatMayBeLost() }
            } catch let failure as InitiatorFailure where failure.kind == .connectionClosed {
                // Which one it was shows when it is read from.
                for stream in streams { _ = try stream.fill() }
            }
        }
    }

    /// Takes what has come, and what comes within so many milliseconds.
    package func drain(milliseconds: Int) throws {
        let deadline = Deadline(seconds: Double(milliseconds) / 1000)
        repeat {
            while try takeOne() {}
            noteClosedConnections()
            let streams = connections.values.filter { $0.state == .loggedIn }.map(\.stream)
            if streams.isEmpty { return }
            _ = try Waiting.step(streams, options, milliseconds: deadline.millisecondsLeft)
        } while !deadline.isOver
        while try takeOne() {}
    }

    private func noteClosedConnections() {
        for connection in connections.values where connection.state == .loggedIn && connection.stream.isDrained {
            connection.state = .failed
            connection.stream.socket.close()
        }
    }

    /// Takes one PDU of any connection. False when none is whole.
    private func takeOne() throws -> Bool {
        for cid in liveCIDs {
            guard let connection = connections[cid], let received = try connection.stream.next() else { continue }
            switch received {
            case .pdu(let pdu):
                switch connection.receiveFilter?(pdu) ?? .take {
                case .take: try receive(pdu, on: connection)
                case .lose: note("lost on", cid, pdu)
                case .damage: try receiveDamaged(pdu, on: connection)
                }
            case .damagedData(let pdu): try receiveDamaged(pdu, on: connection)
            }
            return true
        }
        return false
    }
}
