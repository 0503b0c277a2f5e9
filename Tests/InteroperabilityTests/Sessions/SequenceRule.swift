// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

/// One rule of the full feature phase, broken at error recovery level 0, and the answer that RFC 7143 asks for.
struct SequenceRule: CustomTestStringConvertible {
    enum Answer: Equatable {
        /// Nothing happens at all.
        case ignored
        /// A Reject for one of these reasons (RFC 7143 11.17.1).
        case rejected(Set<UInt8>)
        /// A Reject for one of these reasons, or nothing.
        case rejectedOrIgnored(Set<UInt8>)
        /// The command ends with this sense: key, code and qualifier.
        case sense(Int)
        /// The target ends the connection.
        case dropped
    }

    // Reasons of a Reject.
    static let dataDigestError: UInt8 = 2
    static let snackReject: UInt8 = 3
    static let protocolError: UInt8 = 4
    static let commandNotSupported: UInt8 = 5
    static let taskInProgress: UInt8 = 7
    static let invalidField: UInt8 = 9

    // RFC 7143 11.4.7.2.
    static let unexpectedUnsolicitedData = 0xB0C0C
    static let incorrectAmountOfData = 0xB0C0D
    static let protocolServiceCRCError = 0xB4705

    let testDescription: String
    let answer: Answer
    /// What the session is to be before.
    var options: @Sendable (inout SessionOptions) -> Void = { _ in }
    /// Breaks the rule. Returns the task whose status is awaited, if there is one.
    let play: @Sendable (InitiatorSession) throws -> InitiatorTask?

    init(
        _ description: String, _ answer: Answer, options: @escaping @Sendable (inout SessionOptions) -> Void = { _ in },
        _ play: @escaping @Sendable (InitiatorSession) throws -> InitiatorTask?
    ) {
        testDescription = description
        self.answer = answer
        self.options = options
        self.play = play
    }

    // MARK: Words for the rules

    private static let bytes = InitiatorSession.pattern(lba: 0, blockCount: 8)

    /// A WRITE of 4 KiB whose R2T has come; its Data-Outs are changed and sent.
    private static func solicited(
        segments: Int = 1, _ change: @escaping @Sendable (Int, inout WirePDU) -> Void
    ) -> @Sendable (InitiatorSession) throws -> InitiatorTask? {
        { session in
            session.holdsR2Ts = true
            let task = try session.submit(.write(lba: 0, bytes).sending(.nothing))
            try session.pump(awaiting: "an R2T", alive: nil) { task.heldR2Ts.count == 1 }
            let whole = task.dataOut(task.heldR2Ts[0])[0]
            let count = bytes.count / segments
            for index in 0..<segments {
                var pdu = whole
                pdu.data = [UInt8](bytes[index * count..<(index + 1) * count])
                pdu.bufferOffset = UInt32(index * count)
                pdu.dataSN = UInt32(index)
                pdu.header[1] = index == segments - 1 ? WirePDU.final : 0
                change(index, &pdu)
                try session.send(pdu, on: session.leading)
            }
            return task
        }
    }

    /// A request with a tag and CmdSN of its own, changed.
    private static func request(
        _ opcode: UInt8, flags: UInt8 = WirePDU.final, data: [UInt8] = [],
        _ change: @escaping @Sendable (inout WirePDU) -> Void = { _ in }
    ) -> @Sendable (InitiatorSession) throws -> InitiatorTask? {
        { session in
            var pdu = WirePDU(opcode: opcode | WirePDU.immediate, flags: flags, data: data)
            pdu.initiatorTaskTag = session.makeTag()
            pdu.targetTransferTag = WirePDU.noTag
            pdu.cmdSN = session.cmdSN
            change(&pdu)
            try session.send(pdu, on: session.leading)
            return nil
        }
    }

