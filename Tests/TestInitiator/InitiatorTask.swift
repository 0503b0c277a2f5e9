// SPDX-License-Identifier: Apache-2.0

/// One command under way: what was sent of it, what came, and whether that is what RFC 7143 promises.
///
/// Data of this file: its identity and what goes out. What comes in is in InitiatorTask+Receive.
package final class InitiatorTask {
    /// What the data of a task are cut by.
    struct Limits {
        var immediateData: Bool
        var initialR2T: Bool
        var firstBurst: Int
        var maxBurst: Int
        var outstandingR2Ts: Int
        /// Bytes of the longest data segment to the target, and to us.
        var targetSegment: Int
        var ownSegment: Int
        var errorRecoveryLevel: Int
    }

    struct DataIn {
        var offset: Int
        var byteCount: Int
        var isFinal: Bool
    }

    package struct R2T: Equatable {
        package var number: UInt32
        package var targetTransferTag: UInt32
        package var offset: Int
        package var byteCount: Int
    }

    package let command: InitiatorCommand
    package let initiatorTaskTag: UInt32
    package let cmdSN: UInt32
    let lun: Int
    /// The connection that it is allegiant to.
    package internal(set) var cid: UInt16
    package internal(set) var outcome: CommandOutcome?
    /// The reason of a Reject of its command, if that is how it ended.
    package internal(set) var rejection: UInt8?
    /// R2Ts that came and were not answered: the session holds them because the test says so.
    package internal(set) var heldR2Ts: [R2T] = []
    /// How many R2Ts and Data-Ins came (once each).
    package internal(set) var r2tCount = 0
    package internal(set) var dataInCount = 0

    var limits: Limits
    var data: [UInt8]
    /// By DataSN.
    var pieces: [UInt32: DataIn] = [:]
    /// By R2TSN. R2Ts and Data-Ins of a bidirectional command share their numbers (RFC 7143 11.7.5).
    var r2ts: [UInt32: R2T] = [:]
    /// The first number that did not come.
    var nextNumber: UInt32 = 0
    /// A response that says that more was sent than came.
    var heldResponse: WirePDU?
    /// Of a status that came and is not acknowledged yet.
    var statSN: UInt32?
    /// The end of what was sent unasked or asked for.
    var solicitedEnd: Int
    /// Numbers and offsets of R2Ts may begin anew: the task was reassigned, or data of it were damaged.
    var isRecovering = false
    /// R2Ts of other connections are in the target's count, and not in ours.
    var wasReassigned = false
    /// First numbers of runs that were asked for again.
    var askedNumbers: Set<UInt32> = []
    /// The SNACK Tag of the last R-Data SNACK.
    var snackTag: UInt32 = 0
    /// DataACKs that wait for missing data: Target Transfer Tag and LUN.
    var acknowledgements: [(tag: UInt32, lun: Int)] = []

    init(_ command: InitiatorCommand, lun: Int, tag: UInt32, cmdSN: UInt32, cid: UInt16, limits: Limits) {
        self.command = command
        self.lun = lun
        initiatorTaskTag = tag
        self.cmdSN = cmdSN
        self.cid = cid
        self.limits = limits
        data = [UInt8](repeating: 0, count: command.readingByteCount)
        solicitedEnd = 0
        solicitedEnd = immediateByteCount + unsolicitedByteCount
    }

    package var isEnded: Bool { outcome != nil || rejection != nil }

    // MARK: Out

    var immediateByteCount: Int {
        switch command.unsolicited {
        case .exactly(let immediate, _): return immediate
        case .most:
            guard limits.immediateData else { return 0 }
            return min(command.writing.count, limits.firstBurst, limits.targetSegment)
        }
    }

    /// Bytes of Data-Out that nobody asks for, behind the immediate data.
    var unsolicitedByteCount: Int {
        switch command.unsolicited {
        case .exactly(_, let dataOut): return dataOut
        case .most:
            guard !limits.initialR2T else { return 0 }
            return min(command.writing.count, limits.firstBurst) - immediateByteCount
        }
    }

    /// The SCSI Command with its immediate data (RFC 7143 11.3). ExpStatSN is the connection's to fill in.
    func commandPDU() -> WirePDU {
        var pdu = WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: command.attribute.rawValue)
        if command.isImmediate { pdu.header[0] |= WirePDU.immediate }
        if unsolicitedByteCount == 0 { pdu.header[1] |= WirePDU.final }
        if command.readingByteCount > 0 { pdu.header[1] |= 0x40 }
        if command.expectedWriteByteCount > 0 { pdu.header[1] |= 0x20 }
        pdu.lun = lun
        pdu.initiatorTaskTag = initiatorTaskTag
        pdu.expectedLength = UInt32(
            command.expectedWriteByteCount > 0 ? command.expectedWriteByteCount : command.readingByteCount)
        pdu.cmdSN = cmdSN
        let fixed = command.cdb.prefix(16)
        pdu.header.replaceSubrange(32..<32 + fixed.count, with: fixed)
        pdu.additionalHeader = Self.extendedCDB(command.cdb.dropFirst(16))
        if command.isBidirectional {
            // Bidirectional Read Expected Data Transfer Length (RFC 7143 11.2.2.4).
            pdu.additionalHeader += [0, 5, 2, 0] + bigEndian(UInt64(command.readingByteCount), count: 4)
        }
        pdu.data = [UInt8](command.writing.prefix(immediateByteCount))
        return pdu
    }

    /// An Extended CDB segment (RFC 7143 11.2.2.3): its length counts the reserved byte, not the padding.
    private static func extendedCDB(_ rest: ArraySlice<UInt8>) -> [UInt8] {
        guard !rest.isEmpty else { return [] }
        let padding = [UInt8](repeating: 0, count: -rest.count & 3)
        return bigEndian(UInt64(rest.count + 1), count: 2) + [1, 0] + rest + padding
    }

    /// The Data-Out PDUs that follow the command without being asked for.
    func unsolicitedDataOut() -> [WirePDU] {
        let start = immediateByteCount
        return dataOut(start..<start + unsolicitedByteCount, targetTransferTag: WirePDU.noTag)
    }

    /// The Data-Out PDUs that an R2T asks for.
    package func dataOut(_ r2t: R2T) -> [WirePDU] {
        dataOut(r2t.offset..<r2t.offset + r2t.byteCount, targetTransferTag: r2t.targetTransferTag)
    }

    private func dataOut(_ range: Range<Int>, targetTransferTag: UInt32) -> [WirePDU] {
        stride(from: range.lowerBound, to: range.upperBound, by: limits.targetSegment).enumerated().map {
            let end = min($1 + limits.targetSegment, range.upperBound)
            var pdu = WirePDU(opcode: WirePDU.Opcode.dataOut, flags: end == range.upperBound ? WirePDU.final : 0)
            pdu.lun = lun
            pdu.initiatorTaskTag = initiatorTaskTag
            pdu.targetTransferTag = targetTransferTag
            pdu.dataSN = UInt32($0)
            pdu.bufferOffset = UInt32($1)
            // Expected beyond what the test gave: zeroes.
            let source = command.writing[min($1, command.writing.count)..<min(end, command.writing.count)]
            pdu.data = [UInt8](source) + [UInt8](repeating: 0, count: end - $1 - source.count)
            return pdu
        }
    }
}
