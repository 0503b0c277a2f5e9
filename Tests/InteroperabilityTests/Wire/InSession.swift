// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

/// What an initiator may send, once logged in, that breaks RFC 7143 or SAM-5.
enum InSession: String, CaseIterable, CustomTestStringConvertible {
    case unknownOpcode = "an opcode that nobody defined"
    case targetOpcode = "an opcode that only targets send"
    case secondLogin = "a login in the full-feature phase"
    case longSegment = "a data segment beyond MaxRecvDataSegmentLength"
    case strayDataOut = "Data-Out for no task"
    case strayDataOutWithTag = "Data-Out for an R2T that was never sent"
    case wrongOffset = "unsolicited Data-Out at the wrong offset"
    case wrongDataSN = "unsolicited Data-Out with the wrong DataSN"
    case tooMuchData = "more unsolicited data than the first burst"
    case dataPastTheEnd = "Data-Out past the expected length"
    case immediatePastTheEnd = "more immediate data than the command expects"
    case noEnd = "a command whose data never come"
    case bothDirections = "a read and write command in one without its additional header"
    case brokenAdditionalHeader = "an additional header segment longer than it can be"
    case unknownAdditionalHeader = "an additional header segment of no known type"
    case tooFarCmdSN = "a CmdSN beyond the window"
    case staleCmdSN = "a CmdSN that was used long ago"
    case missingCommand = "a gap in CmdSN that is never filled"
    case sameTagTwice = "two commands with one tag"
    case reservedTag = "the reserved task tag on a command"
    case snack = "SNACK at error recovery level 0"
    case brokenText = "a Text Request of garbage"
    case endlessText = "a Text Request that continues without its tag"
    case unknownTaskManagement = "a task management function of no known code"
    case unknownLogoutReason = "a logout reason of no known code"
    case strayNOP = "a NOP-Out answer to a NOP-In that was never sent"
    case longCDBOfOnes = "a CDB of ones"
    case farUnit = "a logical unit number of 64 ones"

    var testDescription: String { rawValue }

    /// Whether a target at error recovery level 0 has no way but to end the connection.
    var mustBeClosed: Bool { self == .longSegment }

    func bytes(_ session: WireSession) -> [UInt8] {
        var bytes = pdus(session).flatMap { $0.encoded() }
        if self == .longSegment {
            bytes.replaceSubrange(5..<8, with: [0xFF, 0xFF, 0xFF])
            bytes += [UInt8](repeating: 0x42, count: 1 << 20)
        }
        return bytes
    }

