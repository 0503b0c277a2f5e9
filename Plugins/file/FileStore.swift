// SPDX-License-Identifier: Apache-2.0

import Glibc
import HandlerKit

/// An open file or block device: how it is opened, made and closed.
final class FileStore: Sendable {
    let descriptor: Int32
    let byteCount: UInt64
    let kind: StorePath.Kind
    let isReadOnly: Bool
    let isSolidState: Bool
    /// Deallocated blocks read as zeroes, and deallocating is more than writing zeroes.
    let canDeallocate: Bool

    /// Owner and group, as a disk device has it.
    private static let fileMode: mode_t = 0o660

    /// - Parameter byteCount: as configured, or nil.
    init(
        opening store: StorePath, byteCount: UInt64?, blockByteCount: UInt32, isReadOnly: Bool
    ) throws(HandlerRefusal) {
        let (descriptor, isNew) = try Self.open(store, isReadOnly: isReadOnly, byteCount: byteCount)
        do throws(HandlerRefusal) {
            try Self.lock(descriptor, store.path, isReadOnly: isReadOnly)
            var status = stat()
            // The structure is ours.
            guard unsafe fstat(descriptor, &status) == 0 else {
                throw SystemError.last().refusal("cannot look at", store.path)
            }
            kind = try store.kind(status)
            let found = kind == .regular ? UInt64(status.st_size) : try StorePath.end(of: descriptor, store.path)
            let agreed = try Self.agree(
                store.path, found: found, configured: byteCount, blockByteCount: UInt64(blockByteCount))
            if found == 0 { try Self.give(descriptor, store.path, agreed, isReadOnly: isReadOnly) }
            self.byteCount = agreed
            let disk = kind == .regular ? status.st_dev : status.st_rdev
            isSolidState = DiskQueue.attribute("rotational", of: disk) == 0
            canDeallocate = kind == .regular || DiskQueue.attribute("write_zeroes_max_bytes", of: disk) ?? 0 > 0
            self.descriptor = descriptor
            self.isReadOnly = isReadOnly
        } catch {
            // Nobody else can have begun to use a file that was made here.
            if isNew { unsafe unlink(store.path) }
            Glibc.close(descriptor)
            throw error
        }
    }

    func close() { Glibc.close(descriptor) }

    /// The storage of a regular file, and what the file system could give it; a disk has all of its own.
    var space: StorageSpace? {
        guard kind == .regular else { return nil }
        var status = stat()
        var system = statvfs()
        // Both structures are ours.
        guard unsafe fstat(descriptor, &status) == 0, unsafe fstatvfs(descriptor, &system) == 0 else { return nil }
        // st_blocks counts 512 bytes each.
        let used = min(UInt64(clamping: status.st_blocks) * 512, byteCount)
        let (free, overflow) = UInt64(system.f_bavail).multipliedReportingOverflow(by: UInt64(system.f_frsize))
        return StorageSpace(usedByteCount: used, availableByteCount: min(overflow ? .max : free, byteCount - used))
    }

    private static func open(
        _ store: StorePath, isReadOnly: Bool, byteCount: UInt64?
    ) throws(HandlerRefusal) -> (descriptor: Int32, isNew: Bool) {
        var flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (isReadOnly ? O_RDONLY : O_RDWR)
        if let status = try store.look() {
            // A block device that is mounted, or part of another one, is refused by the kernel.
            if try store.kind(status) == .blockDevice, !isReadOnly { flags |= O_EXCL }
            let descriptor = unsafe Glibc.open(store.path, flags)
            guard descriptor >= 0 else { throw SystemError.last().refusal("cannot open", store.path) }
            return (descriptor, false)
        }
        guard !isReadOnly else {
            throw HandlerRefusal(code: ENOENT, reason: "\(store.path) does not exist, and the device is read only")
        }
        guard byteCount != nil else {
            throw HandlerRefusal(code: ENOENT, reason: "\(store.path) does not exist: configure a size to create it")
        }
        let descriptor = unsafe Glibc.open(store.path, flags | O_CREAT | O_EXCL, fileMode)
        guard descriptor >= 0 else { throw SystemError.last().refusal("cannot create", store.path) }
        return (descriptor, true)
    }

    /// One writer, or any number of readers.
    private static func lock(_ descriptor: Int32, _ path: String, isReadOnly: Bool) throws(HandlerRefusal) {
        guard flock(descriptor, (isReadOnly ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 else { return }
        let error = SystemError.last()
        guard error.code == EWOULDBLOCK else { throw error.refusal("cannot lock", path) }
        throw HandlerRefusal(code: EBUSY, reason: "\(path) is in use by another device or server")
    }

    /// The size that the medium has.
    private static func agree(
        _ path: String, found: UInt64, configured: UInt64?, blockByteCount: UInt64
    ) throws(HandlerRefusal) -> UInt64 {
        if let configured, found != 0, found != configured {
            throw HandlerRefusal(
                code: EINVAL,
                reason: "\(path) has \(found) bytes, but \(configured) are configured: "
                    + "leave the size out, or name another file")
        }
        let byteCount = found != 0 ? found : configured ?? 0
        guard byteCount != 0 else {
            throw HandlerRefusal(code: EINVAL, reason: "\(path) is empty: configure the size that it shall have")
        }
        guard byteCount % blockByteCount == 0, byteCount <= UInt64(Int64.max) else {
            throw HandlerRefusal(
                code: EINVAL,
                reason: "\(path): \(byteCount) bytes are no multiple of the block size, \(blockByteCount)")
        }
        return byteCount
    }

    /// Gives an empty file its size, without storage, so that it is there after a power failure.
    private static func give(
        _ descriptor: Int32, _ path: String, _ byteCount: UInt64, isReadOnly: Bool
    ) throws(HandlerRefusal) {
        guard !isReadOnly else {
            throw HandlerRefusal(code: EROFS, reason: "\(path) is empty, and the device is read only")
        }
        guard ftruncate(descriptor, off_t(byteCount)) == 0, fsync(descriptor) == 0 else {
            throw SystemError.last().refusal("cannot give its size to", path)
        }
        // Its name, too.
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let folderPath = slash == path.startIndex ? "/" : String(path[..<slash])
        let folder = unsafe Glibc.open(folderPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw SystemError.last().refusal("cannot open", folderPath) }
        defer { Glibc.close(folder) }
        guard fsync(folder) == 0 else { throw SystemError.last().refusal("cannot flush", folderPath) }
    }
}
