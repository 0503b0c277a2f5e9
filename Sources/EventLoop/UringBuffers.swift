// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The buffers that receives of all streams draw from: a ring that the kernel takes from at its head, and we put to at
/// its tail.
///
/// Each buffer is as large as a receive may ever be, and a receive says how much of it it wants: what is never wanted
/// never becomes memory. The kernel takes only while we are in `UringRing.enter`, so before that the ring can be put in
/// order: the buffers used last come first again, and a server with few busy connections stays in the cache.
@safe final class UringBuffers {
    /// A power of two: so many streams can receive in one turn, the others in the next.
    static let count = 32
    static let byteCount = ReceiveBudget.largest
    static let group: UInt16 = 0

    private let memory: UnsafeMutableRawBufferPointer
    /// Shared with the kernel, which reads it only.
    private let ring: UnsafeMutablePointer<clinux_uring_buffer>
    private let ringByteCount: Int
    /// Entries from `head` on up to `tail` are the kernel's to take. It counts its own head; this is what we have
    /// learned of it.
    private var head: UInt16 = 0
    private var tail: UInt16 = 0
    /// Given back since `publish`, in that order.
    private var returned: [UInt16] = []

    /// Registers the buffers with `ring`.
    init(_ uring: UringRing) throws(SystemError) {
        let pageByteCount = 4096
        ringByteCount = max(pageByteCount, Self.count * MemoryLayout<clinux_uring_buffer>.stride)
        unsafe memory = try Self.map(Self.count * Self.byteCount)
        let rings: UnsafeMutableRawBufferPointer
        do {
            unsafe rings = try Self.map(ringByteCount)
        } catch {
            unsafe _ = munmap(memory.baseAddress, memory.count)
            throw error
        }
        // Fresh pages of zeros, of at least `count` entries, used for nothing else.
        unsafe ring = rings.baseAddress!.assumingMemoryBound(to: clinux_uring_buffer.self)
        returned.reserveCapacity(Self.count)
        if unsafe clinux_uring_register_buffers(uring.descriptor, ring, UInt32(Self.count), Self.group) != 0 {
            let error = SystemError.last("io_uring_register of buffers")
            unsafe _ = munmap(memory.baseAddress, memory.count)
            unsafe _ = munmap(ring, ringByteCount)
            throw error
        }
        for number in 0..<UInt16(Self.count) { returned.append(number) }
        publish(isHeadKnown: false)
    }

    /// Only when no receive is under way: `UringPoller` sees to it.
    func deallocate() {
        unsafe _ = munmap(memory.baseAddress, memory.count)
        unsafe _ = munmap(ring, ringByteCount)
    }

    private static func map(_ byteCount: Int) throws(SystemError) -> UnsafeMutableRawBufferPointer {
        let address = unsafe mmap(
            nil, byteCount, PROT_READ | PROT_WRITE, CInt(clinux_map_anonymous), -1, 0)
        guard let address = unsafe address, unsafe address != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw SystemError.last("mmap of receive buffers")
        }
        return unsafe UnsafeMutableRawBufferPointer(start: address, count: byteCount)
    }

    /// The kernel has taken a buffer: `count` bytes in it are ours until it is given back.
    func take(_ number: UInt16, count: Int) -> UnsafeRawBufferPointer {
        head &+= 1
        let start = Int(number) * Self.byteCount
        return unsafe UnsafeRawBufferPointer(rebasing: memory[start..<start + count])
    }

    func giveBack(_ number: UInt16) { returned.append(number) }

    /// Before the kernel works: hands over what was given back. `isHeadKnown` when every completion that the kernel has
    /// made has been seen, so that `head` is the kernel's too: then what was used last goes to the front, and what was
    /// there to the end.
    func publish(isHeadKnown: Bool) {
        guard !returned.isEmpty else { return }
        var front = head
        let end = tail
        for number in returned {
            if isHeadKnown, front != end {
                let displaced = unsafe self[front].pointee.bid
                set(front, to: number)
                front &+= 1
                set(tail, to: displaced)
            } else {
                set(tail, to: number)
            }
            tail &+= 1
        }
        returned.removeAll(keepingCapacity: true)
        unsafe clinux_uring_publish_buffers(ring, tail)
    }

    private subscript(_ position: UInt16) -> UnsafeMutablePointer<clinux_uring_buffer> {
        unsafe ring + Int(position) % Self.count
    }

    /// Field by field: the ring's tail lies in the last field of the first entry.
    private func set(_ position: UInt16, to number: UInt16) {
        let entry = unsafe self[position]
        unsafe entry.pointee.addr = UInt64(UInt(bitPattern: memory.baseAddress! + Int(number) * Self.byteCount))
        unsafe entry.pointee.len = UInt32(Self.byteCount)
        unsafe entry.pointee.bid = number
    }
}