    /// A command as the library makes it, changed on its way.
    private static func command(
        _ command: InitiatorCommand, awaited: Bool = true, _ change: @escaping @Sendable (inout WirePDU) -> Void
    ) -> @Sendable (InitiatorSession) throws -> InitiatorTask? {
        return { session in
            let connection = session.connection(session.leading)
            connection?.sendFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.scsiCommand { change(&pdu) }
                return .whole
            }
            let task = try session.submit(command)
            connection?.sendFilter = nil
            return awaited ? task : nil
        }
    }

    private static let r2tOnly: @Sendable (inout SessionOptions) -> Void = {
        $0.initialR2T = true
        $0.immediateData = false
    }
    private static let shortBurst: @Sendable (inout SessionOptions) -> Void = { $0.firstBurstLength = 1024 }
    private static let digests: @Sendable (inout SessionOptions) -> Void = {
        $0.headerDigest = "CRC32C"
        $0.dataDigest = "CRC32C"
    }

    // MARK: The rules

    static let all = dataOut + unsolicited + numbers + requests

    private static let dataOut: [SequenceRule] = [
        SequenceRule(
            "Data-Out for no task", .rejectedOrIgnored([protocolError]),
            request(WirePDU.Opcode.dataOut) {
                $0.header[0] = WirePDU.Opcode.dataOut
            }),
        SequenceRule(
            "Data-Out with a transfer tag that was never given", .rejectedOrIgnored([protocolError, invalidField]),
            solicited { $1.targetTransferTag ^= 0x4000_0000 }),
        SequenceRule(
            "the first DataSN of an answer is 1", .sense(protocolServiceCRCError), solicited { $1.dataSN = 1 }),
        SequenceRule(
            "a DataSN that is left out", .sense(protocolServiceCRCError),
            solicited(segments: 4) { if $0 > 1 { $1.dataSN += 1 } }),
        SequenceRule("Data-Out at an offset behind the next", .dropped, solicited { $1.bufferOffset = 512 }),
        SequenceRule("Data-Out beyond the end of the data", .dropped, solicited { $1.bufferOffset = 0xFFFF_FE00 }),
        SequenceRule(
            "an answer that is too short", .sense(incorrectAmountOfData),
            solicited { $1.data = [UInt8]($1.data.prefix(512)) }),
        SequenceRule(
            "an answer that is too long", .sense(incorrectAmountOfData), solicited { $1.data += $1.data }),
        SequenceRule("Data-Out whose data digest is wrong", .sense(protocolServiceCRCError), options: digests) {
            session in
            session.connection(session.leading)?.sendFilter = {
                $0.opcode == WirePDU.Opcode.dataOut ? .damagedData : .whole
            }
            return try session.submit(.write(lba: 0, bytes).sending(.nothing))
        },
        SequenceRule("a header digest that is wrong", .dropped, options: digests) { session in
            session.connection(session.leading)?.sendFilter = { _ in .damagedHeader }
            try session.submit(.testUnitReady)
            return nil
        },
    ]

    private static let unsolicited: [SequenceRule] = [
        SequenceRule("immediate data where none are agreed", .sense(unexpectedUnsolicitedData), options: r2tOnly) {
            try $0.submit(.write(lba: 0, bytes).sending(.exactly(immediate: 512, dataOut: 0)))
        },
        SequenceRule("unsolicited Data-Out where none are agreed", .rejected([protocolError]), options: r2tOnly) {
            try $0.submit(.write(lba: 0, bytes).sending(.exactly(immediate: 0, dataOut: 512)))
            return nil
        },
        SequenceRule("more than the first burst", .sense(incorrectAmountOfData), options: shortBurst) {
            try $0.submit(.write(lba: 0, bytes).sending(.exactly(immediate: 512, dataOut: 2048)))
        },
        SequenceRule(
            "more immediate data than the command has", .rejected([protocolError, invalidField]),
            command(.write(lba: 0, bytes), awaited: false) { $0.expectedLength = 512 }),
        SequenceRule(
            "data with a command that reads", .rejected([protocolError, invalidField]),
            command(.read(lba: 0, blockCount: 1), awaited: false) { $0.data = [1, 2, 3, 4] }),
        SequenceRule(
            "a command that reads and announces data", .rejected([protocolError, invalidField]),
            command(.read(lba: 0, blockCount: 1), awaited: false) { $0.header[1] &= 0x7F }),
    ]

    private static let numbers: [SequenceRule] = [
        SequenceRule("a CmdSN that was used", .ignored, command(.testUnitReady, awaited: false) { $0.cmdSN &-= 1 }),
        SequenceRule("a CmdSN of long ago", .ignored, command(.testUnitReady, awaited: false) { $0.cmdSN &-= 1 << 20 }),
        SequenceRule(
            "a CmdSN beyond the window", .ignored, command(.testUnitReady, awaited: false) { $0.cmdSN &+= 1 << 16 }),
        SequenceRule("a task tag that is in use", .rejected([taskInProgress])) { session in
            session.holdsR2Ts = true
            let first = try session.submit(.write(lba: 0, bytes).sending(.nothing))
            let connection = session.connection(session.leading)
            connection?.sendFilter = { pdu in
                if pdu.opcode == WirePDU.Opcode.scsiCommand { pdu.initiatorTaskTag = first.initiatorTaskTag }
                return .whole
            }
            try session.submit(.testUnitReady)
            connection?.sendFilter = nil
            return nil
        },
        SequenceRule(
            "the reserved task tag", .rejected([protocolError, invalidField]),
            command(.testUnitReady, awaited: false) { $0.initiatorTaskTag = WirePDU.noTag }),
        SequenceRule(
            "a reserved task attribute", .rejected([protocolError, invalidField]),
            command(.testUnitReady, awaited: false) { $0.header[1] |= 7 }),
        SequenceRule(
            "an additional header of no known type", .rejected([protocolError, invalidField]),
            command(.testUnitReady, awaited: false) { $0.additionalHeader = [0, 5, 0x3F, 0, 0, 0, 0, 0] }),
        SequenceRule(
            "an additional header longer than its place", .rejected([protocolError, invalidField]),
            command(.testUnitReady, awaited: false) { $0.additionalHeader = [0, 9, 1, 0, 0, 0, 0, 0] }),
    ]

    private static let requests: [SequenceRule] = [
        SequenceRule(
            "an operation code that is reserved", .rejected([commandNotSupported, protocolError]), request(0x1A)),
        SequenceRule(
            "an operation code of targets", .rejected([commandNotSupported, protocolError]),
            request(WirePDU.Opcode.dataIn)),
        SequenceRule("a second login", .rejected([protocolError]), request(WirePDU.Opcode.loginRequest, flags: 0x87)),
        SequenceRule(
            "a SNACK at level 0", .rejected([snackReject, protocolError, commandNotSupported]),
            request(WirePDU.Opcode.snack, flags: 0x81) { $0.header[0] = WirePDU.Opcode.snack }),
        SequenceRule(
            "a logout for no reason that is known", .rejected([protocolError, invalidField]),
            request(WirePDU.Opcode.logoutRequest, flags: 0x85)),
        SequenceRule(
            "a Text Request that goes on from nowhere", .rejected([protocolError, invalidField]),
            request(WirePDU.Opcode.textRequest, data: .text([("SendTargets", "All")])) { $0.targetTransferTag = 5 }),
        SequenceRule(
            "a Text Request with F and C", .rejected([protocolError, invalidField]),
            request(WirePDU.Opcode.textRequest, flags: 0xC0, data: .text([("SendTargets", "All")]))),
        SequenceRule(
            "a ping with a CmdSN and no task tag", .rejected([protocolError, invalidField]),
            request(WirePDU.Opcode.nopOut) {
                $0.header[0] = WirePDU.Opcode.nopOut
                $0.initiatorTaskTag = WirePDU.noTag
            }),
        SequenceRule(
            "the answer to a ping that was never sent", .rejectedOrIgnored([protocolError, invalidField]),
            request(WirePDU.Opcode.nopOut) {
                $0.initiatorTaskTag = WirePDU.noTag
                $0.targetTransferTag = 0x1234
            }),
    ]
}
