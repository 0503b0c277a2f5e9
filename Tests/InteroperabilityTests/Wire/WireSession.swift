// SPDX-License-Identifier: Apache-2.0
import TestInitiator

/// A normal session of this suite's own initiator: it can negotiate what libiscsi cannot, and it holds the target to
/// the rules on bursts, sequence numbers and residuals, throwing `HarnessError` with the clause when one is broken.
final class WireSession: SCSIClient {
    struct Options {
        var initiator = "iqn.2026-11.org.martlet:wire"
        /// Distinguishes sessions of one initiator name (ISID, random format).
        var qualifier: UInt16 = 1
        var headerDigest = "None"
        var dataDigest = "None"
        var initialR2T = false
        var immediateData = true
        var firstBurstLength = 65536
        var maxBurstLength = 262_144
        /// Of PDUs to this initiator.
        var maxRecvDataSegmentLength = 262_144
        var maxOutstandingR2T = 8
    }

    let connection: WireConnection
    let lun: Int
    /// What the login settled, as the target's last word on each key.
    private(set) var negotiated: [String: String] = [:]
    /// Data segments to the target may have this many bytes.
    private(set) var targetSegmentByteCount = 8192
    private let options: Options
    private(set) var cmdSN: UInt32 = 1
    private(set) var expStatSN: UInt32 = 0
    private(set) var maxCmdSN: UInt32 = 1
    private var nextTag: UInt32 = 1
    private var pending: [UInt32: WireTask] = [:]

    init(_ url: LogicalUnitURL, _ options: Options = Options()) throws {
        connection = try WireConnection(url)
        lun = url.lun
        self.options = options
        try login(target: url.target)
        try clearUnitAttentions()
    }

    /// The keys of the one login request that this initiator sends.
    static func loginKeys(target: String, _ options: Options) -> [(String, String)] {
        [
            ("InitiatorName", options.initiator), ("SessionType", "Normal"), ("TargetName", target),
            ("HeaderDigest", options.headerDigest), ("DataDigest", options.dataDigest),
            ("InitialR2T", options.initialR2T ? "Yes" : "No"), ("ImmediateData", options.immediateData ? "Yes" : "No"),
            ("MaxRecvDataSegmentLength", "\(options.maxRecvDataSegmentLength)"),
            ("FirstBurstLength", "\(options.firstBurstLength)"), ("MaxBurstLength", "\(options.maxBurstLength)"),
            ("MaxOutstandingR2T", "\(options.maxOutstandingR2T)"), ("MaxConnections", "1"),
            ("DefaultTime2Wait", "2"), ("DefaultTime2Retain", "0"), ("ErrorRecoveryLevel", "0"),
            ("DataPDUInOrder", "Yes"), ("DataSequenceInOrder", "Yes"),
        ]
    }

    /// A login request from the operational stage to the full-feature phase (T=1, CSG=1, NSG=3).
    static func loginRequest(_ keys: [(String, String)], qualifier: UInt16 = 1, flags: UInt8 = 0x87) -> WirePDU {
        var request = WirePDU(opcode: WirePDU.Opcode.loginRequest | WirePDU.immediate, flags: flags)
        request.header.replaceSubrange(8..<14, with: [0x80, 0x12, 0x34, 0x56] + bigEndian(UInt64(qualifier), count: 2))
        request.cmdSN = 1
        request.data = .text(keys)
        return request
    }

    private func login(target: String) throws {
        var request = Self.loginRequest(
            Self.loginKeys(target: target, options), qualifier: options.qualifier)
        while true {
            try connection.send(request)
            let response = try connection.receivePDU()
            guard response.opcode == WirePDU.Opcode.loginResponse, response.header[36] == 0 else {
                throw HarnessError("login refused: \(response.header)")
            }
            negotiated.merge(response.data.textPairs) { _, new in new }
            expStatSN = response.statSN &+ 1
            maxCmdSN = response.maxCmdSN
            if response.flags & 0x83 == 0x83 { break }
            request = Self.loginRequest([], qualifier: options.qualifier)
            request.expStatSN = expStatSN
        }
        connection.headerDigest = negotiated["HeaderDigest"] == "CRC32C"
        connection.dataDigest = negotiated["DataDigest"] == "CRC32C"
        targetSegmentByteCount = negotiated["MaxRecvDataSegmentLength"].flatMap { Int($0) } ?? 8192
    }

    /// POWER ON and its like are told once to a new nexus (SAM-5 5.14).
    private func clearUnitAttentions() throws {
        for _ in 0..<8 where try perform(Command(cdb: CDB.testUnitReady)).status == Outcome.good { return }
        throw HarnessError("the logical unit does not become ready")
    }

    func perform(_ commands: [Command]) throws -> [Outcome] {
        try collect(try commands.map { try submit($0) })
    }

