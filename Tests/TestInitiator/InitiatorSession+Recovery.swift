// SPDX-License-Identifier: Apache-2.0

/// Error recovery level 2 and what leads to it: lost connections, reassigned tasks, retried commands (RFC 7143 7.2, 7.3).
extension InitiatorSession {
    package enum Cut: Sendable, CaseIterable {
        /// The transport connection is reset: what was under way in either direction is gone.
        case reset
        /// It is closed in order, without a logout.
        case close
    }

    /// Ends a connection, now.
    package func cut(_ cid: UInt16, _ cut: Cut = .reset) {
        guard let connection = connections[cid], connection.state == .loggedIn else { return }
        connection.state = .failed
        switch cut {
        case .reset: connection.stream.socket.reset()
        case .close: connection.stream.socket.close()
        }
    }

    /// Tasks of a connection that have not ended, in the order of their CmdSN.
    package func tasks(of cid: UInt16) -> [InitiatorTask] {
        tasks.values.filter { $0.cid == cid && !$0.isEnded }
            .sorted {
                $0.cmdSN == $1.cmdSN
                    ? $0.initiatorTaskTag < $1.initiatorTaskTag : Int32(bitPattern: $0.cmdSN &- $1.cmdSN) < 0
            }
    }

    /// Goes on with the tasks of a connection that failed: on another connection after a logout for recovery, or on a
    /// connection that takes its CID when `onto` is that CID. Every task is reassigned; commands that never arrived are
    /// sent again. Returns how many of each.
    @discardableResult
    package func recover(_ cid: UInt16, onto other: UInt16) throws -> (reassigned: Int, retried: Int) {
        if other == cid {
            try addConnection(cid: cid)
        } else if connections[cid]?.isRemoved != true {
            let answer = try logout(.removeConnectionForRecovery, about: cid, on: other)
            guard answer.response == 0 else {
                throw InitiatorFailure.violation("a logout for recovery was answered with \(answer.response)")
            }
            connections[cid]?.isRemoved = true
            // Time2Wait is the least time before tasks are reassigned (RFC 7143 11.15.3).
            try drain(milliseconds: answer.time2WaitSeconds * 1000)
        }
        return try resume(tasks(of: cid), on: other)
    }

    /// Reassigns or sends again, in the order of CmdSN.
    package func resume(_ tasks: [InitiatorTask], on cid: UInt16) throws -> (reassigned: Int, retried: Int) {
        var counts = (reassigned: 0, retried: 0)
        for task in tasks {
            if !task.command.isImmediate, Int32(bitPattern: task.cmdSN &- expCmdSN) >= 0 {
                counts.retried += 1
                try retry(task, on: cid)
            } else {
                counts.reassigned += 1
                let response = try reassign(task, to: cid)
                guard response == 0 else {
                    throw InitiatorFailure.violation(
                        "TASK REASSIGN of tag \(task.initiatorTaskTag) CmdSN \(task.cmdSN) was answered with "
                            + "\(response); \(recentPDUs)")
                }
            }
        }
        return counts
    }

    /// TASK REASSIGN (RFC 7143 11.5.1): the task is allegiant to `cid` from now on. Returns the response code.
    package func reassign(_ task: InitiatorTask, to cid: UInt16, expDataSN: UInt32? = nil) throws -> UInt8 {
        let connection = try live(cid)
        task.cid = cid
        task.limits = limits(connection)
        task.heldR2Ts = []
        var next: UInt32 = 0
        if task.command.readingByteCount > 0 {
            next = expDataSN ?? task.nextNumber
            // What was not acknowledged comes again, from here on (RFC 7143 11.5.6).
            task.forgetData(from: next)
        } else {
            task.heldResponse = nil
            task.askedNumbers = []
        }
        task.statSN = nil
        task.wasReassigned = true
        task.isRecovering = task.command.expectedWriteByteCount > 0
        return try manage(.taskReassign, task: task, expDataSN: next, on: cid)
    }

    /// Sends a command again, with its CmdSN and task tag (RFC 7143 7.2.1).
    package func retry(_ task: InitiatorTask, on cid: UInt16) throws {
        let connection = try live(cid)
        task.cid = cid
        task.limits = limits(connection)
        task.beginAnew()
        try send(task, on: cid)
    }

    /// Gives up a task whose fate nobody will tell.
    package func forget(_ task: InitiatorTask) { tasks[task.initiatorTaskTag] = nil }
}

extension InitiatorTask {
    /// Nothing of it has arrived: it starts from the beginning.
    func beginAnew() {
        forgetData(from: 0)
        r2ts = [:]
        heldR2Ts = []
        acknowledgements = []
        isRecovering = command.expectedWriteByteCount > 0
        solicitedEnd = immediateByteCount + unsolicitedByteCount
    }
}
