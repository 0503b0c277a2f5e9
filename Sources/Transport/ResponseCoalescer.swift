// SPDX-License-Identifier: Apache-2.0

package import CLinux
package import EventLoop

/// Whose memory a queued vector points into: told when the kernel has taken all of it.
open class SendOwner {
    public init() {}

    /// One vector of this owner has been sent, or will never be.
    open func vectorDone() {}
}

/// Gathers the PDUs that a connection has to send and decides when they leave, in as few `sendmsg` calls as there can
/// be. Headers, digests and short data segments live in slots of its own; longer data segments are sent from where
/// they are.
///
/// Today's rule: everything gathered in a turn leaves at its end; a turn that fills all slots sends in between.
@safe package final class ResponseCoalescer {
    /// PDUs that may be queued. A turn that makes more of them sends in between.
    package static let slotCount = 256
    /// A slot: header 48, header digest 4, short data segment with padding and digest up to `inlineByteCount`.
    package static let slotByteCount = 256
    package static let inlineByteCount = 192
    /// Header, data segment, and padding with digest.
    private static let vectorsPerPDU = 3
    private static let vectorCount = slotCount * vectorsPerPDU
    package enum FlushResult {
        case drained
        case blocked
        case failed(CInt)
    }

    @safe private struct Vector {
        var owner: Unmanaged<SendOwner>?
        var endsPDU: Bool
    }

    private let pool: BufferPool
    private var memory = BufferLease.none
    private var slots: UnsafeMutableRawPointer
    private var vectors: UnsafeMutablePointer<iovec>
    private var owners: UnsafeMutablePointer<Vector>
    private var firstVector = 0
    private var endVector = 0
    private var firstSlot = 0
    private var usedSlots = 0

    /// Bytes queued and not yet taken by the kernel.
    package private(set) var queuedByteCount = 0
    package private(set) var sendCount: UInt64 = 0
    package private(set) var sentPDUCount: UInt64 = 0
    package private(set) var sentByteCount: UInt64 = 0

    private static let vectorsOffset = slotCount * slotByteCount
    private static let ownersOffset = unsafe vectorsOffset + vectorCount * MemoryLayout<iovec>.stride
    private static let memoryByteCount = ownersOffset + vectorCount * MemoryLayout<Vector>.stride

    package init(pool: BufferPool) {
        self.pool = pool
        // Never touched while `memory` is empty: `takeMemory` comes first.
        unsafe slots = UnsafeMutableRawPointer(bitPattern: 16)!
        unsafe vectors = UnsafeMutablePointer(bitPattern: 16)!
        unsafe owners = UnsafeMutablePointer(bitPattern: 16)!
    }

    package var isEmpty: Bool { usedSlots == 0 }
    package var queuedPDUCount: Int { usedSlots }
    package var hasRoom: Bool { usedSlots < Self.slotCount }

    // MARK: Queueing

    /// The next free slot, to be filled from its start. Follow with one `append`. Only while `hasRoom`.
    package func nextSlot() -> UnsafeMutableRawBufferPointer {
        precondition(hasRoom)
        if memory.isEmpty { takeMemory() }
        let index = (firstSlot + usedSlots) % Self.slotCount
        // Inside the leased memory: index < slotCount.
        return unsafe UnsafeMutableRawBufferPointer(
            start: slots + index * Self.slotByteCount, count: Self.slotByteCount)
    }

    /// Queues the PDU whose first `leadByteCount` bytes stand in the slot that `nextSlot` gave.
    ///
    /// `data` follows it on the wire, from where it is, then `tailByteCount` bytes of the slot from `tailOffset`
    /// (padding and data digest). `owner.vectorDone` is called once, when `data` has been taken.
    package func append(
        leadByteCount: Int, data: UnsafeRawBufferPointer, owner: SendOwner?, tailOffset: Int, tailByteCount: Int
    ) {
        let slot = unsafe nextSlot()
        usedSlots += 1
        if endVector + Self.vectorsPerPDU > Self.vectorCount { moveVectorsDown() }
        unsafe push(slot.baseAddress, leadByteCount, nil)
        if unsafe !data.isEmpty {
            // Only read by the kernel; iovec has no constant form.
            unsafe push(
                UnsafeMutableRawPointer(mutating: data.baseAddress), data.count,
                owner.map { unsafe Unmanaged.passUnretained($0) })
        }
        if tailByteCount > 0 { unsafe push(slot.baseAddress.map { unsafe $0 + tailOffset }, tailByteCount, nil) }
        unsafe owners[endVector - 1].endsPDU = true
    }

    private func push(_ base: UnsafeMutableRawPointer?, _ byteCount: Int, _ owner: Unmanaged<SendOwner>?) {
        unsafe vectors[endVector] = unsafe iovec(iov_base: base, iov_len: byteCount)
        unsafe owners[endVector] = unsafe Vector(owner: owner, endsPDU: false)
        endVector += 1
        queuedByteCount += byteCount
    }

    /// What is queued of `owner` inside `old` is sent from the same place of the memory at `new` instead.
    package func move(
        vectorsOf owner: SendOwner, from old: UnsafeRawBufferPointer, to new: UnsafeMutableRawPointer?
    ) {
        guard let start = old.baseAddress, let new = unsafe new else { return }
        for index in firstVector..<endVector {
            guard let base = unsafe vectors[index].iov_base,
                unsafe owners[index].owner?.toOpaque() == Unmanaged.passUnretained(owner).toOpaque()
            else { continue }
            // A vector with an owner points into that owner's data.
            unsafe vectors[index].iov_base = new + (UnsafeRawPointer(base) - start)
        }
    }

    private func moveVectorsDown() {
        let count = endVector - firstVector
        unsafe vectors.update(from: vectors + firstVector, count: count)
        unsafe owners.update(from: owners + firstVector, count: count)
        firstVector = 0
        endVector = count
    }

    // MARK: Sending

    /// Sends all that is queued by `send`, as far as the socket takes it.
    package func flush(_ send: (UnsafeMutableBufferPointer<iovec>) -> SendResult) -> FlushResult {
        while firstVector < endVector {
            let batch = unsafe UnsafeMutableBufferPointer(start: vectors + firstVector, count: endVector - firstVector)
            switch unsafe send(batch) {
            case .sent(let count):
                sendCount += 1
                sentByteCount += UInt64(count)
                consume(count)
            case .blocked: return .blocked
            case .failed(let code): return .failed(code)
            }
        }
        giveMemoryBack()
        return .drained
    }

    /// Nothing queued will be sent: tells the owners.
    package func discard() {
        consume(queuedByteCount)
        giveMemoryBack()
    }

    private func consume(_ byteCount: Int) {
        var left = byteCount
        queuedByteCount -= byteCount
        while firstVector < endVector {
            let length = unsafe vectors[firstVector].iov_len
            guard length <= left else {
                unsafe vectors[firstVector].iov_base += left
                unsafe vectors[firstVector].iov_len = length - left
                return
            }
            left -= length
            let vector = unsafe owners[firstVector]
            firstVector += 1
            if vector.endsPDU {
                firstSlot = (firstSlot + 1) % Self.slotCount
                usedSlots -= 1
                sentPDUCount += 1
            }
            // The owner is kept alive by its session, or by itself, until this call.
            unsafe vector.owner?._withUnsafeGuaranteedRef { $0.vectorDone() }
        }
        firstVector = 0
        endVector = 0
    }

    // MARK: Memory

    private func takeMemory() {
        memory = pool.lease(byteCount: Self.memoryByteCount)
        guard let base = unsafe memory.base else { preconditionFailure("the pool leases at least a page") }
        unsafe slots = base
        unsafe vectors = (base + Self.vectorsOffset).bindMemory(to: iovec.self, capacity: Self.vectorCount)
        unsafe owners = (base + Self.ownersOffset).bindMemory(to: Vector.self, capacity: Self.vectorCount)
    }

    private func giveMemoryBack() {
        pool.giveBack(memory)
        memory = .none
    }
}