    /// Sends a command with its immediate and unsolicited data, and does not wait. Returns its Initiator Task Tag.
    @discardableResult
    func submit(_ command: Command) throws -> UInt32 {
        while Int32(bitPattern: maxCmdSN &- cmdSN) < 0 { try receiveOne() }
        let tag = nextTag
        nextTag += 1
        let task = WireTask(command, tag: tag, limits: limits)
        pending[tag] = task
        var request = task.commandPDU(lun: lun)
        request.cmdSN = cmdSN
        request.expStatSN = expStatSN
        cmdSN &+= 1
        try connection.send(request)
        for pdu in task.unsolicitedData(lun: lun) { try sendDataOut(pdu) }
        return tag
    }

    /// Waits for the end of these commands.
    func collect(_ tags: [UInt32]) throws -> [Outcome] {
        while tags.contains(where: { pending[$0]?.outcome == nil }) { try receiveOne() }
        return tags.map { pending.removeValue(forKey: $0)!.outcome! }
    }

    /// What is known of these commands without waiting: nil for those that were not answered.
    func outcomes(_ tags: [UInt32]) -> [Outcome?] { tags.map { pending[$0]?.outcome } }

    func logout() throws {
        let response = try ask(WirePDU(opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate))
        guard response.opcode == WirePDU.Opcode.logoutResponse, response.header[2] == 0 else {
            throw HarnessError("logout was answered with \(response.header)")
        }
    }

    /// Sends a NOP-Out and returns the data of the NOP-In.
    func ping(_ data: [UInt8]) throws -> [UInt8] {
        var request = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate, data: data)
        request.targetTransferTag = WirePDU.noTag
        let response = try ask(request)
        guard response.opcode == WirePDU.Opcode.nopIn, response.targetTransferTag == WirePDU.noTag else {
            throw HarnessError("NOP-Out was answered with \(response.header)")
        }
        return response.data
    }

    /// Sends an immediate PDU with the next tag and sequence numbers while no command is under way, and returns the
    /// answer to it.
    func ask(_ pdu: WirePDU) throws -> WirePDU {
        var pdu = pdu
        pdu.initiatorTaskTag = nextTag
        nextTag += 1
        pdu.cmdSN = cmdSN
        pdu.expStatSN = expStatSN
        try connection.send(pdu)
        let response = try connection.receivePDU()
        guard response.statSN == expStatSN else {
            throw HarnessError("StatSN \(response.statSN), not \(expStatSN)")
        }
        expStatSN &+= 1
        return response
    }

    private var limits: WireTask.Limits {
        WireTask.Limits(
            segmentByteCount: targetSegmentByteCount, ownSegmentByteCount: options.maxRecvDataSegmentLength,
            firstBurst: length("FirstBurstLength", options.firstBurstLength),
            maxBurst: length("MaxBurstLength", options.maxBurstLength),
            immediateData: options.immediateData && negotiated["ImmediateData"] != "No",
            initialR2T: options.initialR2T || negotiated["InitialR2T"] == "Yes",
            outstandingR2Ts: length("MaxOutstandingR2T", options.maxOutstandingR2T))
    }

    private func length(_ key: String, _ offered: Int) -> Int {
        min(offered, negotiated[key].flatMap { Int($0) } ?? offered)
    }

    private func sendDataOut(_ pdu: WirePDU) throws {
        var pdu = pdu
        pdu.expStatSN = expStatSN
        try connection.send(pdu)
    }

    /// Takes one PDU from the target and does what it asks.
    private func receiveOne() throws {
        let pdu = try connection.receivePDU()
        if Int32(bitPattern: pdu.maxCmdSN &- maxCmdSN) > 0 { maxCmdSN = pdu.maxCmdSN }
        if carriesStatus(pdu) {
            guard pdu.statSN == expStatSN else { throw HarnessError("StatSN \(pdu.statSN), not \(expStatSN)") }
            expStatSN &+= 1
        }
        switch pdu.opcode {
        case WirePDU.Opcode.r2t:
            for data in try task(of: pdu).answer(r2t: pdu, lun: lun) { try sendDataOut(data) }
        case WirePDU.Opcode.dataIn:
            try task(of: pdu).receive(dataIn: pdu)
        case WirePDU.Opcode.scsiResponse:
            try task(of: pdu).receive(response: pdu)
        case WirePDU.Opcode.nopIn:
            try answer(nopIn: pdu)
        default:
            throw HarnessError("unexpected PDU: \(pdu.header)")
        }
    }

    private func carriesStatus(_ pdu: WirePDU) -> Bool {
        switch pdu.opcode {
        case WirePDU.Opcode.r2t: false
        case WirePDU.Opcode.dataIn: pdu.flags & 0x01 != 0
        case WirePDU.Opcode.nopIn: pdu.initiatorTaskTag != WirePDU.noTag
        default: true
        }
    }

    private func task(of pdu: WirePDU) throws -> WireTask {
        guard let task = pending[pdu.initiatorTaskTag], task.outcome == nil else {
            throw HarnessError("a PDU for no task: \(pdu.header)")
        }
        return task
    }

    private func answer(nopIn: WirePDU) throws {
        guard nopIn.targetTransferTag != WirePDU.noTag else { return }
        var answer = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
        answer.initiatorTaskTag = WirePDU.noTag
        answer.targetTransferTag = nopIn.targetTransferTag
        answer.cmdSN = cmdSN
        answer.expStatSN = expStatSN
        try connection.send(answer)
    }
}
