// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// Bytes that a connection has received and not yet worked off. Holds memory only while there are any.
struct ReceiveBuffer {
    private(set) var lease = BufferLease.none
    private(set) var start = 0
    private(set) var end = 0

    var byteCount: Int { end - start }
    var isEmpty: Bool { start == end }

    /// What has been received, oldest first.
    var bytes: UnsafeRawBufferPointer {
        guard let base = unsafe lease.base else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeRawBufferPointer(start: base + start, count: byteCount)
    }

    /// Where the next bytes go: never empty after `prepare`, as long as a PDU fits the buffer.
    var space: UnsafeMutableRawBufferPointer {
        guard let base = unsafe lease.base else { return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeMutableRawBufferPointer(start: base + end, count: lease.byteCount - end)
    }

    /// Memory of at least `byteCount` bytes, what is held moved to its start.
    mutating func prepare(byteCount: Int, pool: BufferPool) {
        if lease.byteCount >= byteCount {
            moveToStart()
            return
        }
        let larger = pool.lease(byteCount: byteCount)
        if let source = unsafe lease.base, let target = unsafe larger.base {
            // What is held fits: the larger lease holds at least as much as the smaller one.
            unsafe target.copyMemory(from: source + start, byteCount: self.byteCount)
        }
        end -= start
        start = 0
        pool.giveBack(lease)
        lease = larger
    }

    private mutating func moveToStart() {
        guard start > 0, let base = unsafe lease.base else { return }
        unsafe base.copyMemory(from: base + start, byteCount: byteCount)
        end -= start
        start = 0
    }

    mutating func received(_ byteCount: Int) {
        precondition(byteCount <= lease.byteCount - end)
        end += byteCount
    }

    mutating func consume(_ byteCount: Int) {
        precondition(byteCount <= self.byteCount)
        start += byteCount
    }

    mutating func giveBack(to pool: BufferPool) {
        pool.giveBack(lease)
        lease = .none
        start = 0
        end = 0
    }
}

/// A data segment whose PDU header has been worked off: its bytes go straight to where they belong, the rest of the
/// PDU (bytes nobody wants, padding, digest) is taken from the receive buffer.
@safe struct DataSegment {
    /// The command that the data belong to; nil when they are to be forgotten.
    var task: ISCSITask?
    /// Where the next byte goes: inside the lease of `task`, which holds `placeByteCount` bytes from here on.
    var target: UnsafeMutableRawPointer?
    var placeByteCount = 0
    var discardByteCount = 0
    /// Padding, and the data digest when there is one.
    var paddingByteCount = 0
    var hasDigest = false
    var digest = CRC32C()

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
        self.task = task
        guard placeByteCount > 0 else { return }
        // A transfer never places more than its command wants, and so much has been leased, or the early part of it.
        precondition(offset + placeByteCount <= task.lease.byteCount && placeByteCount <= frame.dataByteCount)
        unsafe target = task.lease.base.map { unsafe $0 + offset }
        self.placeByteCount = placeByteCount
        discardByteCount = frame.dataByteCount - placeByteCount
    }
}
