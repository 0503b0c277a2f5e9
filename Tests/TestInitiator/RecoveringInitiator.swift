// SPDX-License-Identifier: Apache-2.0

/// Runs a stream of commands over several connections, whatever becomes of them, by the rules of the error recovery
/// level that was negotiated:
///
/// * level 2: a lost connection is logged out for recovery (or its CID reinstated when no other is left), its tasks are
///   reassigned, commands that never arrived are sent again with their CmdSN. Every command is told its one status.
/// * level 1: a lost connection is reinstated; the target has ended its tasks. Commands that never arrived are sent
///   again with their CmdSN, which fills the gap; of the others nobody knows: they are issued anew.
/// * level 0: the session is rebuilt under the same name, and all commands without a status are issued anew.
package final class RecoveringInitiator {
    package struct Ending: Equatable, Sendable {
        package var outcome: CommandOutcome
        /// How often the command was issued because its fate was unknown: 1 unless a connection was lost below level 2.
        package var issueCount: Int

        package init(outcome: CommandOutcome, issueCount: Int) {
            self.outcome = outcome
            self.issueCount = issueCount
        }
    }

    package struct Counts: Equatable, Sendable {
        package var sessionsRebuilt = 0
        package var connectionsRecovered = 0
        package var tasksReassigned = 0
        package var commandsRetried = 0
        package var commandsIssuedAnew = 0
    }

    package private(set) var session: InitiatorSession
    package private(set) var counts = Counts()
    /// Called before each command is issued, with its index: where a test cuts a connection.
    package var beforeCommand: ((Int, InitiatorSession) throws -> Void)?
    /// The command, by index, that must have ended before this one is issued; nil when none must.
    package var predecessor: (Int) -> Int? = { _ in nil }
    private let logIn: () throws -> InitiatorSession
    private let cids: [UInt16]
    /// Prepares a new session: unit attentions.
    private let prepare: (InitiatorSession) throws -> Void

    private var commands: [InitiatorCommand] = []
    private var endings: [Ending?] = []
    private var issueCounts: [Int] = []
    /// Commands to be issued anew, by index.
    private var anew: [Int] = []
    private static let repairLimit = 16
    private var underWay: [(index: Int, task: InitiatorTask)] = []

    /// - Parameters:
    ///   - cids: of the connections: the first is that of `logIn`, which makes a session of one connection.
    package init(
        cids: [UInt16], logIn: @escaping () throws -> InitiatorSession,
        prepare: @escaping (InitiatorSession) throws -> Void
    ) throws {
        self.cids = cids
        self.logIn = logIn
        self.prepare = prepare
        session = try logIn()
        try complete()
    }

    /// The other connections, and readiness.
    private func complete() throws {
        for cid in cids.dropFirst() { try session.addConnection(cid: cid) }
        try prepare(session)
    }

    // MARK: Running

    /// Issues all commands in this order, dealt to the connections in turn, at most `depth` at once. Returns how each
    /// one ended.
    package func run(_ commands: [InitiatorCommand], depth: Int) throws -> [Ending] {
        self.commands = commands
        endings = commands.map { _ in nil }
        issueCounts = commands.map { _ in 0 }
        var next = 0
        while next < commands.count || !underWay.isEmpty {
            while next < commands.count, underWay.count < depth, mayIssue(next) {
                try beforeCommand?(next, session)
                try issue(next)
                next += 1
            }
            try takeOneEnd()
        }
        return endings.map { $0! }
    }

    private func mayIssue(_ index: Int) -> Bool {
        predecessor(index).map { endings[$0] != nil } ?? true
    }

    private func cid(of index: Int) -> UInt16 { cids[index % cids.count] }

    private func issue(_ index: Int) throws {
        issueCounts[index] += 1
        while true {
            do {
                let task = try session.submit(commands[index], on: cid(of: index))
                underWay.append((index, task))
                return
            } catch let failure as InitiatorFailure where failure.kind == .connectionClosed {
                // It may have got a CmdSN before the connection broke: then it is a task, to be recovered as such.
                let known = Set(underWay.map(\.task.initiatorTaskTag))
                let started = session.tasks.values.first { !known.contains($0.initiatorTaskTag) && !$0.isEnded }
                if let started { underWay.append((index, started)) }
                try repair()
                if started != nil { return }
            }
        }
    }

    /// Waits until at least one command has ended.
    private func takeOneEnd() throws {
        do {
            let allegiances = { Set(self.underWay.map(\.task.cid)) }
            try session.pump(awaiting: "the end of a command", alive: allegiances) {
                self.underWay.contains { $0.task.isEnded }
            }
            for (index, task) in underWay where task.isEnded {
                let outcome = try session.wait(for: task)
                endings[index] = Ending(outcome: outcome, issueCount: issueCounts[index])
            }
            underWay.removeAll { endings[$0.index] != nil }
        } catch let failure as InitiatorFailure where failure.kind == .connectionClosed {
            try repair()
        }
    }

    // MARK: Repairing

    /// Connections may be lost while others are repaired: so it begins again, but not for ever.
    private func repair() throws {
        for _ in 0..<Self.repairLimit {
            do {
                switch session.negotiated.errorRecoveryLevel {
                case 2: try recoverConnections()
                case 1 where !session.liveCIDs.isEmpty: try reinstateConnections()
                default: try rebuildSession()
                }
                while let index = anew.first {
                    anew.removeFirst()
                    counts.commandsIssuedAnew += 1
                    try issue(index)
                }
                return
            } catch let failure as InitiatorFailure where failure.kind == .connectionClosed {
                continue
            }
        }
        throw InitiatorFailure(.connectionClosed, "connections are lost faster than they are repaired")
    }

    private var failed: [UInt16] { cids.filter { session.connection($0)?.state != .loggedIn } }

    private func recoverConnections() throws {
        for cid in failed {
            counts.connectionsRecovered += 1
            let other = session.liveCIDs.first
            let (reassigned, retried) = try session.recover(cid, onto: other ?? cid)
            counts.tasksReassigned += reassigned
            counts.commandsRetried += retried
            // A new connection takes the CID for the commands to come.
            if other != nil { try session.addConnection(cid: cid) }
        }
    }

    private func reinstateConnections() throws {
        for cid in failed {
            counts.connectionsRecovered += 1
            try session.addConnection(cid: cid)
            for task in session.tasks(of: cid) {
                guard let position = underWay.firstIndex(where: { $0.task === task }) else { continue }
                if Int32(bitPattern: task.cmdSN &- session.expCmdSN) >= 0 {
                    counts.commandsRetried += 1
                    try session.retry(task, on: cid)
                } else {
                    anew.append(underWay[position].index)
                    underWay.remove(at: position)
                    session.forget(task)
                }
            }
        }
    }

    private func rebuildSession() throws {
        counts.sessionsRebuilt += 1
        for cid in cids { session.cut(cid) }
        // What had ended before the cut was read is told.
        anew = (anew + underWay.filter { !$0.task.isEnded }.map(\.index)).sorted()
        for (index, task) in underWay where task.isEnded {
            guard let outcome = task.outcome else { continue }
            endings[index] = Ending(outcome: outcome, issueCount: issueCounts[index])
        }
        underWay = []
        session = try logIn()
        try complete()
    }
}
