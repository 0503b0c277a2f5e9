// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import EventLoop

/// Memory on loan from a pool: page-aligned, of at least the size that was asked for.
@safe package struct BufferLease {
    /// Valid until the lease is given back.
    package let base: UnsafeMutableRawPointer?
    package let byteCount: Int

    package static var none: BufferLease { unsafe BufferLease(base: nil, byteCount: 0) }

    package var isEmpty: Bool { unsafe base == nil }
}

/// A loop's page-aligned buffers, in size classes of powers of two, each given back to a stack so that the next
/// command finds memory that is still in the cache. Belongs to one loop; no locks.
///
/// Where the loop's memory has a place, on a NUMA node, so have the buffers; and since every buffer comes back to the
/// pool that it was leased from, it never serves a loop elsewhere.
@safe package final class BufferPool {
    private static let smallestShift = 12
    private static let classCount = 14  // 4 KiB to 32 MiB
    /// Bytes of free buffers of one class that are kept; what comes back beyond goes to the system.
    private static let keptByteCount = 32 << 20
    /// Free buffers of one class that are kept, whatever their size, when nothing else is said.
    package static let defaultKeptCount = 1024

    /// The largest buffer that can be had.
    package static let maximumByteCount = 1 << (smallestShift + classCount - 1)

    private var free: [[UnsafeMutableRawPointer]]
    /// Bytes on loan.
    package private(set) var leasedByteCount = 0
    /// Bytes taken from the system and not given back to it.
    package private(set) var ownedByteCount = 0
    private let keptCount: Int
    private let memory: LoopPlacement.Memory

    /// `keptCount`: free buffers of one class that are kept. `memory`: where new ones come from.
    package init(keptCount: Int = defaultKeptCount, memory: LoopPlacement.Memory = .anywhere) {
        self.keptCount = keptCount
        self.memory = memory
        unsafe free = Array(repeating: [], count: Self.classCount)
        for index in 0..<Self.classCount { unsafe free[index].reserveCapacity(kept(index)) }
    }

    deinit {
        for index in 0..<Self.classCount {
            while let buffer = unsafe free[index].popLast() {
                unsafe release(buffer, 1 << (Self.smallestShift + index))
            }
        }
    }

    /// Bytes that are free and kept.
    package var keptByteCount: Int { ownedByteCount - leasedByteCount }

    private func kept(_ sizeClass: Int) -> Int {
        min(keptCount, max(1, Self.keptByteCount >> (Self.smallestShift + sizeClass)))
    }

    @inline(never)
    private func take(_ byteCount: Int) -> UnsafeMutableRawPointer {
        ownedByteCount += byteCount
        guard memory != .anywhere else { return .allocate(byteCount: byteCount, alignment: 4096) }
        return unsafe NodeMemory.map(byteCount: byteCount, memory: memory)
    }

    @inline(never)
    private func release(_ buffer: UnsafeMutableRawPointer, _ byteCount: Int) {
        ownedByteCount -= byteCount
        guard memory != .anywhere else { return unsafe buffer.deallocate() }
        unsafe NodeMemory.unmap(buffer, byteCount: byteCount)
    }

    /// `byteCount` at most `maximumByteCount`; 0 gives no memory.
    package func lease(byteCount: Int) -> BufferLease {
        guard byteCount > 0 else { return .none }
        precondition(byteCount <= Self.maximumByteCount, "a lease beyond the largest size class")
        let sizeClass = Self.sizeClass(byteCount)
        let size = 1 << (Self.smallestShift + sizeClass)
        leasedByteCount += size
        if let buffer = unsafe free[sizeClass].popLast() { return unsafe BufferLease(base: buffer, byteCount: size) }
        return unsafe BufferLease(base: take(size), byteCount: size)
    }

    /// The lease's memory is not touched any more.
    package func giveBack(_ lease: BufferLease) {
        guard let base = unsafe lease.base else { return }
        leasedByteCount -= lease.byteCount
        assert(leasedByteCount >= 0, "a buffer of another pool")
        let sizeClass = Self.sizeClass(lease.byteCount)
        if unsafe free[sizeClass].count < kept(sizeClass) {
            unsafe free[sizeClass].append(base)
        } else {
            unsafe release(base, lease.byteCount)
        }
    }

    private static func sizeClass(_ byteCount: Int) -> Int {
        max(0, Int.bitWidth - (byteCount - 1).leadingZeroBitCount - smallestShift)
    }
}
