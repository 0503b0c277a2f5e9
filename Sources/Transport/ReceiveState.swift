// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// Bytes that a connection has received and not yet worked off: the loop's batch while it is lent, and between turns a
/// copy of what was left of it. Holds memory of its own only while there is something left.
@safe struct ReceiveBuffer {
    private var lease = BufferLease.none
    /// Of the lent batch, or of the lease.
    private var base: UnsafeRawPointer?
    private var start = 0
    private var end = 0

    /// Least memory for what is left: most often the beginning of one PDU.
    private static let leastByteCount = 16 << 10

    var byteCount: Int { end - start }
    var isEmpty: Bool { start == end }

    /// What has been received, oldest first.
    var bytes: UnsafeRawBufferPointer {
        guard let base = unsafe base else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: base + start, count: byteCount)
    }

    func copy() -> [UInt8] { unsafe Array(bytes) }

    /// Works on `batch` itself, until `keepRest`. Only while empty.
    mutating func lend(_ batch: UnsafeRawBufferPointer) {
        precondition(isEmpty)
        unsafe base = batch.baseAddress
        start = 0
        end = batch.count
    }

    /// The lent batch is about to go: what is left of it is copied.
    mutating func keepRest(pool: BufferPool) {
        if isEmpty {
            giveBack(to: pool)
        } else if unsafe lease.isEmpty || base != UnsafeRawPointer(lease.base) {
            let rest = unsafe bytes
            start = 0
            end = 0
            unsafe append(rest, pool: pool)
        }
    }

    /// Copies `more` behind what is held.
    mutating func append(_ more: UnsafeRawBufferPointer, pool: BufferPool) {
        let held = byteCount
        let needed = held + more.count
        if needed > lease.byteCount {
            let larger = pool.lease(byteCount: max(needed, Self.leastByteCount))
            if let target = unsafe larger.base, let source = unsafe bytes.baseAddress {
                unsafe target.copyMemory(from: source, byteCount: held)
            }
            pool.giveBack(lease)
            lease = larger
        } else if start > 0, let target = unsafe lease.base {
            unsafe target.copyMemory(from: target + start, byteCount: held)
        }
        guard let target = unsafe lease.base, let source = more.baseAddress else { return }
        // The lease holds `needed` bytes.
        unsafe (target + held).copyMemory(from: source, byteCount: more.count)
        unsafe base = UnsafeRawPointer(target)
        start = 0
        end = needed
    }

    mutating func consume(_ byteCount: Int) {
        precondition(byteCount <= self.byteCount)
        start += byteCount
    }

    mutating func giveBack(to pool: BufferPool) {
        if !lease.isEmpty {
            pool.giveBack(lease)
            lease = .none
        }
        unsafe base = nil
        start = 0
        end = 0
    }
}

/// A data segment whose PDU header has been worked off: its bytes go straight to where they belong, the rest of the
/// PDU (bytes nobody wants, padding, digest) is taken from the receive buffer.
@safe struct DataSegment {
    /// The command that the data belong to; nil when they are to be forgotten.
    var task: Borrowed<ISCSITask>?
    /// Where the next byte goes: inside the lease of `task`, which holds `placeByteCount` bytes from here on.
    var target: UnsafeMutableRawPointer?
    var placeByteCount = 0
    var discardByteCount = 0
    /// Padding, and the data digest when there is one.
    var paddingByteCount = 0
    var hasDigest = false
    var digest = CRC32C()
    /// Of all its data in the command's buffer.
    var placement = WriteTransfer.Placement(offset: 0, byteCount: 0)
    /// The PDU's header, where a wrong data digest is answered with a Reject that shows it: error recovery levels above
    /// 0, with data digests.
    var header: [UInt8] = []

    /// The task has lost its buffer: what is still to come is forgotten.
    mutating func forget() {
        task = nil
        unsafe target = nil
        discardByteCount += placeByteCount
        placeByteCount = 0
    }

    var trailerByteCount: Int { paddingByteCount + (hasDigest ? 4 : 0) }
}

extension DataSegment {
    /// The data segment of `frame`, of which nobody wants anything.
    init(forgetting frame: PDUFramer.Frame) {
        discardByteCount = frame.dataByteCount
        paddingByteCount = frame.paddingByteCount
        hasDigest = frame.hasDataDigest
    }

    /// The data segment of `frame`: its first `placeByteCount` bytes go to the task's buffer, from `offset` on.
    init(for task: ISCSITask, frame: PDUFramer.Frame, offset: Int, placeByteCount: Int) {
        self.init(forgetting: frame)
        self.task = Borrowed(task)
        placement = WriteTransfer.Placement(offset: offset, byteCount: placeByteCount)
        guard placeByteCount > 0 else { return }
        // A transfer never places more than its command wants, and so much has been leased, or the early part of it.
        precondition(offset + placeByteCount <= task.lease.byteCount && placeByteCount <= frame.dataByteCount)
        unsafe target = task.lease.base.map { unsafe $0 + offset }
        self.placeByteCount = placeByteCount
        discardByteCount = frame.dataByteCount - placeByteCount
    }
}
