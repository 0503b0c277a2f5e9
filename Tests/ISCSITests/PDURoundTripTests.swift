// SPDX-License-Identifier: Apache-2.0

import ISCSI
import SCSI
import Testing

@Suite("PDUs are read as they were written")
struct PDURoundTripTests {
    /// Encodes into memory full of rubbish, so that a reserved field left alone shows.
    private func encode(_ pdu: some EncodablePDU) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xA5, count: BasicHeaderSegment.byteCount)
        var span = bytes.mutableSpan
        var header = span.mutableBytes
        pdu.encode(into: &header)
        #expect(bytes == pdu.encoded)
        return bytes
    }

    private func roundTrip<PDU: EncodablePDU & Equatable>(
        _ pdu: PDU, _ decode: (RawSpan) throws -> PDU
    ) throws {
        let bytes = encode(pdu)
        let again = try decode(bytes.span.bytes)
        #expect(again == pdu)
    }

    @Test("PDUs from the initiator", arguments: Seeds.some)
    func initiator(seed: UInt64) throws {
        var any = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            try roundTrip(
                DataOutPDU(
                    isFinal: any.flag(), lun: any.lun(), initiatorTaskTag: any.tag(), targetTransferTag: any.word(),
                    expStatSN: any.word(), dataSN: any.word(), bufferOffset: any.word(),
                    dataSegmentLength: any.length())
            ) { try DataOutPDU($0) }
            try roundTrip(
                TaskManagementRequestPDU(
                    isImmediate: any.flag(), function: TaskManagementFunctionCode.allCases.randomElement(using: &any)!,
                    lun: any.lun(), initiatorTaskTag: any.tag(), referencedTaskTag: any.word(), cmdSN: any.word(),
                    expStatSN: any.word(), refCmdSN: any.word(), expDataSN: any.word())
            ) { try TaskManagementRequestPDU($0) }
            try roundTrip(
                LoginRequestPDU(
                    wantsTransit: any.flag(), continues: any.flag(),
                    current: LoginStage.allCases.randomElement(using: &any)!,
                    next: LoginStage.allCases.randomElement(using: &any)!, versionMax: any.byte(),
                    versionMin: any.byte(), isid: InitiatorSessionIdentifier(rawValue: UInt64(any.word()) << 16),
                    tsih: any.half(), initiatorTaskTag: any.word(), cid: any.half(), cmdSN: any.word(),
                    expStatSN: any.word(), dataSegmentLength: any.length())
            ) { try LoginRequestPDU($0) }
            let isFinal = any.flag()
            try roundTrip(
                TextRequestPDU(
                    isImmediate: any.flag(), isFinal: isFinal, continues: !isFinal && any.flag(), lun: any.lun(),
                    initiatorTaskTag: any.tag(), targetTransferTag: any.word(), cmdSN: any.word(),
                    expStatSN: any.word(), dataSegmentLength: any.length())
            ) { try TextRequestPDU($0) }
            try roundTrip(
                LogoutRequestPDU(
                    isImmediate: any.flag(), reason: LogoutReason.allCases.randomElement(using: &any)!,
                    initiatorTaskTag: any.tag(), cid: any.half(), cmdSN: any.word(), expStatSN: any.word())
            ) { try LogoutRequestPDU($0) }
            try roundTrip(
                NOPOutPDU(
                    isImmediate: any.flag(), lun: any.lun(), initiatorTaskTag: any.tag(),
                    targetTransferTag: any.word(), cmdSN: any.word(), expStatSN: any.word(),
                    dataSegmentLength: any.length())
            ) { try NOPOutPDU($0) }
            try roundTrip(
                SNACKRequestPDU(
                    kind: SNACKRequestPDU.Kind.allCases.randomElement(using: &any)!, lun: any.lun(),
                    initiatorTaskTag: any.word(), targetTransferTag: any.word(), expStatSN: any.word(),
                    begRun: any.word(), runLength: any.word())
            ) { try SNACKRequestPDU($0) }
        }
    }

    @Test("SCSI Commands with every kind of additional header segment", arguments: Seeds.some)
    func scsiCommand(seed: UInt64) throws {
        var any = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let reads = any.flag()
            let writes = any.flag()
            let cdb = any.bytes(any.flag() ? 16 : Int.random(in: 17...32, using: &any))
            let expected = reads || writes ? any.word() : 0
            let pdu = SCSICommandPDU(
                isImmediate: any.flag(), isFinal: writes ? any.flag() : true, reads: reads, writes: writes,
                attribute: UInt8.random(in: 0...4, using: &any), lun: any.lun(), initiatorTaskTag: any.tag(),
                expectedDataTransferLength: expected, cmdSN: any.word(), expStatSN: any.word(),
                cdb: try #require(CommandDescriptorBlock(cdb)),
                bidirectionalReadLength: reads && writes && any.flag() ? any.word() : nil,
                dataSegmentLength: writes ? min(expected, any.length()) : 0)
            let ahs = pdu.additionalHeaderSegments
            #expect(ahs.count % 4 == 0)
            let header = encode(pdu)
            #expect(Int(header[4]) * 4 == ahs.count)
            let again = try SCSICommandPDU(header.span.bytes, additionalHeaderSegments: ahs.span.bytes)
            #expect(again == pdu)
        }
    }

    @Test("PDUs from the target", arguments: Seeds.some)
    func target(seed: UInt64) throws {
        var any = SeededGenerator(seed: seed)
        let statuses: [Status] = [
            .good, .checkCondition, .conditionMet, .busy, .reservationConflict, .taskSetFull, .acaActive, .taskAborted,
        ]
        for _ in 0..<100 {
            try roundTrip(
                SCSIResponsePDU(
                    initiatorTaskTag: any.tag(),
                    response: SCSIResponsePDU.Response.allCases.randomElement(using: &any)!,
                    status: statuses.randomElement(using: &any)!, statSN: any.word(), expCmdSN: any.word(),
                    maxCmdSN: any.word(), expDataSN: any.word(),
                    residual: Residual(amount: any.residual(), bidirectionalRead: any.residual()),
                    dataSegmentLength: any.length())
            ) { try SCSIResponsePDU($0) }
            var dataIn = DataInPDU(
                lun: LogicalUnitNumber(0), initiatorTaskTag: any.tag(), expCmdSN: any.word(), maxCmdSN: any.word(),
                dataSN: any.word(), bufferOffset: any.word(), dataSegmentLength: any.length(), isFinal: any.flag())
            if any.flag() {
                dataIn.requestsAcknowledgement = true
                dataIn.lun = any.lun()
                dataIn.targetTransferTag = any.tag()
            }
            try roundTrip(dataIn) { try DataInPDU($0) }
            dataIn.setStatus(
                statuses.randomElement(using: &any)!, statSN: any.word(), residual: Residual(amount: any.residual()))
            #expect(dataIn.isFinal)
            try roundTrip(dataIn) { try DataInPDU($0) }
            try roundTrip(
                R2TPDU(
                    lun: any.lun(), initiatorTaskTag: any.tag(), targetTransferTag: any.tag(), statSN: any.word(),
                    expCmdSN: any.word(), maxCmdSN: any.word(), r2tSN: any.word(), bufferOffset: any.word(),
                    desiredDataTransferLength: max(1, any.word()))
            ) { try R2TPDU($0) }
            try roundTrip(
                TaskManagementResponsePDU(
                    response: TaskManagementResponseCode.allCases.randomElement(using: &any)!,
                    initiatorTaskTag: any.tag(), numbers: any.numbers(), additionalInformation: any.word())
            ) { try TaskManagementResponsePDU($0) }
            var login = LoginResponsePDU(
                transits: any.flag(), continues: any.flag(), current: UInt8.random(in: 0...3, using: &any),
                next: UInt8.random(in: 0...3, using: &any),
                isid: InitiatorSessionIdentifier(rawValue: .max), tsih: any.half(), initiatorTaskTag: any.word(),
                numbers: any.numbers(), status: LoginStatus.allCases.randomElement(using: &any)!,
                dataSegmentLength: any.length())
            login.versionMax = any.byte()
            login.versionActive = any.byte()
            try roundTrip(login) { try LoginResponsePDU($0) }
            let isFinal = any.flag()
            try roundTrip(
                TextResponsePDU(
                    isFinal: isFinal, continues: !isFinal && any.flag(), lun: any.lun(), initiatorTaskTag: any.tag(),
                    targetTransferTag: isFinal ? BasicHeaderSegment.reservedTag : any.tag(), numbers: any.numbers(),
                    dataSegmentLength: any.length())
            ) { try TextResponsePDU($0) }
            try roundTrip(
                LogoutResponsePDU(
                    response: LogoutResponseCode.allCases.randomElement(using: &any)!, initiatorTaskTag: any.tag(),
                    numbers: any.numbers(), time2WaitSeconds: any.half(), time2RetainSeconds: any.half())
            ) { try LogoutResponsePDU($0) }
            try roundTrip(
                NOPInPDU(
                    lun: any.lun(), initiatorTaskTag: any.word(), targetTransferTag: any.word(),
                    numbers: any.numbers(), dataSegmentLength: any.length())
            ) { try NOPInPDU($0) }
            try roundTrip(
                RejectPDU(
                    reason: RejectReason.allCases.randomElement(using: &any)!, numbers: any.numbers(),
                    dataSN: any.word(), dataSegmentLength: any.length())
            ) { try RejectPDU($0) }
            let events: [AsyncEvent] = [
                .scsiAsynchronousEvent, .requestsLogout(timeSeconds: any.half()),
                .dropsConnection(
                    cid: any.half(), time2WaitSeconds: any.half(), time2RetainSeconds: any.half()),
                .dropsAllConnections(time2WaitSeconds: any.half(), time2RetainSeconds: any.half()),
                .requestsNegotiation(timeSeconds: any.half()), .terminatesTasks(parameter1: any.half()),
                .vendorSpecific(
                    code: any.byte(), parameter1: any.half(), parameter2: any.half(), parameter3: any.half()),
            ]
            for event in events {
                try roundTrip(
                    AsyncMessagePDU(
                        event: event, lun: any.lun(), numbers: any.numbers(), dataSegmentLength: any.length())
                ) { try AsyncMessagePDU($0) }
            }
        }
    }
}