    private func pdus(_ session: WireSession) -> [WirePDU] {
        var write = Self.write(session)
        switch self {
        case .unknownOpcode: return [WirePDU(opcode: 0x1A | WirePDU.immediate)]
        case .targetOpcode: return [WirePDU(opcode: WirePDU.Opcode.dataIn, data: [1, 2, 3])]
        case .secondLogin: return [WireSession.loginRequest([("MaxBurstLength", "512")])]
        case .longSegment: return [write]
        case .strayDataOut: return [Self.dataOut(tag: 0x7777)]
        case .strayDataOutWithTag: return [Self.dataOut(tag: 0x7777, transferTag: 0x1234)]
        case .wrongOffset: return [Self.withoutFinal(write), Self.dataOut(tag: write.initiatorTaskTag, offset: 8192)]
        case .wrongDataSN: return [Self.withoutFinal(write), Self.dataOut(tag: write.initiatorTaskTag, dataSN: 9)]
        case .tooMuchData:
            return [Self.withoutFinal(write)]
                + (0..<64).map {
                    Self.dataOut(tag: write.initiatorTaskTag, offset: $0 * 4096, dataSN: $0, isFinal: false)
                }
        case .dataPastTheEnd:
            return [Self.withoutFinal(write), Self.dataOut(tag: write.initiatorTaskTag, offset: 0xFFFF_FE00)]
        case .immediatePastTheEnd:
            write.expectedLength = 512
            write.data = [UInt8](repeating: 7, count: 4096)
            return [write]
        case .noEnd: return [Self.withoutFinal(write)]
        case .bothDirections:
            write.header[1] |= 0x40
            return [write]
        case .brokenAdditionalHeader:
            write.additionalHeader = [0xFF, 0xFF, 1, 0, 0, 0, 0, 0]
            return [write]
        case .unknownAdditionalHeader:
            write.additionalHeader = [0, 5, 0x3F, 0, 0, 0, 0, 0]
            return [write]
        case .tooFarCmdSN:
            write.cmdSN = session.maxCmdSN &+ 1000
            return [write]
        case .staleCmdSN:
            write.cmdSN = session.cmdSN &- 1
            return [write]
        case .missingCommand:
            write.cmdSN = session.cmdSN &+ 1
            return [write]
        case .sameTagTwice:
            var second = write
            second.cmdSN = session.cmdSN &+ 1
            return [Self.withoutFinal(write), Self.withoutFinal(second)]
        case .reservedTag:
            write.initiatorTaskTag = WirePDU.noTag
            return [write]
        case .snack: return [WirePDU(opcode: WirePDU.Opcode.snack)]
        case .brokenText: return [Self.text(session, data: [UInt8](repeating: 0xFE, count: 333))]
        case .endlessText:
            return (0..<100).map { _ in
                var request = Self.text(session, data: .text([("X-more", String(repeating: "y", count: 4000))]))
                request.header[1] = 0x40
                return request
            }
        case .unknownTaskManagement:
            var request = WirePDU(opcode: WirePDU.Opcode.taskManagementRequest | WirePDU.immediate, flags: 0xFF)
            request.cmdSN = session.cmdSN
            return [request]
        case .unknownLogoutReason:
            var request = WirePDU(opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate, flags: 0xFE)
            request.cmdSN = session.cmdSN
            return [request]
        case .strayNOP:
            var nop = WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate)
            nop.initiatorTaskTag = WirePDU.noTag
            nop.targetTransferTag = 0x4444
            nop.cmdSN = session.cmdSN
            return [nop]
        case .longCDBOfOnes:
            write.header.replaceSubrange(32..<48, with: [UInt8](repeating: 0xFF, count: 16))
            write.additionalHeader = [0, 17, 1, 0] + [UInt8](repeating: 0xFF, count: 16)
            return [write]
        case .farUnit:
            write.header.replaceSubrange(8..<16, with: [UInt8](repeating: 0xFF, count: 8))
            return [write]
        }
    }

    /// A write of 128 KiB to block 0, with 4 KiB of immediate data; block 0 is nobody's in these tests.
    private static func write(_ session: WireSession) -> WirePDU {
        var pdu = WirePDU(
            opcode: WirePDU.Opcode.scsiCommand, flags: 0xA1, data: [UInt8](repeating: 0x66, count: 4096))
        pdu.lun = session.lun
        pdu.initiatorTaskTag = 0x5000
        pdu.expectedLength = 131_072
        pdu.cmdSN = session.cmdSN
        pdu.expStatSN = session.expStatSN
        pdu.header.replaceSubrange(32..<48, with: CDB.block16(0x8A, lba: 0, blockCount: 256))
        return pdu
    }

    private static func withoutFinal(_ pdu: WirePDU) -> WirePDU {
        var pdu = pdu
        pdu.header[1] &= ~WirePDU.final
        return pdu
    }

    private static func dataOut(
        tag: UInt32, transferTag: UInt32 = WirePDU.noTag, offset: Int = 4096, dataSN: Int = 0, isFinal: Bool = true
    ) -> WirePDU {
        var pdu = WirePDU(
            opcode: WirePDU.Opcode.dataOut, flags: isFinal ? WirePDU.final : 0,
            data: [UInt8](repeating: 0x67, count: 4096))
        pdu.initiatorTaskTag = tag
        pdu.targetTransferTag = transferTag
        pdu.bufferOffset = UInt32(offset)
        pdu.dataSN = UInt32(dataSN)
        return pdu
    }

    private static func text(_ session: WireSession, data: [UInt8]) -> WirePDU {
        var pdu = WirePDU(opcode: WirePDU.Opcode.textRequest | WirePDU.immediate, data: data)
        pdu.initiatorTaskTag = 0x6000
        pdu.targetTransferTag = WirePDU.noTag
        pdu.cmdSN = session.cmdSN
        return pdu
    }
}
