// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI

/// From the target: PDUs out of the stream, and what follows from each.
extension Pipeline {
    /// Works off all whole PDUs that `bytes` begin with. Returns how many bytes they took.
    package func take(_ bytes: RawSpan, now: UInt64) throws(LoadFailure) -> Int {
        var offset = 0
        while true {
            let rest = bytes.extracting(droppingFirst: offset)
            guard let frame = try Self.cut(rest, framer) else { return offset }
            let pdu = rest.extracting(first: frame.totalByteCount)
            guard framer.dataDigestMatches(frame, in: pdu) else {
                throw .runTime("the target sent data with a wrong digest")
            }
            let data = pdu.extracting(frame.dataOffset..<frame.dataOffset + frame.dataByteCount)
            try take(header: pdu.extracting(first: BasicHeaderSegment.byteCount), data: data, now: now)
            offset += frame.totalByteCount
        }
    }

    /// The PDU that `bytes` begin with; nil when it is not whole.
    @inline(__always)
    static func cut(_ bytes: RawSpan, _ framer: PDUFramer) throws(LoadFailure) -> PDUFramer.Frame? {
        do throws(PDUError) {
            if case .whole(let frame) = try framer.next(bytes) { return frame }
            return nil
        } catch {
            throw illegal(error, "a PDU")
        }
    }

    @inline(never)
    static func illegal(_ error: PDUError, _ pdu: String) -> LoadFailure {
        switch error {
        case .dropConnection(.headerDigestError): .runTime("the target sent a header with a wrong digest")
        case .dropConnection(.dataSegmentTooLong):
            .runTime("the target sent a data segment longer than our MaxRecvDataSegmentLength")
        case .dropConnection(let reason): .runTime("the target sent \(pdu) that nobody can follow (\(reason))")
        case .reject(let reason): .runTime("the target sent \(pdu) that RFC 7143 does not allow (\(reason))")
        }
    }

    private func take(header: RawSpan, data: RawSpan, now: UInt64) throws(LoadFailure) {
        guard let opcode = BasicHeaderSegment.targetOpcode(of: header) else {
            let code = String(BasicHeaderSegment.rawOpcode(of: header), radix: 16)
            throw .runTime("the target sent a PDU of the unknown operation code 0x\(code)")
        }
        switch opcode {
        case .dataIn:
            try takeDataIn(try Self.decode("Data-In") { () throws(PDUError) in try DataInPDU(header) }, data, now)
        case .scsiResponse:
            let pdu = try Self.decode("SCSI Response") { () throws(PDUError) in try SCSIResponsePDU(header) }
            try takeResponse(pdu, data, now)
        case .readyToTransfer:
            try takeR2T(try Self.decode("R2T") { () throws(PDUError) in try R2TPDU(header) })
        case .nopIn:
            try takeNOPIn(try Self.decode("NOP-In") { () throws(PDUError) in try NOPInPDU(header) })
        case .reject:
            throw Self.failure(try Self.decode("Reject") { () throws(PDUError) in try RejectPDU(header) })
        case .asyncMessage:
            throw Self.failure(
                try Self.decode("Asynchronous Message") { () throws(PDUError) in try AsyncMessagePDU(header) }, data)
        case .loginResponse, .textResponse, .logoutResponse, .taskManagementResponse:
            throw .runTime("the target sent a PDU that nobody asked for (\(opcode))")
        }
    }

    @inline(__always)
    static func decode<PDU>(
        _ name: StaticString, _ make: () throws(PDUError) -> PDU
    ) throws(LoadFailure) -> PDU {
        do throws(PDUError) { return try make() } catch { throw illegal(error, "\(name)") }
    }

    // MARK: Commands

    /// The outstanding command of a tag.
    @inline(__always)
    private func slot(_ tag: UInt32, _ name: StaticString) throws(LoadFailure) -> Int {
        // The tag is an index only once it has been compared with the count.
        guard tag < UInt32(setting.queueDepth), unsafe slots[Int(tag)].isOutstanding else {
            throw Self.notOutstanding(tag, name)
        }
        return Int(tag)
    }

