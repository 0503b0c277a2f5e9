// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// From the host's callouts to the methods of `BlockHandler`.
///
/// Vectors and devices belong to the host for the time of a call; each element of a vector says its own length.
enum Callouts {
    /// Goes through the elements of a vector until `byteCount` bytes have been moved.
    @inline(__always)
    private static func forEachElement(
        _ vector: UnsafeMutablePointer<iovec>?, _ count: Int, byteCount: Int,
        _ body: (UnsafeMutableRawBufferPointer, _ moved: Int) throws(HandlerError) -> Void
    ) throws(HandlerError) {
        var moved = 0
        guard byteCount > 0 else { return }
        guard let vector = unsafe vector else { throw .hardwareError }
        for index in 0..<count where moved < byteCount {
            let element = unsafe vector[index]
            let step = unsafe min(element.iov_len, byteCount - moved)
            guard step > 0 else { continue }
            try unsafe body(UnsafeMutableRawBufferPointer(start: element.iov_base, count: step), moved)
            moved += step
        }
        guard moved == byteCount else { throw .hardwareError }
    }

    static func fill(_ handler: inout tcmur_handler) {
        unsafe handler.read = { device, command, vector, count, byteCount, offset in
            unsafe OpenDevice.perform(device, command) { opened throws(HandlerError) in
                guard let start = UInt64(exactly: offset) else { throw .outOfRange }
                try opened.check(start, UInt64(byteCount))
                try unsafe Callouts.forEachElement(vector, count, byteCount: byteCount) {
                    element, moved throws(HandlerError) in
                    var bytes = unsafe element.mutableBytes
                    try opened.handler.read(into: &bytes, at: start + UInt64(moved))
                }
            }
        }
        unsafe handler.write = { device, command, vector, count, byteCount, offset in
            unsafe OpenDevice.perform(device, command) { opened throws(HandlerError) in
                guard let start = UInt64(exactly: offset) else { throw .outOfRange }
                try opened.check(start, UInt64(byteCount))
                try unsafe Callouts.forEachElement(vector, count, byteCount: byteCount) {
                    element, moved throws(HandlerError) in
                    try opened.handler.write(unsafe element.bytes, at: start + UInt64(moved))
                }
            }
        }
        unsafe handler.flush = { device, command in
            unsafe OpenDevice.perform(device, command) { opened throws(HandlerError) in try opened.handler.flush() }
        }
    }

    static func fillUnmap(_ handler: inout tcmur_handler) {
        unsafe handler.unmap = { device, command, offset, byteCount in
            unsafe OpenDevice.perform(device, command) { opened throws(HandlerError) in
                try opened.check(offset, byteCount)
                try opened.handler.unmap(at: offset, byteCount: byteCount)
            }
        }
    }

    static func fillWriteSame(_ handler: inout tcmur_handler) {
        unsafe handler.writesame = { device, command, offset, byteCount, vector, count in
            unsafe OpenDevice.perform(device, command) { opened throws(HandlerError) in
                try opened.check(offset, byteCount)
                guard count == 1, let element = unsafe vector?.pointee, unsafe element.iov_len > 0,
                    unsafe byteCount % UInt64(element.iov_len) == 0
                else { throw .invalidFieldInCDB }
                let block = unsafe UnsafeRawBufferPointer(start: element.iov_base, count: element.iov_len)
                try opened.handler.writeSame(unsafe block.bytes, at: offset, byteCount: byteCount)
            }
        }
    }

    /// For martlet_handler_extension.block_status.
    static func blockStatus(
        _ device: OpaquePointer?, _ offset: UInt64, _ byteCount: UInt64,
        _ extents: UnsafeMutablePointer<martlet_extent>?, _ capacity: Int
    ) -> Int32 {
        guard let extents = unsafe extents, capacity > 0, byteCount > 0 else { return -EINVAL }
        var list = unsafe ExtentList(extents, capacity: capacity)
        let status = unsafe OpenDevice.perform(device, nil) { opened throws(HandlerError) in
            try opened.check(offset, byteCount)
            try opened.handler.blockStatus(at: offset, byteCount: byteCount, into: &list)
        }
        guard status == CalloutStatus.ok else { return status == CalloutStatus.outOfRange ? -EINVAL : -EIO }
        return list.count > 0 ? Int32(clamping: list.count) : -EIO
    }
}
