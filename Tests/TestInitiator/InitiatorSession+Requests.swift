// SPDX-License-Identifier: Apache-2.0

/// Requests that are no SCSI commands, each with its answer.
extension InitiatorSession {
    /// Sends a request with a tag and CmdSN of its own, and waits for the answer to it on the same connection.
    package func ask(_ pdu: WirePDU, on cid: UInt16? = nil, awaiting what: String) throws -> WirePDU {
        try answer(to: start(pdu, on: cid), awaiting: what)
    }

    /// Sends a request with a tag and CmdSN of its own, and does not wait. Returns its tag.
    package func start(_ pdu: WirePDU, on cid: UInt16? = nil) throws -> UInt32 {
        let cid = cid ?? leading
        var pdu = pdu
        pdu.initiatorTaskTag = makeTag()
        pdu.cmdSN = try takeCmdSN(isImmediate: pdu.header[0] & WirePDU.immediate != 0)
        awaited[pdu.initiatorTaskTag] = cid
        try send(pdu, on: cid)
        return pdu.initiatorTaskTag
    }

    /// Waits for the answer to a request. A Reject of it is thrown.
    package func answer(to tag: UInt32, awaiting what: String) throws -> WirePDU {
        guard let cid = awaited[tag] else { throw InitiatorFailure(.misuse, "nothing was asked with tag \(tag)") }
        func rejection() -> Reject? { rejects.last { $0.header.initiatorTaskTag == tag } }
        let own = { Set([cid]) }
        try pump(awaiting: what, alive: own) { answers[tag] != nil || rejection() != nil }
        awaited[tag] = nil
        guard let answer = answers.removeValue(forKey: tag) else {
            throw InitiatorFailure(.rejected(rejection()!.reason), what)
        }
        return answer
    }

    /// NOP-Out and the data of the NOP-In.
    @discardableResult
    package func ping(_ data: [UInt8] = [], on cid: UInt16? = nil, isImmediate: Bool = true) throws -> [UInt8] {
        var request = WirePDU(opcode: WirePDU.Opcode.nopOut, data: data)
        if isImmediate { request.header[0] |= WirePDU.immediate }
        request.targetTransferTag = WirePDU.noTag
        let answer = try ask(request, on: cid, awaiting: "the answer to a NOP-Out")
        guard answer.opcode == WirePDU.Opcode.nopIn, answer.targetTransferTag == WirePDU.noTag else {
            throw InitiatorFailure.violation("the answer to a NOP-Out", answer)
        }
        return answer.data
    }

    // MARK: Task management

    package enum TaskManagementFunction: UInt8, Sendable {
        case abortTask = 1
        case abortTaskSet = 2
        case clearACA = 3
        case clearTaskSet = 4
        case logicalUnitReset = 5
        case targetWarmReset = 6
        case targetColdReset = 7
        case taskReassign = 8
        case queryTask = 9
        case queryTaskSet = 10
        case nexusReset = 11
        case queryAsynchronousEvent = 12
    }

    /// Task Management Function Request; returns the response code (RFC 7143 11.6.1).
    package func manage(
        _ function: TaskManagementFunction, task: InitiatorTask? = nil, lun: Int? = nil, expDataSN: UInt32 = 0,
        isImmediate: Bool = true, on cid: UInt16? = nil
    ) throws -> UInt8 {
        let request = managementRequest(
            function, task: task, lun: lun, expDataSN: expDataSN, isImmediate: isImmediate)
        let answer = try ask(request, on: cid, awaiting: "the response of task management")
        guard answer.opcode == WirePDU.Opcode.taskManagementResponse else {
            throw InitiatorFailure.violation("the answer to task management", answer)
        }
        return answer.header[2]
    }

    package func managementRequest(
        _ function: TaskManagementFunction, task: InitiatorTask? = nil, lun: Int? = nil, expDataSN: UInt32 = 0,
        isImmediate: Bool = true
    ) -> WirePDU {
        var request = WirePDU(
            opcode: WirePDU.Opcode.taskManagementRequest, flags: WirePDU.final | function.rawValue)
        if isImmediate { request.header[0] |= WirePDU.immediate }
        request.lun = lun ?? task?.lun ?? options.lun
        request[20] = task?.initiatorTaskTag ?? WirePDU.noTag
        request[32] = task?.cmdSN ?? 0
        request[36] = expDataSN
        return request
    }

