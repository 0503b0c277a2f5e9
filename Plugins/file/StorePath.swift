// SPDX-License-Identifier: Apache-2.0

import Glibc
import HandlerKit

/// Where a store is, and what is there before it is opened.
struct StorePath {
    let path: String

    init(_ configuration: StoreConfiguration) throws(HandlerRefusal) {
        guard configuration.rest.hasPrefix("/"), configuration.rest.count > 1 else {
            throw HandlerRefusal(
                code: EINVAL,
                reason: "\"\(configuration.rest)\" is not an absolute path: write file//srv/disk.img for /srv/disk.img")
        }
        path = configuration.rest
    }

    enum Kind {
        case regular, blockDevice
    }

    /// What `status` is of; anything else is refused.
    func kind(_ status: stat) throws(HandlerRefusal) -> Kind {
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .regular
        case S_IFBLK: return .blockDevice
        default:
            throw HandlerRefusal(code: EINVAL, reason: "\(path) is neither a regular file nor a block device")
        }
    }

    /// Nil when there is nothing.
    func look() throws(HandlerRefusal) -> stat? {
        var status = stat()
        // The structure is ours.
        if unsafe stat(path, &status) == 0 { return status }
        let error = SystemError.last()
        guard error.code == ENOENT else { throw error.refusal("cannot look at", path) }
        return nil
    }

    func describe() throws(HandlerRefusal) -> StoreDescription {
        guard let status = try look() else { return StoreDescription(willCreate: true) }
        let isReadOnly = unsafe access(path, W_OK) != 0
        switch try kind(status) {
        case .regular:
            // An empty file holds nothing that could be lost: it is as good as a missing one.
            guard status.st_size > 0 else { return StoreDescription(willCreate: true, isReadOnly: isReadOnly) }
            return StoreDescription(byteCount: UInt64(status.st_size), isReadOnly: isReadOnly)
        case .blockDevice:
            // NUL-terminated by the compiler for the call.
            let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw SystemError.last().refusal("cannot open", path) }
            defer { Glibc.close(descriptor) }
            return StoreDescription(byteCount: try StorePath.end(of: descriptor, path), isReadOnly: isReadOnly)
        }
    }

    /// Bytes of a block device.
    static func end(of descriptor: Int32, _ path: String) throws(HandlerRefusal) -> UInt64 {
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw SystemError.last().refusal("cannot find the size of", path) }
        return UInt64(end)
    }
}

/// What the kernel says of the disk under a file, as a number in a file of /sys.
enum DiskQueue {
    /// Digits, and a line feed.
    private static let textLimit = 24

    /// - Parameter device: its device number.
    static func attribute(_ name: String, of device: dev_t) -> UInt64? {
        // As the C library's major() and minor() take it apart.
        let major = device >> 8 & 0xFFF | device >> 32 & ~0xFFF
        let minor = device & 0xFF | device >> 12 & ~0xFF
        let folder = "/sys/dev/block/\(major):\(minor)"
        // A partition has its disk's queue.
        return number(in: "\(folder)/queue/\(name)") ?? number(in: "\(folder)/../queue/\(name)")
    }

    private static func number(in path: String) -> UInt64? {
        // NUL-terminated by the compiler for the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: textLimit)
        // No more than there is room for.
        let count = unsafe Glibc.read(descriptor, &text, textLimit)
        guard count > 0 else { return nil }
        return UInt64(String(decoding: text[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