    @inline(never)
    private static func notOutstanding(_ tag: UInt32, _ name: StaticString) -> LoadFailure {
        .runTime("the target sent \(name) for the task \(String(tag, radix: 16))h, which is not outstanding")
    }

    private func takeDataIn(_ pdu: DataInPDU, _ bytes: RawSpan, _ now: UInt64) throws(LoadFailure) {
        let index = try slot(pdu.initiatorTaskTag, "Data-In")
        numbers.takeWindow(expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        let received = unsafe slots[index].receivedByteCount
        guard unsafe !slots[index].isWrite else { throw .runTime("the target sent Data-In for a write") }
        guard unsafe pdu.dataSN == slots[index].nextDataSN else {
            throw .runTime("the target sent DataSN \(pdu.dataSN) where \(unsafe slots[index].nextDataSN) was due")
        }
        guard Int(pdu.bufferOffset) == received, bytes.byteCount <= unitByteCount - received else {
            throw .runTime(
                "the target sent \(bytes.byteCount) bytes at offset \(pdu.bufferOffset) of a read of "
                    + "\(unitByteCount) bytes, where offset \(received) was due")
        }
        if workload.verifies {
            let place = unsafe data(of: index, received..<received + bytes.byteCount)
            // The target's bytes and ours are as many, and lie apart.
            unsafe bytes.withUnsafeBytes { unsafe place.copyMemory(from: $0) }
        }
        unsafe slots[index].receivedByteCount = received + bytes.byteCount
        unsafe slots[index].nextDataSN &+= 1
        guard let ending = pdu.ending else { return }
        try numbers.takeStatus(ending.statSN)
        try finish(index, ending.status, ending.residual, RawSpan(), now)
    }

    private func takeResponse(_ pdu: SCSIResponsePDU, _ bytes: RawSpan, _ now: UInt64) throws(LoadFailure) {
        let index = try slot(pdu.initiatorTaskTag, "SCSI Response")
        numbers.takeWindow(expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        try numbers.takeStatus(pdu.statSN)
        guard pdu.response == .commandCompletedAtTarget else {
            throw .runTime("\(words(index)) ended without a status: the target itself failed")
        }
        try finish(index, pdu.status, pdu.residual.amount, bytes, now)
    }

    @inline(__always)
    private func finish(
        _ index: Int, _ status: Status, _ residual: Residual.Amount, _ response: RawSpan, _ now: UInt64
    ) throws(LoadFailure) {
        guard status == .good, residual == .none else { throw failure(index, status, residual, response) }
        let slot = unsafe slots[index]
        let moved = slot.isWrite ? slot.promisedByteCount : slot.receivedByteCount
        guard moved == unitByteCount else {
            throw .runTime("\(words(index)) ended with GOOD, but only \(moved) of \(unitByteCount) bytes were moved")
        }
        if workload.verifies && !slot.isWrite { try verify(index) }
        measurement.record(nanoseconds: now &- slot.startedNanoseconds, isWrite: slot.isWrite)
        workload.finish(slot.unit)
        unsafe slots[index].isOutstanding = false
        unsafe freeSlots[setting.queueDepth - outstandingCount] = UInt32(index)
        outstandingCount -= 1
    }

    private func verify(_ index: Int) throws(LoadFailure) {
        let slot = unsafe slots[index]
        let bytes = unsafe UnsafeRawBufferPointer(data(of: index, 0..<unitByteCount))
        let mismatch = unsafe pattern.mismatch(
            in: bytes.bytes, lba: setting.area.lba(of: slot.unit), writeCount: slot.writeCount)
        if let mismatch { throw .runTime(mismatch.sentence(seed: setting.seed)) }
    }

    @inline(never)
    private func failure(
        _ index: Int, _ status: Status, _ residual: Residual.Amount, _ response: RawSpan
    ) -> LoadFailure {
        guard status == .good else {
            return .runTime("\(words(index)) ended with \(SenseWords.sentence(status, responseData: response))")
        }
        return switch residual {
        case .none: .runTime("\(words(index)) failed")
        case .underflow(let count): .runTime("\(words(index)) ended with GOOD, but \(count) bytes were not moved")
        case .overflow(let count): .runTime("\(words(index)) ended with GOOD, but wanted to move \(count) bytes more")
        }
    }

    /// "the read of 8 blocks at block 1024 of LUN 0".
    private func words(_ index: Int) -> String {
        let slot = unsafe slots[index]
        let blocks = setting.area.blocksPerUnit == 1 ? "1 block" : "\(setting.area.blocksPerUnit) blocks"
        let lba = setting.area.lba(of: slot.unit)
        return "the \(slot.isWrite ? "write" : "read") of \(blocks) at block \(lba) of LUN \(setting.lun)"
    }

    // MARK: Everything else

    private func takeR2T(_ pdu: R2TPDU) throws(LoadFailure) {
        let index = try slot(pdu.initiatorTaskTag, "R2T")
        numbers.takeWindow(expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
        let slot = unsafe slots[index]
        let (offset, byteCount) = (Int(pdu.bufferOffset), Int(pdu.desiredDataTransferLength))
        guard slot.isWrite else { throw .runTime("the target sent R2T for a read") }
        guard pdu.r2tSN == slot.nextDataSN else {
            throw .runTime("the target sent R2TSN \(pdu.r2tSN) where \(slot.nextDataSN) was due")
        }
        guard offset == slot.promisedByteCount, byteCount <= unitByteCount - offset,
            byteCount <= setting.parameters.session.maxBurstLength
        else {
            throw .runTime(
                "the target asks for \(byteCount) bytes at offset \(offset) of a write of \(unitByteCount) bytes, "
                    + "where offset \(slot.promisedByteCount) and a burst of "
                    + "\(setting.parameters.session.maxBurstLength) bytes at most was due")
        }
        // Only as many fit as MaxOutstandingR2T=1 allows: the target must have all data of one R2T before the next.
        guard unsafe burstCount < bursts.count else {
            throw .runTime("the target sends more R2Ts than MaxOutstandingR2T=1 allows")
        }
        unsafe slots[index].nextDataSN &+= 1
        unsafe slots[index].promisedByteCount = offset + byteCount
        owe(
            Burst(
                slot: pdu.initiatorTaskTag, targetTransferTag: pdu.targetTransferTag, offset: offset,
                end: offset + byteCount))
    }

    private func takeNOPIn(_ pdu: NOPInPDU) throws(LoadFailure) {
        numbers.takeWindow(expCmdSN: pdu.numbers.expCmdSN, maxCmdSN: pdu.numbers.maxCmdSN)
        guard pdu.initiatorTaskTag == BasicHeaderSegment.reservedTag else {
            throw .runTime("the target answers a NOP-Out that was not sent")
        }
        // It only tells of the command window.
        guard pdu.targetTransferTag != BasicHeaderSegment.reservedTag else { return }
        guard pendingNOPs.count < Self.pendingNOPLimit else {
            throw .runTime("the target sends NOP-Ins faster than it takes the answers")
        }
        pendingNOPs.append(pdu)
    }

    private static func failure(_ pdu: RejectPDU) -> LoadFailure {
        .runTime("the target rejected a PDU of ours (\(pdu.reason))")
    }

    private static func failure(_ pdu: AsyncMessagePDU, _ data: RawSpan) -> LoadFailure {
        switch pdu.event {
        case .scsiAsynchronousEvent:
            let sense = SenseWords.sentence(.checkCondition, responseData: data)
            return .runTime("the target sent an asynchronous event: \(sense)")
        case .requestsLogout(let seconds):
            return .runTime("the target wants us to log out within \(seconds) seconds")
        case .dropsConnection, .dropsAllConnections:
            return .runTime("the target announced that it drops the connection")
        case .requestsNegotiation:
            return .runTime("the target wants to negotiate anew, which a bench does not do")
        case .terminatesTasks:
            return .runTime("the target ends all tasks of the logical unit: somebody has reset it")
        case .vendorSpecific(let code, _, _, _):
            return .runTime("the target sent an asynchronous event of its vendor's, code \(code)")
        }
    }
}