    // MARK: Text

    /// Says `keys` in a Text Request of the full feature phase, in pieces if need be, and takes the whole answer.
    package func negotiate(_ keys: TextKeys, on cid: UInt16? = nil) throws -> TextKeys {
        var rest = [UInt8].text(keys.map { ($0.key, $0.value) })[...]
        var tag = WirePDU.noTag
        let itt = makeTag()
        var text: [UInt8] = []
        while true {
            let piece = rest.prefix(options.textPieceByteCount)
            rest = rest.dropFirst(piece.count)
            var request = WirePDU(
                opcode: WirePDU.Opcode.textRequest | WirePDU.immediate, flags: rest.isEmpty ? WirePDU.final : 0x40,
                data: [UInt8](piece))
            request.initiatorTaskTag = itt
            request.targetTransferTag = tag
            request.cmdSN = cmdSN
            awaited[itt] = cid ?? leading
            try send(request, on: cid ?? leading)
            let response = try answer(to: itt, awaiting: "a Text Response")
            guard response.opcode == WirePDU.Opcode.textResponse,
                response.isFinal == (response.targetTransferTag == WirePDU.noTag),
                !(response.isFinal && response.flags & 0x40 != 0)
            else { throw InitiatorFailure.violation("flags and tag of a Text Response", response) }
            text += response.data
            tag = response.targetTransferTag
            if response.isFinal {
                guard rest.isEmpty else { throw InitiatorFailure.violation("an end in the middle of a text", response) }
                return LoginExchange.keys(text)
            }
        }
    }

    /// SendTargets: names with their addresses.
    package func sendTargets(_ value: String = "All") throws -> [(name: String, addresses: [String])] {
        var targets: [(name: String, addresses: [String])] = []
        for (key, value) in try negotiate([("SendTargets", value)]) {
            if key == "TargetName" { targets.append((value, [])) }
            if key == "TargetAddress", !targets.isEmpty { targets[targets.count - 1].addresses.append(value) }
        }
        return targets
    }

    // MARK: Logout

    package enum LogoutReason: UInt8, Sendable {
        case closeSession = 0
        case closeConnection = 1
        case removeConnectionForRecovery = 2
    }

    package struct LogoutAnswer: Equatable, Sendable {
        package let response: UInt8
        package let time2WaitSeconds: Int
        package let time2RetainSeconds: Int
    }

    /// Logout Request on connection `cid` about connection `about` (the same unless said). The connections that it
    /// closes are closed here too, once the target has closed them.
    @discardableResult
    package func logout(
        _ reason: LogoutReason = .closeSession, about: UInt16? = nil, on cid: UInt16? = nil
    ) throws -> LogoutAnswer {
        let cid = cid ?? leading
        let about = about ?? cid
        var request = WirePDU(
            opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate, flags: WirePDU.final | reason.rawValue)
        if reason != .closeSession { request.header.replaceSubrange(20..<22, with: bigEndian(UInt64(about), count: 2)) }
        let response = try ask(request, on: cid, awaiting: "a Logout Response")
        guard response.opcode == WirePDU.Opcode.logoutResponse else {
            throw InitiatorFailure.violation("the answer to a Logout Request", response)
        }
        let answer = LogoutAnswer(
            response: response.header[2], time2WaitSeconds: Int(response[40] >> 16),
            time2RetainSeconds: Int(response[40] & 0xFFFF))
        if answer.response == 0 {
            for closed in reason == .closeSession ? liveCIDs : [about] { close(closed, .loggedOut) }
        }
        return answer
    }

    func close(_ cid: UInt16, _ state: InitiatorConnection.State) {
        guard let connection = connections[cid], connection.state == .loggedIn else { return }
        connection.state = state
        connection.stream.socket.close()
    }
}
