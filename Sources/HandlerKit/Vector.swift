// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// The data of a callout: the host's elements of memory, each with its own length, for the time of the command.
@safe
struct Vector {
    let elements: UnsafeMutablePointer<iovec>?
    let count: Int

    /// Goes through the elements until `byteCount` bytes have been moved.
    @inline(__always)
    func forEach(
        byteCount: Int, _ body: (UnsafeMutableRawBufferPointer, _ moved: Int) throws(HandlerError) -> Void
    ) throws(HandlerError) {
        var moved = 0
        guard byteCount > 0 else { return }
        guard let elements = unsafe elements else { throw .hardwareError }
        for index in 0..<count where moved < byteCount {
            let element = unsafe elements[index]
            let step = unsafe min(element.iov_len, byteCount - moved)
            guard step > 0 else { continue }
            try unsafe body(UnsafeMutableRawBufferPointer(start: element.iov_base, count: step), moved)
            moved += step
        }
        guard moved == byteCount else { throw .hardwareError }
    }

    /// The one block that WRITE SAME repeats over `byteCount` bytes.
    func block(repeatedOver byteCount: UInt64) throws(HandlerError) -> UnsafeMutableRawBufferPointer {
        guard count == 1, let element = unsafe elements?.pointee, unsafe element.iov_len > 0,
            unsafe byteCount % UInt64(element.iov_len) == 0
        else { throw .invalidFieldInCDB }
        return unsafe UnsafeMutableRawBufferPointer(start: element.iov_base, count: element.iov_len)
    }

    /// Both halves of COMPARE AND WRITE, `byteCount` bytes each, in one piece: the element itself where there is but
    /// one, else a copy in `room`, which the caller releases.
    func halves(
        byteCount: UInt64, room: inout UnsafeMutableRawBufferPointer?
    ) throws(HandlerError) -> (expected: UnsafeMutableRawBufferPointer, new: UnsafeMutableRawBufferPointer) {
        guard let half = Int(exactly: byteCount), half > 0, half <= Int.max / 2 else { throw .invalidFieldInCDB }
        let whole: UnsafeMutableRawBufferPointer
        if count == 1, let element = unsafe elements?.pointee, unsafe element.iov_len == 2 * half {
            unsafe whole = UnsafeMutableRawBufferPointer(start: element.iov_base, count: element.iov_len)
        } else {
            unsafe whole = .allocate(byteCount: 2 * half, alignment: 16)
            unsafe room = whole
            try unsafe forEach(byteCount: 2 * half) { element, moved in
                // The elements add up to no more than the room.
                unsafe UnsafeMutableRawBufferPointer(rebasing: whole[moved...]).copyMemory(
                    from: UnsafeRawBufferPointer(element))
            }
        }
        return unsafe (
            UnsafeMutableRawBufferPointer(rebasing: whole[..<half]),
            UnsafeMutableRawBufferPointer(rebasing: whole[half...])
        )
    }
}

extension Vector {
    /// No more than `limit` bytes of one element.
    func element(_ index: Int, limit: Int) -> UnsafeMutableRawBufferPointer {
        guard let element = unsafe elements?[index] else {
            return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeMutableRawBufferPointer(start: element.iov_base, count: min(element.iov_len, limit))
    }
}
