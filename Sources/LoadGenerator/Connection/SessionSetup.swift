// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import ISCSI
internal import SCSI

/// Everything before the load: one PDU at a time, each waited for.
final class SessionSetup {
    let socket: InitiatorSocket
    let buffer = ReceiveBuffer()
    private(set) var numbers = InitiatorNumbers(cmdSN: 1)
    private(set) var parameters = NegotiatedParameters()
    private let lun: LogicalUnitNumber
    private let url: LoadURL
    private let stop: StopSignal
    private let batch = SendBatch()
    private var framer = PDUFramer()

    /// How long a target may take for an answer here.
    private static let answerLimitSeconds = 10.0
    /// PDUs that may come before the one that answers.
    private static let otherPDULimit = 64
    private static let unitAttentionLimit = 16

    /// A PDU of the target.
    private struct Received {
        var header: [UInt8]
        var data: [UInt8]
    }

    /// How a command ended: its Data-In, or the data segment of its SCSI Response.
    private struct Answer {
        var status: Status
        var data: [UInt8]

        var sense: SenseData? { unsafe SenseWords.sense(data.span.bytes) }
        var words: String { unsafe SenseWords.sentence(status, responseData: data.span.bytes) }
    }

    struct Capacity: Equatable {
        var blockCount: UInt64
        var blockByteCount: Int
    }

    /// Connects and logs in.
    init(_ options: LoadOptions, isid: InitiatorSessionIdentifier, stop: StopSignal) throws(LoadFailure) {
        url = options.url
        lun = LogicalUnitNumber(options.url.lun)
        self.stop = stop
        socket = try InitiatorSocket.connected(to: options.url, stop: stop)
        var proposal = LoginRequester.Proposal(
            initiatorName: options.initiatorName, targetName: options.url.targetName, isid: isid,
            digests: options.digests)
        proposal.maxReceiveDataSegmentLength = ReceiveBuffer.maxDataSegmentLength
        try logIn(proposal)
    }

    private func logIn(_ proposal: LoginRequester.Proposal) throws(LoadFailure) {
        var login = LoginRequester(proposal)
        while !login.isDone {
            let request = login.nextRequest()
            try send(request.pdu, request.text)
            let received = try receive()
            guard unsafe BasicHeaderSegment.targetOpcode(of: received.header.span.bytes) == .loginResponse else {
                throw .runTime("\(url.portal) answers a login with something else: is it an iSCSI target?")
            }
            let response = try Pipeline.decode("Login Response") { () throws(PDUError) in
                try unsafe LoginResponsePDU(received.header.span.bytes)
            }
            try login.take(response, text: received.data)
        }
        numbers = login.numbers
        parameters = login.parameters
        batch.hasHeaderDigest = parameters.hasHeaderDigest
        batch.hasDataDigest = parameters.hasDataDigest
        framer.hasHeaderDigest = parameters.hasHeaderDigest
        framer.hasDataDigest = parameters.hasDataDigest
        framer.maxDataSegmentLength = parameters.maxReceiveDataSegmentLength
    }

    // MARK: Commands

    /// TEST UNIT READY until it ends well: a new session has unit attentions to hear of.
    func waitUntilReady() throws(LoadFailure) {
        _ = try runUntilGood([OperationCode.testUnitReady.rawValue], expecting: 0, named: "TEST UNIT READY")
    }

    func readCapacity() throws(LoadFailure) -> Capacity {
        var cdb = [UInt8](repeating: 0, count: 16)
        cdb[0] = OperationCode.serviceActionIn16.rawValue
        cdb[1] = 0x10  // READ CAPACITY(16), SBC-4 5.16
        cdb[13] = UInt8(ReadCapacityData.sixteenByteCount)
        let long = try run(skippingUnitAttentions: cdb, expecting: ReadCapacityData.sixteenByteCount)
        if long.status == .good {
            guard long.data.count >= 12 else { throw .runTime("the target answers READ CAPACITY(16) with too little") }
            return try capacity(lastLBA: bigEndian(long.data, 0..<8), blockByteCount: bigEndian(long.data, 8..<12))
        }
        // Disks of before 2 TiB know only the short form.
        guard long.sense?.key == .illegalRequest else {
            throw .runTime("READ CAPACITY(16) of LUN \(lun) ended with \(long.words)")
        }
        let data = try runUntilGood(
            [OperationCode.readCapacity10.rawValue] + [UInt8](repeating: 0, count: 9),
            expecting: ReadCapacityData.tenByteCount, named: "READ CAPACITY(10)")
        guard data.count >= 8 else { throw .runTime("the target answers READ CAPACITY(10) with too little") }
        return try capacity(lastLBA: bigEndian(data, 0..<4), blockByteCount: bigEndian(data, 4..<8))
    }

    private func capacity(lastLBA: UInt64, blockByteCount: UInt64) throws(LoadFailure) -> Capacity {
        guard lastLBA < UInt64(Int64.max) / 65536, blockByteCount >= 512, blockByteCount <= 65536,
            blockByteCount % 8 == 0
        else {
            throw .runTime(
                "LUN \(lun) has a last block \(lastLBA) and blocks of \(blockByteCount) bytes: it is no disk")
        }
        return Capacity(blockCount: lastLBA + 1, blockByteCount: Int(blockByteCount))
    }

