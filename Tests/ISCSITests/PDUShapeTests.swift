// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

@Suite("PDUs stand on the wire as the standard draws them")
struct PDUShapeTests {
    private let numbers = SequenceNumbers(statSN: 0x2122_2324, expCmdSN: 0x3132_3334, maxCmdSN: 0x4142_4344)

    private func header(_ text: String) -> [UInt8] {
        let known = bytes(hexadecimal: text)
        return known + [UInt8](repeating: 0, count: BasicHeaderSegment.byteCount - known.count)
    }

    @Test("SCSI Command")
    func scsiCommand() {
        let pdu = SCSICommandPDU(
            isImmediate: true, isFinal: true, reads: true, attribute: SCSICommandPDU.Attribute.simple,
            lun: LogicalUnitNumber(5), initiatorTaskTag: 0x0102_0304, expectedDataTransferLength: 512,
            cmdSN: 0x1112_1314, expStatSN: 0x2122_2324,
            cdb: [0x28, 0, 0, 0, 0, 0x0A, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        #expect(
            pdu.encoded
                == header(
                    """
                    41c10000 00000000 0005000000000000 01020304 00000200 11121314 21222324
                    28000000 000a0000 01000000 00000000
                    """))
    }

    @Test("Data-In with status and residual")
    func dataIn() {
        var pdu = DataInPDU(
            lun: LogicalUnitNumber(0), initiatorTaskTag: 7, expCmdSN: numbers.expCmdSN, maxCmdSN: numbers.maxCmdSN,
            dataSN: 3, bufferOffset: 0x0100, dataSegmentLength: 0x010203, isFinal: false)
        #expect(
            pdu.encoded
                == header(
                    """
                    25000000 00010203 0000000000000000 00000007 ffffffff 00000000 31323334 41424344
                    00000003 00000100 00000000
                    """))
        pdu.setStatus(.good, statSN: numbers.statSN, residual: Residual(amount: .underflow(0x99)))
        #expect(
            pdu.encoded
                == header(
                    """
                    25830000 00010203 0000000000000000 00000007 ffffffff 21222324 31323334 41424344
                    00000003 00000100 00000099
                    """))
    }

    @Test("SCSI Response with both residuals")
    func scsiResponse() {
        let pdu = SCSIResponsePDU(
            initiatorTaskTag: 7, status: .checkCondition, statSN: numbers.statSN, expCmdSN: numbers.expCmdSN,
            maxCmdSN: numbers.maxCmdSN, expDataSN: 2,
            residual: Residual(amount: .overflow(1), bidirectionalRead: .underflow(2)), dataSegmentLength: 20)
        #expect(
            pdu.encoded
                == header(
                    """
                    218c0002 00000014 0000000000000000 00000007 00000000 21222324 31323334 41424344
                    00000002 00000002 00000001
                    """))
    }

    @Test("R2T")
    func r2t() {
        let pdu = R2TPDU(
            lun: LogicalUnitNumber(1), initiatorTaskTag: 7, targetTransferTag: 8, statSN: numbers.statSN,
            expCmdSN: numbers.expCmdSN, maxCmdSN: numbers.maxCmdSN, r2tSN: 2, bufferOffset: 0x1000,
            desiredDataTransferLength: 0x2000)
        #expect(
            pdu.encoded
                == header(
                    """
                    31800000 00000000 0001000000000000 00000007 00000008 21222324 31323334 41424344
                    00000002 00001000 00002000
                    """))
    }

    @Test("Login Request and Login Response")
    func login() {
        let request = LoginRequestPDU(
            wantsTransit: true, current: .loginOperationalNegotiation, next: .fullFeaturePhase,
            isid: InitiatorSessionIdentifier(rawValue: 0x8001_0203_0405), tsih: 0x0607, initiatorTaskTag: 9,
            cid: 0x0A0B, cmdSN: 1, expStatSN: 2, dataSegmentLength: 3)
        #expect(
            request.encoded
                == header("43870000 00000003 800102030405 0607 00000009 0a0b0000 00000001 00000002"))
        let response = LoginResponsePDU(
            transits: true, current: 1, next: 3, isid: request.isid, tsih: 0x0607, initiatorTaskTag: 9,
            numbers: numbers, status: .authenticationFailure)
        #expect(
            response.encoded
                == header(
                    """
                    23870000 00000000 800102030405 0607 00000009 00000000 21222324 31323334 41424344
                    02010000
                    """))
    }

    @Test("Task management, logout, reject")
    func others() {
        let abort = TaskManagementRequestPDU(
            function: .abortTask, lun: LogicalUnitNumber(0), initiatorTaskTag: 1, referencedTaskTag: 2, cmdSN: 3,
            expStatSN: 4, refCmdSN: 5)
        #expect(
            abort.encoded
                == header("42810000 00000000 0000000000000000 00000001 00000002 00000003 00000004 00000005"))
        let logout = LogoutRequestPDU(
            reason: .closeConnection, initiatorTaskTag: 1, cid: 2, cmdSN: 3, expStatSN: 4)
        #expect(
            logout.encoded == header("46810000 00000000 0000000000000000 00000001 00020000 00000003 00000004"))
        let reject = RejectPDU(reason: .protocolError, numbers: numbers)
        #expect(
            reject.encoded
                == header("3f800400 00000030 0000000000000000 ffffffff 00000000 21222324 31323334 41424344"))
    }

    // MARK: Headers that are refused

    private func legalHeader(_ opcode: InitiatorOpcode) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: BasicHeaderSegment.byteCount)
        header[0] = opcode.rawValue
        header[1] = 0x80
        header[19] = 1
        return header
    }

    private func decode(_ header: [UInt8], _ ahs: [UInt8] = []) throws(PDUError) {
        let span = header.span.bytes
        switch InitiatorOpcode(rawValue: header[0] & 0x3F)! {
        case .nopOut: _ = try NOPOutPDU(span)
        case .scsiCommand: _ = try SCSICommandPDU(span, additionalHeaderSegments: ahs.span.bytes)
        case .taskManagement: _ = try TaskManagementRequestPDU(span)
        case .login: _ = try LoginRequestPDU(span)
        case .text: _ = try TextRequestPDU(span)
        case .dataOut: _ = try DataOutPDU(span)
        case .logout: _ = try LogoutRequestPDU(span)
        case .snackRequest: _ = try SNACKRequestPDU(span)
        }
    }

    @Test("Plain requests are taken", arguments: InitiatorOpcode.allCases)
    func legal(opcode: InitiatorOpcode) throws {
        try decode(legalHeader(opcode))
    }

    /// Opcode, bytes to set by offset, what happens.
    static let illegal: [(InitiatorOpcode, [Int: UInt8], PDUError)] = [
        // Additional header segments belong to SCSI Command alone.
        (.nopOut, [4: 1], .reject(.invalidPDUField)), (.taskManagement, [4: 1], .reject(.invalidPDUField)),
        (.text, [4: 1], .reject(.invalidPDUField)), (.dataOut, [4: 1], .reject(.invalidPDUField)),
        (.logout, [4: 1], .reject(.invalidPDUField)), (.snackRequest, [4: 1], .reject(.invalidPDUField)),
        (.login, [4: 1], .dropConnection(.notALoginRequest)),
        // The reserved tag names no task.
        (.scsiCommand, reservedTag, .reject(.protocolError)), (.dataOut, reservedTag, .reject(.protocolError)),
        (.taskManagement, reservedTag, .reject(.protocolError)), (.text, reservedTag, .reject(.protocolError)),
        (.logout, reservedTag, .reject(.protocolError)), (.nopOut, reservedTag, .reject(.protocolError)),
        // SCSI Command: neither W nor F; reserved attributes; data or lengths without a direction.
        (.scsiCommand, [1: 0x00], .reject(.protocolError)), (.scsiCommand, [1: 0x40], .reject(.protocolError)),
        (.scsiCommand, [1: 0x85], .reject(.protocolError)), (.scsiCommand, [1: 0x87], .reject(.protocolError)),
        (.scsiCommand, [23: 1], .reject(.protocolError)), (.scsiCommand, [7: 1], .reject(.protocolError)),
        (.scsiCommand, [1: 0xC0, 7: 1, 23: 1], .reject(.protocolError)),
        (.scsiCommand, [1: 0xA0, 7: 2, 23: 1], .reject(.protocolError)),
        // Text that goes on cannot be final.
        (.text, [1: 0xC0], .reject(.protocolError)),
        // Unknown codes.
        (.logout, [1: 0x83], .reject(.protocolError)), (.logout, [1: 0xFF], .reject(.protocolError)),
        (.snackRequest, [1: 0x84], .reject(.protocolError)),
        // Data segments where there are none.
        (.logout, [7: 1], .reject(.invalidPDUField)), (.taskManagement, [5: 1], .reject(.invalidPDUField)),
    ]

    private static let reservedTag: [Int: UInt8] = [16: 0xFF, 17: 0xFF, 18: 0xFF, 19: 0xFF]

    @Test("Headers against the rules are refused", arguments: illegal.indices)
    func refused(index: Int) {
        let (opcode, changes, expected) = Self.illegal[index]
        var header = legalHeader(opcode)
        for (offset, value) in changes { header[offset] = value }
        #expect(throws: expected) { try decode(header) }
    }

    /// Additional header segments, and what happens to a bidirectional command with them.
    static let segments: [(String, PDUError?)] = [
        ("00050200 00001000", nil),
        ("00110100 00112233 44556677 8899aabb ccddeeff", nil),
        ("00020100 aa000000", nil),
        ("00110100 00112233 44556677 8899aabb ccddeeff 00050200 00001000", nil),
        // A type that does not exist; both twice; lengths that do not fit.
        ("00050300 00001000", .reject(.invalidPDUField)), ("00050000 00001000", .reject(.invalidPDUField)),
        ("00050200 00001000 00050200 00001000", .reject(.invalidPDUField)),
        ("00020100 aa000000 00020100 aa000000", .reject(.invalidPDUField)),
        ("00060200 00001000", .reject(.invalidPDUField)), ("00040200 00001000", .reject(.invalidPDUField)),
        ("00000200 00001000", .reject(.invalidPDUField)), ("ffff0100 00001000", .reject(.invalidPDUField)),
        ("00010100", .reject(.invalidPDUField)), ("00000000", .reject(.invalidPDUField)),
        // A CDB of 33 bytes.
        ("00120100 00112233 44556677 8899aabb ccddeeff 11000000", .reject(.commandNotSupported)),
    ]

    @Test("Additional header segments are checked", arguments: segments.indices)
    func additionalHeaderSegments(index: Int) {
        let (text, expected) = Self.segments[index]
        let ahs = bytes(hexadecimal: text)
        var header = legalHeader(.scsiCommand)
        header[1] = 0xE0
        header[4] = UInt8(ahs.count / 4)
        if let expected {
            #expect(throws: expected) { try decode(header, ahs) }
        } else {
            #expect(throws: Never.self) { try decode(header, ahs) }
        }
    }

    @Test("A bidirectional length needs both directions", arguments: [0x80, 0xC0, 0xA0] as [UInt8])
    func bidirectional(flags: UInt8) {
        var header = legalHeader(.scsiCommand)
        header[1] = flags
        header[4] = 2
        #expect(throws: PDUError.reject(.protocolError)) { try decode(header, bytes(hexadecimal: "0005020000001000")) }
    }

    @Test("A header or its additional segments cut short drop the connection")
    func truncated() {
        #expect(throws: PDUError.dropConnection(.truncatedHeader)) {
            try decode(Array(legalHeader(.dataOut)[..<47]))
        }
        #expect(throws: PDUError.dropConnection(.truncatedHeader)) {
            try decode(Array(legalHeader(.scsiCommand)[..<40]))
        }
        var header = legalHeader(.scsiCommand)
        header[4] = 2
        #expect(throws: PDUError.dropConnection(.truncatedHeader)) { try decode(header, [0, 1, 1, 0]) }
    }

    @Test("No header of random bytes makes a decoder trap", arguments: Seeds.some)
    func fuzz(seed: UInt64) {
        var any = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            var header = any.bytes(BasicHeaderSegment.byteCount)
            header[0] = header[0] & 0x40 | InitiatorOpcode.allCases.randomElement(using: &any)!.rawValue
            let ahs = any.bytes(any.flag() ? Int(header[4]) * 4 : Int.random(in: 0...40, using: &any))
            try? decode(header, ahs)
            let span = header.span.bytes
            _ = try? SCSIResponsePDU(span)
            _ = try? DataInPDU(span)
            _ = try? R2TPDU(span)
            _ = try? TaskManagementResponsePDU(span)
            _ = try? LoginResponsePDU(span)
            _ = try? TextResponsePDU(span)
            _ = try? LogoutResponsePDU(span)
            _ = try? NOPInPDU(span)
            _ = try? AsyncMessagePDU(span)
            _ = try? RejectPDU(span)
        }
    }
}
