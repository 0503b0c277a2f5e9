// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// From the host's callouts to the methods of `AsyncBlockHandler` and the protocols that refine it, by way of tasks.
///
/// Vectors and commands stay valid until the command is completed, devices until close.
enum AsyncCallouts {
    /// Gives the command a task. Any other status than `begun` is how the command ended.
    private static func begin(
        _ pointer: OpaquePointer?, _ command: UnsafeMutablePointer<tcmur_cmd>?, _ offset: UInt64, _ byteCount: UInt64,
        _ work: AsyncCommand.Work, begun: Int32 = CalloutStatus.ok
    ) -> Int32 {
        guard let pointer = unsafe pointer, let command = unsafe command, let opened = unsafe OpenDevice.of(pointer),
            case .asynchronous(let methods) = opened.handler
        else { return CalloutStatus.hardwareError }
        do throws(HandlerError) {
            try opened.check(offset, byteCount)
        } catch {
            return unsafe error.status(SenseBuffer.of(command))
        }
        methods.tasks.begin(unsafe AsyncCommand(pointer, command, work), on: opened)
        return begun
    }

    /// Sets the callouts that `type` has methods for.
    static func fill(_ handler: inout tcmur_handler, for type: any AsyncStoreHandler.Type) {
        if type is any AsyncBlockHandler.Type { unsafe fillTransfers(&handler) }
        if type is any AsyncUnmappingHandler.Type {
            unsafe handler.unmap = { device, command, offset, byteCount in
                unsafe AsyncCallouts.begin(
                    device, command, offset, byteCount, .unmap(at: offset, byteCount: byteCount))
            }
        }
        if type is any AsyncWriteSameHandler.Type {
            unsafe handler.writesame = { device, command, offset, byteCount, elements, count in
                unsafe AsyncCallouts.begin(
                    device, command, offset, byteCount,
                    .writeSame(Vector(elements: elements, count: count), at: offset, byteCount: byteCount))
            }
        }
        if type is any AsyncCompareAndWriteHandler.Type {
            unsafe handler.caw = { device, command, offset, byteCount, elements, count in
                unsafe AsyncCallouts.begin(
                    device, command, offset, byteCount,
                    .compareAndWrite(Vector(elements: elements, count: count), at: offset, byteCount: byteCount))
            }
        }
        if type is any AsyncCommandHandler.Type {
            unsafe handler.handle_cmd = { unsafe AsyncCallouts.handle($0, $1) }
        }
    }

    private static func fillTransfers(_ handler: inout tcmur_handler) {
        unsafe handler.read = { device, command, elements, count, byteCount, offset in
            // A negative offset is beyond every medium.
            let start = UInt64(bitPattern: Int64(offset))
            return unsafe AsyncCallouts.begin(
                device, command, start, UInt64(byteCount),
                .read(Vector(elements: elements, count: count), byteCount: byteCount, at: start))
        }
        unsafe handler.write = { device, command, elements, count, byteCount, offset in
            let start = UInt64(bitPattern: Int64(offset))
            return unsafe AsyncCallouts.begin(
                device, command, start, UInt64(byteCount),
                .write(Vector(elements: elements, count: count), byteCount: byteCount, at: start))
        }
        unsafe handler.flush = { device, command in unsafe AsyncCallouts.begin(device, command, 0, 0, .flush) }
    }

    private static func handle(_ device: OpaquePointer?, _ command: UnsafeMutablePointer<tcmur_cmd>?) -> Int32 {
        guard let opened = unsafe OpenDevice.of(device), case .asynchronous(let methods) = opened.handler,
            let pointer = unsafe command, let shown = unsafe HandlerCommand(pointer), let handler = methods.command,
            handler.handles(shown.cdb)
        else { return CalloutStatus.notHandled }
        return unsafe begin(device, command, 0, 0, .handle, begun: CalloutStatus.asyncHandled)
    }
}

// What stands in the extension table.
extension AsyncCallouts {
    /// Sets the callouts that `type` has methods for, and the flags that say what they promise.
    static func fill(_ table: inout martlet_handler_extension, for type: any AsyncStoreHandler.Type) {
        if let type = type as? any AsyncUnmappingHandler.Type, type.unmappedReadsZero {
            table.flags |= UInt32(MARTLET_HANDLER_UNMAPPED_READS_ZERO)
        }
        if type is any AsyncBlockStatusHandler.Type {
            unsafe table.block_status = { unsafe AsyncCallouts.blockStatus($0, $1, $2, $3, $4) }
        } else {
            table.flags |= UInt32(MARTLET_HANDLER_NEVER_BLOCKS)
        }
        unsafe table.cancel = { device, command in
            guard let opened = unsafe OpenDevice.of(device), case .asynchronous(let methods) = opened.handler else {
                return
            }
            methods.tasks.cancel(UInt(bitPattern: command))
        }
        guard let type = type as? any AsyncZeroingHandler.Type else { return }
        if type.zeroingUnmaps { table.flags |= UInt32(MARTLET_HANDLER_ZEROING_UNMAPS) }
        unsafe table.write_zeroes = { device, command, offset, byteCount, flags in
            let mayUnmap = flags & UInt32(MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0
            return unsafe AsyncCallouts.begin(
                device, command, offset, byteCount,
                .writeZeroes(at: offset, byteCount: byteCount, mayUnmap: mayUnmap))
        }
    }

    /// In a thread of the host's that may wait.
    private static func blockStatus(
        _ device: OpaquePointer?, _ offset: UInt64, _ byteCount: UInt64,
        _ extents: UnsafeMutablePointer<martlet_extent>?, _ capacity: Int
    ) -> Int32 {
        guard let extents = unsafe extents, capacity > 0, byteCount > 0, let opened = unsafe OpenDevice.of(device),
            case .asynchronous(let methods) = opened.handler, let handler = methods.blockStatus
        else { return -EINVAL }
        // The host's memory is valid for this call, which waits for the task.
        let address = UInt(bitPattern: extents)
        return methods.tasks.executor.run {
            guard let extents = unsafe UnsafeMutablePointer<martlet_extent>(bitPattern: address) else { return -EINVAL }
            var list = unsafe ExtentList(extents, capacity: capacity)
            do throws(HandlerError) {
                try opened.check(offset, byteCount)
                try await handler.blockStatus(at: offset, byteCount: byteCount, into: &list)
                return list.result(CalloutStatus.ok)
            } catch {
                return unsafe list.result(error.status(nil))
            }
        }
    }
}
