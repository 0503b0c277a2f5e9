// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// What one receive after the other brings, as one run of bytes that begins with a PDU.
@safe final class ReceiveBuffer {
    /// Bytes of two of the longest PDUs that we let the target send: a receive has room for one behind what is left
    /// of another.
    private static let byteCount = 1 << 20
    /// What is left of a PDU is moved to the front when it is no more than this: then small PDUs stay in the cache.
    private static let cheapMoveByteCount = 8 << 10
    /// Bytes of the longest PDU that fits: what a receive can complete, wherever the PDU begins.
    static let maxDataSegmentLength = 256 << 10

    private let base: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0

    init() { unsafe base = .allocate(byteCount: Self.byteCount, alignment: 4096) }

    deinit { unsafe base.deallocate() }

    /// Valid until the buffer changes.
    var filled: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: base[start..<end]) }

    var free: UnsafeMutableRawBufferPointer { unsafe UnsafeMutableRawBufferPointer(rebasing: base[end...]) }

    /// `byteCount` bytes were written to `free`.
    func added(_ byteCount: Int) { end += byteCount }

    /// The first `byteCount` bytes of `filled` have been worked off.
    func consumed(_ byteCount: Int) {
        start += byteCount
        let left = end - start
        guard left > 0 else {
            (start, end) = (0, 0)
            return
        }
        guard start > 0, left <= Self.cheapMoveByteCount || Self.byteCount - end < 2 * Self.maxDataSegmentLength
        else { return }
        // Both ends are our own, and memmove may overlap.
        unsafe UnsafeMutableRawBufferPointer(rebasing: base[0..<left]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: base[start..<end]))
        (start, end) = (0, left)
    }
}
