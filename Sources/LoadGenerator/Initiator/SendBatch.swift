// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import ISCSI
internal import SCSI

/// PDUs on their way out, as the vectors of one send. Headers, padding and digests stand one behind the other in an
/// area of the batch's own, so that commands without data share a vector; data segments stay where they are until
/// they are sent.
@safe package final class SendBatch {
    /// Vectors of one sendmsg(2): the kernel's limit.
    private static let vectorLimit = 1024
    /// Header, data, padding and digest.
    private static let vectorsPerPDU = 3
    private static let areaByteCount = 64 << 10
    /// Header and digest, padding and digest.
    private static let areaBytesPerPDU = BasicHeaderSegment.byteCount + 2 * CRC32C.byteCount + 3

    private let area: UnsafeMutableRawBufferPointer
    private let vectors: UnsafeMutableBufferPointer<iovec>
    private var areaEnd = 0
    private var firstVector = 0
    private var vectorEnd = 0
    /// Whether the last vector ends where the used part of the area ends.
    private var isLastInArea = false

    package var hasHeaderDigest = false
    package var hasDataDigest = false

    package init() {
        unsafe area = .allocate(byteCount: Self.areaByteCount, alignment: 64)
        unsafe vectors = .allocate(capacity: Self.vectorLimit)
        unsafe vectors.initialize(repeating: iovec())
    }

    deinit {
        unsafe area.deallocate()
        unsafe vectors.deallocate()
    }

    package var isEmpty: Bool { firstVector == vectorEnd }

    /// Whether any PDU can be added.
    package var hasRoom: Bool {
        areaEnd + Self.areaBytesPerPDU <= Self.areaByteCount && vectorEnd + Self.vectorsPerPDU <= Self.vectorLimit
    }

    /// Adds a header; `encode` writes its 48 bytes. Needs room.
    @inline(__always)
    func addHeader(_ encode: (inout MutableRawSpan) -> Void) {
        precondition(hasRoom)
        let start = areaEnd
        // `hasRoom` has counted these bytes, and nobody else holds the area.
        let place = unsafe UnsafeMutableRawBufferPointer(
            rebasing: area[start..<start + BasicHeaderSegment.byteCount])
        var header = unsafe place.mutableBytes
        encode(&header)
        areaEnd += BasicHeaderSegment.byteCount
        if hasHeaderDigest { addDigest(unsafe CRC32C.of(place.bytes)) }
        extendArea(from: start)
    }

    /// Adds the data segment of the header just added: `bytes` stay as they are until the batch is empty again.
    @inline(__always)
    func addData(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        unsafe vectors[vectorEnd] = iovec(
            // sendmsg(2) only reads.
            iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        vectorEnd += 1
        isLastInArea = false
        let padding = BasicHeaderSegment.paddingByteCount(of: bytes.count)
        guard padding > 0 || hasDataDigest else { return }
        let start = areaEnd
        for _ in 0..<padding {
            unsafe area[areaEnd] = 0
            areaEnd += 1
        }
        if hasDataDigest {
            var digest = CRC32C()
            digest.update(unsafe bytes.bytes)
            // The digest covers the padding (RFC 7143 11.2.3).
            digest.update(unsafe UnsafeRawBufferPointer(rebasing: area[start..<areaEnd]).bytes)
            addDigest(digest.value)
        }
        extendArea(from: start)
    }

    private func addDigest(_ value: UInt32) {
        unsafe area.storeBytes(of: value.littleEndian, toByteOffset: areaEnd, as: UInt32.self)
        areaEnd += CRC32C.byteCount
    }

    @inline(__always)
    private func extendArea(from start: Int) {
        if isLastInArea {
            unsafe vectors[vectorEnd - 1].iov_len += areaEnd - start
        } else {
            unsafe vectors[vectorEnd] = iovec(
                iov_base: area.baseAddress.map { unsafe $0 + start }, iov_len: areaEnd - start)
            vectorEnd += 1
            isLastInArea = true
        }
    }

    /// What is to be sent, valid until the batch changes.
    var pending: UnsafeMutableBufferPointer<iovec> {
        unsafe UnsafeMutableBufferPointer(rebasing: vectors[firstVector..<vectorEnd])
    }

    /// The first `byteCount` bytes of it have been sent.
    func sent(_ byteCount: Int) {
        var left = byteCount
        while left > 0 {
            let length = unsafe vectors[firstVector].iov_len
            if left < length {
                unsafe vectors[firstVector].iov_base += left
                unsafe vectors[firstVector].iov_len -= left
                return
            }
            left -= length
            firstVector += 1
        }
        if isEmpty {
            firstVector = 0
            vectorEnd = 0
            areaEnd = 0
            isLastInArea = false
        }
    }

    /// Everything that is to be sent, which then counts as sent.
    package func takeAll() -> [UInt8] {
        var bytes: [UInt8] = []
        var index = firstVector
        while index < vectorEnd {
            // The vectors of the batch are valid until it changes.
            let vector = unsafe vectors[index]
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len))
            index += 1
        }
        sent(bytes.count)
        return bytes
    }
}
