// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// Where `BlockStatusHandler.blockStatus` puts its answer: room for a number of extents that the host has chosen.
@safe
public struct ExtentList: ~Copyable, @unchecked Sendable {
    // Sendable: one call at a time has it, and the host leaves the memory alone meanwhile.
    /// The host's memory, `capacity` elements long, for the time of one call.
    private let extents: UnsafeMutablePointer<martlet_extent>
    private let capacity: Int
    /// Extents so far.
    public private(set) var count = 0

    init(_ extents: UnsafeMutablePointer<martlet_extent>, capacity: Int) {
        unsafe self.extents = extents
        self.capacity = capacity
    }

    /// Nothing more can be added.
    public var isFull: Bool { count == capacity }

    /// Adds the extent that follows the last one, of a multiple of the block size; nothing when `byteCount` is 0 or the
    /// list is full.
    public mutating func append(byteCount: UInt64, isMapped: Bool) {
        guard byteCount > 0, !isFull else { return }
        let flags = isMapped ? UInt32(MARTLET_EXTENT_MAPPED) : 0
        // The index is below the capacity.
        unsafe extents[count] = martlet_extent(byte_count: byteCount, flags: flags, reserved: 0)
        count += 1
    }

    /// What block_status returns: the number of extents, or -errno.
    func result(_ status: Int32) -> Int32 {
        guard status == CalloutStatus.ok else { return status == CalloutStatus.outOfRange ? -EINVAL : -EIO }
        return count > 0 ? Int32(clamping: count) : -EIO
    }
}
