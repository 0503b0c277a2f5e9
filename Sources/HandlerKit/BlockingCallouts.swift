// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// From the host's callouts to the methods of `BlockHandler` and the protocols that refine it.
///
/// Vectors, commands and devices belong to the host for the time of a call.
enum BlockingCallouts {
    /// Runs one callout on the open device of `pointer` and makes its status.
    ///
    /// `command` is the host's for the time of the call, or nil where there is none.
    @inline(__always)
    private static func perform(
        _ pointer: OpaquePointer?, _ command: UnsafeMutablePointer<tcmur_cmd>?,
        _ work: (OpenDevice, BlockingMethods) throws(HandlerError) -> Void
    ) -> Int32 {
        guard let opened = unsafe OpenDevice.of(pointer), case .blocking(let methods) = opened.handler else {
            return CalloutStatus.hardwareError
        }
        do throws(HandlerError) {
            try work(opened, methods)
            return CalloutStatus.ok
        } catch {
            return unsafe error.status(SenseBuffer.of(command))
        }
    }

    /// Sets the callouts that `type` has methods for.
    static func fill(_ handler: inout tcmur_handler, for type: any StoreHandler.Type) {
        if type is any BlockHandler.Type { unsafe fillTransfers(&handler) }
        if type is any UnmappingHandler.Type { unsafe fillUnmap(&handler) }
        if type is any WriteSameHandler.Type { unsafe fillWriteSame(&handler) }
        if type is any CompareAndWriteHandler.Type { unsafe fillCompareAndWrite(&handler) }
        if type is any CommandHandler.Type { unsafe fillCommand(&handler) }
    }

    private static func fillTransfers(_ handler: inout tcmur_handler) {
        unsafe handler.read = { device, command, elements, count, byteCount, offset in
            unsafe BlockingCallouts.perform(device, command) { opened, methods throws(HandlerError) in
                guard let store = methods.block, let start = UInt64(exactly: offset) else { throw .outOfRange }
                try opened.check(start, UInt64(byteCount))
                try unsafe Vector(elements: elements, count: count).forEach(byteCount: byteCount) {
                    element, moved throws(HandlerError) in
                    var bytes = unsafe element.mutableBytes
                    try store.read(into: &bytes, at: start + UInt64(moved))
                }
            }
        }
        unsafe handler.write = { device, command, elements, count, byteCount, offset in
            unsafe BlockingCallouts.perform(device, command) { opened, methods throws(HandlerError) in
                guard let store = methods.block, let start = UInt64(exactly: offset) else { throw .outOfRange }
                try opened.check(start, UInt64(byteCount))
                try unsafe Vector(elements: elements, count: count).forEach(byteCount: byteCount) {
                    element, moved throws(HandlerError) in
                    try store.write(unsafe element.bytes, at: start + UInt64(moved))
                }
            }
        }
        unsafe handler.flush = { device, command in
            unsafe BlockingCallouts.perform(device, command) { _, methods throws(HandlerError) in
                try methods.block?.flush()
            }
        }
    }

    private static func fillUnmap(_ handler: inout tcmur_handler) {
        unsafe handler.unmap = { device, command, offset, byteCount in
            unsafe BlockingCallouts.perform(device, command) { opened, methods throws(HandlerError) in
                try opened.check(offset, byteCount)
                try methods.unmapping?.unmap(at: offset, byteCount: byteCount)
            }
        }
    }

    private static func fillWriteSame(_ handler: inout tcmur_handler) {
        unsafe handler.writesame = { device, command, offset, byteCount, elements, count in
            unsafe BlockingCallouts.perform(device, command) { opened, methods throws(HandlerError) in
                try opened.check(offset, byteCount)
                let block = try unsafe Vector(elements: elements, count: count).block(repeatedOver: byteCount)
                try methods.writeSame?.writeSame(unsafe block.bytes, at: offset, byteCount: byteCount)
            }
        }
    }

    private static func fillCompareAndWrite(_ handler: inout tcmur_handler) {
        unsafe handler.caw = { device, command, offset, byteCount, elements, count in
            unsafe BlockingCallouts.perform(device, command) { opened, methods throws(HandlerError) in
                try opened.check(offset, byteCount)
                var room: UnsafeMutableRawBufferPointer?
                // Ours, if there is one.
                defer { unsafe room?.deallocate() }
                let halves = try unsafe Vector(elements: elements, count: count).halves(
                    byteCount: byteCount, room: &room)
                try methods.compareAndWrite?.compareAndWrite(
                    expected: unsafe halves.expected.bytes, new: unsafe halves.new.bytes, at: offset)
            }
        }
    }

    private static func fillCommand(_ handler: inout tcmur_handler) {
        unsafe handler.handle_cmd = { device, command in
            var isHandled = true
            let status = unsafe BlockingCallouts.perform(device, command) { _, methods throws(HandlerError) in
                guard let pointer = unsafe command, var shown = unsafe HandlerCommand(pointer),
                    let result = try methods.command?.handleCommand(&shown)
                else {
                    isHandled = false
                    return
                }
                isHandled = result == .done
            }
            return status == CalloutStatus.ok && !isHandled ? CalloutStatus.notHandled : status
        }
    }
}

// What stands in the extension table.
extension BlockingCallouts {
    /// Sets the callouts that `type` has methods for, and the flags that say what they promise.
    static func fill(_ table: inout martlet_handler_extension, for type: any StoreHandler.Type) {
        if let type = type as? any UnmappingHandler.Type, type.unmappedReadsZero {
            table.flags |= UInt32(MARTLET_HANDLER_UNMAPPED_READS_ZERO)
        }
        if type is any BlockStatusHandler.Type {
            unsafe table.block_status = { unsafe BlockingCallouts.blockStatus($0, $1, $2, $3, $4) }
        }
        guard let type = type as? any ZeroingHandler.Type else { return }
        if type.zeroingUnmaps { table.flags |= UInt32(MARTLET_HANDLER_ZEROING_UNMAPS) }
        unsafe table.write_zeroes = { device, command, offset, byteCount, flags in
            unsafe BlockingCallouts.perform(device, command) { opened, methods throws(HandlerError) in
                try opened.check(offset, byteCount)
                try methods.zeroing?.writeZeroes(
                    at: offset, byteCount: byteCount, mayUnmap: flags & UInt32(MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0)
            }
        }
    }

    private static func blockStatus(
        _ device: OpaquePointer?, _ offset: UInt64, _ byteCount: UInt64,
        _ extents: UnsafeMutablePointer<martlet_extent>?, _ capacity: Int
    ) -> Int32 {
        guard let extents = unsafe extents, capacity > 0, byteCount > 0 else { return -EINVAL }
        var list = unsafe ExtentList(extents, capacity: capacity)
        let status = unsafe BlockingCallouts.perform(device, nil) { opened, methods throws(HandlerError) in
            try opened.check(offset, byteCount)
            try methods.blockStatus?.blockStatus(at: offset, byteCount: byteCount, into: &list)
        }
        return list.result(status)
    }
}
