// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// The last step before the coalescer: header digest, padding, data digest (RFC 7143 11.2.2 to 11.2.4).
extension ISCSIConnection {
    /// Where padding and data digest of a long data segment stand in a slot: behind everything else.
    private static let tailOffset = 64

    /// Bytes of a header with its digest: where short data begin in a slot.
    var headerByteCount: Int {
        BasicHeaderSegment.byteCount + (framer.hasHeaderDigest ? CRC32C.byteCount : 0)
    }

    func queueHeaderOnly(_ slot: UnsafeMutableRawBufferPointer) {
        unsafe sealHeader(slot)
        unsafe coalescer.append(
            leadByteCount: headerByteCount, data: UnsafeRawBufferPointer(start: nil, count: 0), owner: nil,
            tailOffset: 0, tailByteCount: 0)
    }

    /// The data segment stands in the slot, behind the header: `dataByteCount` bytes, at most the coalescer's limit.
    func queueInline(_ slot: UnsafeMutableRawBufferPointer, dataByteCount: Int) {
        guard dataByteCount > 0 else { return unsafe queueHeaderOnly(slot) }
        unsafe sealHeader(slot)
        var end = headerByteCount + dataByteCount
        for _ in 0..<Self.paddingByteCount(dataByteCount) {
            unsafe slot[end] = 0
            end += 1
        }
        if framer.hasDataDigest {
            var digest = CRC32C()
            unsafe digest.update(UnsafeRawBufferPointer(rebasing: slot[headerByteCount..<end]).bytes)
            unsafe slot.storeBytes(of: digest.value.littleEndian, toByteOffset: end, as: UInt32.self)
            end += CRC32C.byteCount
        }
        unsafe coalescer.append(
            leadByteCount: end, data: UnsafeRawBufferPointer(start: nil, count: 0), owner: nil, tailOffset: 0,
            tailByteCount: 0)
    }

    /// The data segment is sent from where it is; `owner` keeps it there until it has been taken.
    func queue(_ slot: UnsafeMutableRawBufferPointer, data: UnsafeRawBufferPointer, owner: SendOwner) {
        unsafe sealHeader(slot)
        let padding = Self.paddingByteCount(data.count)
        var tail = padding
        if padding > 0 || framer.hasDataDigest {
            unsafe slot.storeBytes(of: 0, toByteOffset: Self.tailOffset, as: UInt32.self)
        }
        if framer.hasDataDigest {
            var digest = CRC32C()
            unsafe digest.update(data.bytes)
            unsafe digest.update(
                UnsafeRawBufferPointer(rebasing: slot[Self.tailOffset..<Self.tailOffset + padding]).bytes)
            unsafe slot.storeBytes(
                of: digest.value.littleEndian, toByteOffset: Self.tailOffset + padding, as: UInt32.self)
            tail += CRC32C.byteCount
        }
        unsafe coalescer.append(
            leadByteCount: headerByteCount, data: data, owner: owner, tailOffset: Self.tailOffset, tailByteCount: tail)
    }

    private func sealHeader(_ slot: UnsafeMutableRawBufferPointer) {
        guard framer.hasHeaderDigest else { return }
        var digest = CRC32C()
        unsafe digest.update(UnsafeRawBufferPointer(rebasing: slot[..<BasicHeaderSegment.byteCount]).bytes)
        unsafe slot.storeBytes(
            of: digest.value.littleEndian, toByteOffset: BasicHeaderSegment.byteCount, as: UInt32.self)
    }

    private static func paddingByteCount(_ byteCount: Int) -> Int { -byteCount & 3 }
}
