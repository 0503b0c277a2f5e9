// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI

/// Where `BlockHandler.blockStatus` puts its answer: room for a number of extents that the host has chosen.
@safe
public struct ExtentList: ~Copyable {
    /// The host's memory, `capacity` elements long, for the time of one call.
    private let extents: UnsafeMutablePointer<martlet_extent>
    private let capacity: Int
    public private(set) var count = 0

    init(_ extents: UnsafeMutablePointer<martlet_extent>, capacity: Int) {
        unsafe self.extents = extents
        self.capacity = capacity
    }

    public var isFull: Bool { count == capacity }

    /// Adds the extent that follows the last one; of nothing when `byteCount` is 0 or the list is full.
    ///
    /// - Parameter byteCount: a multiple of the block size.
    public mutating func append(byteCount: UInt64, isMapped: Bool) {
        guard byteCount > 0, !isFull else { return }
        let flags = isMapped ? UInt32(MARTLET_EXTENT_MAPPED) : 0
        // The index is below the capacity.
        unsafe extents[count] = martlet_extent(byte_count: byteCount, flags: flags, reserved: 0)
        count += 1
    }
}
