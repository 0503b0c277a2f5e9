// SPDX-License-Identifier: Apache-2.0

package import ISCSI
package import SCSI

/// One session whose command queue is kept full: bytes of the target go in, PDUs come out into the batch. It knows no
/// socket and no clock, and allocates nothing once it is made.
@safe package final class Pipeline {
    /// What is the same for every command of a session.
    package struct Setting: Sendable {
        package var lun: LogicalUnitNumber
        package var area: Area
        package var blockByteCount: Int
        package var queueDepth: Int
        package var seed: UInt64
        package var parameters: NegotiatedParameters

        package init(
            lun: LogicalUnitNumber, area: Area, blockByteCount: Int, queueDepth: Int, seed: UInt64,
            parameters: NegotiatedParameters
        ) {
            self.lun = lun
            self.area = area
            self.blockByteCount = blockByteCount
            self.queueDepth = queueDepth
            self.seed = seed
            self.parameters = parameters
        }

        var unitByteCount: Int { Int(area.blocksPerUnit) * blockByteCount }
    }

    /// A command that may be outstanding. Its index is the Initiator Task Tag.
    struct Slot {
        var unit: UInt64 = 0
        var startedNanoseconds: UInt64 = 0
        var writeCount: UInt32 = 0
        /// Bytes of Data-In, all in order.
        var receivedByteCount = 0
        /// Bytes of a write that were put in PDUs or promised to a burst.
        var promisedByteCount = 0
        /// Of the next Data-In or R2T.
        var nextDataSN: UInt32 = 0
        var isWrite = false
        var isOutstanding = false
    }

    /// Data-Out PDUs that are owed to the target: for an R2T, or unsolicited.
    struct Burst {
        var slot: UInt32
        var targetTransferTag: UInt32
        var offset: Int
        var end: Int
        var dataSN: UInt32 = 0
    }

    /// NOP-Ins that may wait for their answer. A target sends one when it has heard nothing for long.
    static let pendingNOPLimit = 16

    package let batch = SendBatch()
    package let measurement: Measurement
    let setting: Setting
    let workload: Workload
    let pattern: BlockPattern
    let templates: CommandTemplates
    let framer: PDUFramer
    let unitByteCount: Int
    package internal(set) var numbers: InitiatorNumbers
    /// Commands under way.
    package internal(set) var outstandingCount = 0

    let slots: UnsafeMutableBufferPointer<Slot>
    /// A stack: the first `queueDepth - outstandingCount` are free.
    let freeSlots: UnsafeMutableBufferPointer<UInt32>
    /// A ring: each command has at most one unsolicited burst and, as MaxOutstandingR2T is 1, one solicited.
    let bursts: UnsafeMutableBufferPointer<Burst>
    var firstBurst = 0
    var burstCount = 0
    var pendingNOPs: [NOPInPDU] = []
    /// The data of each verified command, one after another; otherwise what every write carries.
    let data: UnsafeMutableRawBufferPointer

    package init(_ setting: Setting, numbers: InitiatorNumbers, workload: Workload, measurement: Measurement) {
        self.setting = setting
        self.numbers = numbers
        self.workload = workload
        self.measurement = measurement
        pattern = BlockPattern(seed: setting.seed, blockByteCount: setting.blockByteCount)
        templates = CommandTemplates(setting)
        unitByteCount = setting.unitByteCount
        var framer = PDUFramer()
        framer.hasHeaderDigest = setting.parameters.hasHeaderDigest
        framer.hasDataDigest = setting.parameters.hasDataDigest
        framer.maxDataSegmentLength = setting.parameters.maxReceiveDataSegmentLength
        self.framer = framer
        batch.hasHeaderDigest = framer.hasHeaderDigest
        batch.hasDataDigest = framer.hasDataDigest
        pendingNOPs.reserveCapacity(Self.pendingNOPLimit)
        let depth = setting.queueDepth
        unsafe slots = .allocate(capacity: depth)
        unsafe slots.initialize(repeating: Slot())
        unsafe freeSlots = .allocate(capacity: depth)
        for index in 0..<depth { unsafe freeSlots.initializeElement(at: index, to: UInt32(depth - 1 - index)) }
        unsafe bursts = .allocate(capacity: 2 * depth)
        unsafe bursts.initialize(repeating: Burst(slot: 0, targetTransferTag: 0, offset: 0, end: 0))
        unsafe data = .allocate(byteCount: (workload.verifies ? depth : 1) * unitByteCount, alignment: 4096)
        var span = unsafe data.mutableBytes
        pattern.fill(&span, lba: setting.area.firstLBA, writeCount: 0)
    }

    deinit {
        unsafe slots.deallocate()
        unsafe freeSlots.deallocate()
        unsafe bursts.deallocate()
        unsafe data.deallocate()
    }

    /// Bytes `range` of the data of a command.
    func data(of slot: Int, _ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        let start = workload.verifies ? slot * unitByteCount : 0
        return unsafe UnsafeMutableRawBufferPointer(rebasing: data[start + range.lowerBound..<start + range.upperBound])
    }

    // MARK: To the target

    /// Puts into the batch what may be sent, as far as it has room: answers, owed data, new commands as queue depth,
    /// command window and workload allow.
    package func pump(now: UInt64) {
        while batch.hasRoom {
            if burstCount > 0 {
                sendDataOut()
            } else if !pendingNOPs.isEmpty {
                sendNOPOut(pendingNOPs.removeFirst())
            } else if outstandingCount < setting.queueDepth, numbers.isWindowOpen, let operation = workload.next() {
                start(operation, now)
            } else {
                return
            }
        }
    }

    private func start(_ operation: Operation, _ now: UInt64) {
        outstandingCount += 1
        let tag = unsafe freeSlots[setting.queueDepth - outstandingCount]
        let index = Int(tag)
        let template = operation.isWrite ? templates.write : templates.read
        // `tag` is an index of `slots`: it came from the stack of free ones.
        unsafe slots[index] = Slot(
            unit: operation.unit, startedNanoseconds: now, writeCount: operation.writeCount,
            promisedByteCount: template.immediateByteCount + template.unsolicitedByteCount,
            isWrite: operation.isWrite, isOutstanding: true)
        let lba = setting.area.lba(of: operation.unit)
        if operation.isWrite && workload.verifies {
            var span = unsafe data(of: index, 0..<unitByteCount).mutableBytes
            pattern.fill(&span, lba: lba, writeCount: operation.writeCount)
        }
        batch.addHeader {
            template.encode(into: &$0, tag: tag, lba: lba, cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN)
        }
        numbers.cmdSN &+= 1
        unsafe batch.addData(UnsafeRawBufferPointer(data(of: index, 0..<template.immediateByteCount)))
        if template.unsolicitedByteCount > 0 {
            let end = template.immediateByteCount + template.unsolicitedByteCount
            owe(
                Burst(
                    slot: tag, targetTransferTag: DataOutPDU.unsolicited, offset: template.immediateByteCount, end: end)
            )
        }
    }

    /// The ring has room for all that the rules allow: the caller has checked them.
    func owe(_ burst: Burst) {
        unsafe bursts[(firstBurst + burstCount) % bursts.count] = burst
        burstCount += 1
    }

    private func sendDataOut() {
        var burst = unsafe bursts[firstBurst]
        let byteCount = min(burst.end - burst.offset, setting.parameters.maxSendDataSegmentLength)
        let isLast = burst.offset + byteCount == burst.end
        let pdu = DataOutPDU(
            isFinal: isLast, lun: setting.lun, initiatorTaskTag: burst.slot,
            targetTransferTag: burst.targetTransferTag, expStatSN: numbers.expStatSN, dataSN: burst.dataSN,
            bufferOffset: UInt32(burst.offset), dataSegmentLength: UInt32(byteCount))
        batch.addHeader { pdu.encode(into: &$0) }
        unsafe batch.addData(
            UnsafeRawBufferPointer(data(of: Int(burst.slot), burst.offset..<burst.offset + byteCount)))
        if isLast {
            firstBurst = unsafe (firstBurst + 1) % bursts.count
            burstCount -= 1
        } else {
            burst.offset += byteCount
            burst.dataSN &+= 1
            unsafe bursts[firstBurst] = burst
        }
    }

    private func sendNOPOut(_ ping: NOPInPDU) {
        let answer = NOPOutPDU(
            isImmediate: true, lun: ping.lun, initiatorTaskTag: BasicHeaderSegment.reservedTag,
            targetTransferTag: ping.targetTransferTag, cmdSN: numbers.cmdSN, expStatSN: numbers.expStatSN)
        batch.addHeader { answer.encode(into: &$0) }
    }
}
