// SPDX-License-Identifier: Apache-2.0

import Glibc
import HandlerKit

// Ranges lie inside the medium, whose size fits off_t. System calls are told the lengths of the spans that they get.
extension FileStore {
    /// A signal came first: nothing is wrong.
    private static func isInterrupted(_ error: SystemError) -> Bool { error.code == EINTR }

    func read(into bytes: inout MutableRawSpan, at byteOffset: UInt64) throws(SystemError) {
        try unsafe bytes.withUnsafeMutableBytes { buffer throws(SystemError) in
            var done = 0
            while done < buffer.count {
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
                let count = unsafe pread(descriptor, rest.baseAddress, rest.count, off_t(byteOffset) + done)
                if count > 0 {
                    done += count
                } else if count == 0 {
                    // The file has been cut short.
                    throw SystemError(code: ENODATA)
                } else {
                    let error = SystemError.last()
                    guard Self.isInterrupted(error) else { throw error }
                }
            }
        }
    }

    func write(_ bytes: RawSpan, at byteOffset: UInt64) throws(SystemError) {
        try unsafe bytes.withUnsafeBytes { buffer throws(SystemError) in
            var done = 0
            while done < buffer.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
                let count = unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(byteOffset) + done)
                if count > 0 {
                    done += count
                } else {
                    let error = count == 0 ? SystemError(code: EIO) : SystemError.last()
                    guard Self.isInterrupted(error) else { throw error }
                }
            }
        }
    }

    /// Writes `block` over `byteCount` bytes, a multiple of its length.
    func write(repeating block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(SystemError) {
        if Self.isZero(block), try allocate(FALLOC_FL_ZERO_RANGE, byteOffset, byteCount) { return }
        try writeEach(block, at: byteOffset, byteCount: byteCount)
    }

    /// Blocks that one call writes: their vector fits 1 KiB of stack.
    private static let vectorCount = 64

    private func writeEach(_ block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(SystemError) {
        let blockByteCount = UInt64(block.byteCount)
        try unsafe block.withUnsafeBytes { bytes throws(SystemError) in
            // Every element is the same block, which is only read.
            let element = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            var failure: SystemError?
            unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectorCount) { vector in
                unsafe vector.initialize(repeating: element)
                var done: UInt64 = 0
                while done < byteCount, failure == nil {
                    // A short write may end inside a block: go on from the start of that block.
                    let count = min((byteCount - done) / blockByteCount, UInt64(Self.vectorCount))
                    let written = unsafe pwritev(
                        descriptor, vector.baseAddress, Int32(count), off_t(byteOffset + done))
                    if written >= bytes.count {
                        done += UInt64(written) / blockByteCount * blockByteCount
                    } else if written >= 0 {
                        failure = SystemError(code: EIO)
                    } else if !Self.isInterrupted(.last()) {
                        failure = .last()
                    }
                }
            }
            if let failure { throw failure }
        }
    }

    private static func isZero(_ block: RawSpan) -> Bool {
        unsafe block.withUnsafeBytes { bytes in
            guard let first = unsafe bytes.first, first == 0, let start = bytes.baseAddress else { return false }
            // The first byte is zero and each equals the next.
            return unsafe memcmp(start, start + 1, bytes.count - 1) == 0
        }
    }

    /// The longest block that zeroes are kept for.
    private static let zeroes = [UInt8](repeating: 0, count: 4096)

    /// Gives storage back; the range reads as zeroes then.
    func deallocate(at byteOffset: UInt64, byteCount: UInt64, blockByteCount: Int) throws(SystemError) {
        guard byteCount > 0 else { return }
        if try allocate(FALLOC_FL_PUNCH_HOLE, byteOffset, byteCount) { return }
        try zero(at: byteOffset, byteCount: byteCount, blockByteCount: blockByteCount)
    }

    /// Makes the range read as zeroes, and keeps or makes its storage.
    func zero(at byteOffset: UInt64, byteCount: UInt64, blockByteCount: Int) throws(SystemError) {
        guard byteCount > 0 else { return }
        if try allocate(FALLOC_FL_ZERO_RANGE, byteOffset, byteCount) { return }
        let zeroes = Self.zeroes
        // The array outlives the span.
        let block = unsafe zeroes.span.bytes.extracting(first: min(blockByteCount, zeroes.count))
        try writeEach(block, at: byteOffset, byteCount: byteCount)
    }

    /// False when there is no such operation here.
    private func allocate(_ mode: Int32, _ byteOffset: UInt64, _ byteCount: UInt64) throws(SystemError) -> Bool {
        while fallocate(descriptor, mode | FALLOC_FL_KEEP_SIZE, off_t(byteOffset), off_t(byteCount)) != 0 {
            let error = SystemError.last()
            if error.isUnsupported { return false }
            guard Self.isInterrupted(error) else { throw error }
        }
        return true
    }

    func flush() throws(SystemError) {
        while fdatasync(descriptor) != 0 {
            let error = SystemError.last()
            guard Self.isInterrupted(error) else { throw error }
        }
    }

    /// A block is mapped when any part of it is data.
    func status(
        at byteOffset: UInt64, byteCount: UInt64, blockByteCount: Int, into extents: inout ExtentList
    ) throws(SystemError) {
        // The page cache of a block device knows no holes.
        guard kind == .regular else { return extents.append(byteCount: byteCount, isMapped: true) }
        let block = UInt64(blockByteCount)
        let end = byteOffset + byteCount
        var position = byteOffset
        while position < end, !extents.isFull {
            let data = try seek(SEEK_DATA, from: position)
            let holeEnd = data / block * block
            if holeEnd > position {
                extents.append(byteCount: holeEnd - position, isMapped: false)
                position = holeEnd
                continue
            }
            let hole = try seek(SEEK_HOLE, from: data)
            // The hole lies inside the medium, or is its end, which is a multiple of the block size.
            let dataEnd = min((hole + block - 1) / block * block, self.byteCount)
            // The file has been cut short meanwhile.
            guard dataEnd > position else { throw SystemError(code: ENODATA) }
            extents.append(byteCount: dataEnd - position, isMapped: true)
            position = dataEnd
        }
    }

    /// Where data, or a hole, begins at or after `position`; the medium's end when there is none.
    private func seek(_ what: Int32, from position: UInt64) throws(SystemError) -> UInt64 {
        let found = lseek(descriptor, off_t(position), what)
        if found >= 0 { return min(UInt64(found), byteCount) }
        let error = SystemError.last()
        guard error.code == ENXIO else { throw error }
        return byteCount
    }
}