    private func bigEndian(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
        bytes[range].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func runUntilGood(_ cdb: [UInt8], expecting count: Int, named name: String) throws(LoadFailure) -> [UInt8] {
        let answer = try run(skippingUnitAttentions: cdb, expecting: count)
        guard answer.status == .good else {
            if answer.sense?.additional == .logicalUnitNotSupported {
                throw .runTime("there is no LUN \(lun) at \(url.targetName): \(name) ended with \(answer.words)")
            }
            throw .runTime("\(name) of LUN \(lun) ended with \(answer.words)")
        }
        return answer.data
    }

    private func run(skippingUnitAttentions cdb: [UInt8], expecting count: Int) throws(LoadFailure) -> Answer {
        var answer = try run(cdb, expecting: count)
        for _ in 0..<Self.unitAttentionLimit where answer.sense?.key == .unitAttention {
            answer = try run(cdb, expecting: count)
        }
        return answer
    }

    private func run(_ cdb: [UInt8], expecting count: Int) throws(LoadFailure) -> Answer {
        let tag: UInt32 = 0
        try send(
            SCSICommandPDU(
                reads: count > 0, lun: lun, initiatorTaskTag: tag, expectedDataTransferLength: UInt32(count),
                cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN,
                cdb: CommandDescriptorBlock(cdb) ?? CommandDescriptorBlock()), [])
        numbers.cmdSN &+= 1
        var data: [UInt8] = []
        for _ in 0..<Self.otherPDULimit {
            let received = try receive()
            let header = unsafe received.header.span.bytes
            switch BasicHeaderSegment.targetOpcode(of: header) {
            case .dataIn:
                let pdu = try Pipeline.decode("Data-In") { () throws(PDUError) in try DataInPDU(header) }
                try check(pdu.initiatorTaskTag == tag && pdu.bufferOffset == data.count)
                try check(data.count + received.data.count <= count)
                numbers.takeWindow(expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
                data += received.data
                guard let ending = pdu.ending else { continue }
                try numbers.takeStatus(ending.statSN)
                return Answer(status: ending.status, data: ending.status == .good ? data : [])
            case .scsiResponse:
                let pdu = try Pipeline.decode("SCSI Response") { () throws(PDUError) in try SCSIResponsePDU(header) }
                try check(pdu.initiatorTaskTag == tag && pdu.response == .commandCompletedAtTarget)
                numbers.takeWindow(expCmdSN: pdu.expCmdSN, maxCmdSN: pdu.maxCmdSN)
                try numbers.takeStatus(pdu.statSN)
                return Answer(status: pdu.status, data: pdu.status == .good ? data : received.data)
            case .nopIn:
                try answer(try Pipeline.decode("NOP-In") { () throws(PDUError) in try NOPInPDU(header) })
            default:
                try check(false)
            }
        }
        throw .runTime("the target answers a command with many PDUs, but no status")
    }

    private func check(_ isRight: Bool) throws(LoadFailure) {
        if !isRight { throw .runTime("the target answers a command with PDUs that do not belong to it") }
    }

    private func answer(_ ping: NOPInPDU) throws(LoadFailure) {
        guard ping.targetTransferTag != BasicHeaderSegment.reservedTag else { return }
        try send(
            NOPOutPDU(
                isImmediate: true, lun: ping.lun, initiatorTaskTag: BasicHeaderSegment.reservedTag,
                targetTransferTag: ping.targetTransferTag, cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN), [])
    }

    // MARK: PDUs

    private func send(_ pdu: some EncodablePDU, _ text: [UInt8]) throws(LoadFailure) {
        batch.addHeader { pdu.encode(into: &$0) }
        let deadline = Clock.after(seconds: Self.answerLimitSeconds)
        do {
            // The text stays where it is until the batch is empty.
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 8)
            defer { unsafe copy.deallocate() }
            unsafe copy.copyBytes(from: text)
            unsafe batch.addData(UnsafeRawBufferPointer(copy))
            while !batch.isEmpty {
                switch try unsafe socket.send(batch.pending) {
                case .bytes(let count): batch.sent(count)
                case .wouldBlock: try socket.wait(for: POLLOUT, until: deadline, stop, orElse: silence)
                }
            }
        }
    }

    private var silence: String { "\(url.portal) does not answer for \(Int(Self.answerLimitSeconds)) seconds" }

    /// Another protocol's bytes may announce any length: they are not waited for.
    private func checkProtocol() throws(LoadFailure) {
        let filled = unsafe buffer.filled
        guard filled.count >= BasicHeaderSegment.byteCount,
            unsafe BasicHeaderSegment.targetOpcode(of: filled.bytes) == nil
        else { return }
        throw .runTime("\(url.portal) answers with something that is not iSCSI")
    }

    private func receive() throws(LoadFailure) -> Received {
        let deadline = Clock.after(seconds: Self.answerLimitSeconds)
        while true {
            let filled = unsafe buffer.filled
            if let frame = try unsafe Pipeline.cut(filled.bytes, framer) {
                guard unsafe framer.dataDigestMatches(frame, in: filled.bytes) else {
                    throw .runTime("the target sent data with a wrong digest")
                }
                let received = unsafe Received(
                    header: Array(filled[..<BasicHeaderSegment.byteCount]),
                    data: Array(filled[frame.dataOffset..<frame.dataOffset + frame.dataByteCount]))
                buffer.consumed(frame.totalByteCount)
                return received
            }
            try checkProtocol()
            try socket.wait(for: POLLIN, until: deadline, stop, orElse: silence)
            if case .bytes(let count) = try unsafe socket.receive(into: buffer.free, mayBlock: false) {
                buffer.added(count)
            }
        }
    }
}
