// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// The few looks at files that loading handlers and finding sizes need. Errors are errno values.
enum SystemFiles {
    struct Failure: Error, Equatable, CustomStringConvertible {
        var error: Int32

        var description: String { SystemFiles.words(for: error) }
    }

    enum Kind { case regular, directory, blockDevice, other }

    /// What tells one file from another, and one content from the next.
    struct Identity: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
        var modifiedNanoseconds: Int64
        var byteCount: Int
    }

    static func words(for error: Int32) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            // The shim writes at most 256 bytes and returns them, or a constant: NUL-terminated both.
            unsafe String(cString: clinux_error_text(error, buffer.baseAddress!, buffer.count))
        }
    }

    static func lastFailure() -> Failure { Failure(error: clinux_errno()) }

    static func look(at path: String) throws(Failure) -> (kind: Kind, identity: Identity) {
        var record = stat()
        // `record` is a whole stat record of our own.
        guard unsafe stat(path, &record) == 0 else { throw lastFailure() }
        let kind: Kind =
            if clinux_is_regular_file(record.st_mode) { .regular } else if clinux_is_directory(record.st_mode) {
                .directory
            } else if clinux_is_block_device(record.st_mode) { .blockDevice } else { .other }
        let identity = Identity(
            device: UInt64(record.st_dev), inode: UInt64(record.st_ino),
            modifiedNanoseconds: unsafe clinux_modified_nanoseconds(&record), byteCount: Int(record.st_size))
        return (kind, identity)
    }

    /// Up to `limit` bytes from the start of the file.
    static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        let descriptor = try open(path)
        defer { _ = close(descriptor) }
        var bytes: [UInt8] = []
        let chunkByteCount = min(limit, 1 << 20)
        while bytes.count < limit {
            let wanted = min(chunkByteCount, limit - bytes.count)
            var result = 0
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
                // The buffer has `wanted` bytes.
                unsafe result = readBytes(descriptor, buffer.baseAddress, wanted)
                count = max(result, 0)
            }
            if result < 0 {
                let failure = lastFailure()
                if failure.error == EINTR { continue }
                throw failure
            }
            if result == 0 { break }
            bytes += chunk
        }
        return bytes
    }

    /// `byteCount` bytes from `offset` on; fewer where the file ends.
    static func read(_ path: String, at offset: UInt64, byteCount: Int) throws(Failure) -> [UInt8] {
        guard offset <= UInt64(Int64.max), byteCount > 0 else { return [] }
        let descriptor = try open(path)
        defer { _ = close(descriptor) }
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            // The buffer has `byteCount` bytes. A regular file gives all that it has in one call.
            unsafe result = pread(descriptor, buffer.baseAddress, byteCount, off_t(offset))
            count = max(result, 0)
        }
        guard result >= 0 else { throw lastFailure() }
        return bytes
    }

    /// Bytes of a block device.
    static func blockDeviceByteCount(_ path: String) throws(Failure) -> UInt64 {
        let descriptor = try open(path)
        defer { _ = close(descriptor) }
        let count = clinux_block_device_size(descriptor)
        guard count >= 0 else { throw lastFailure() }
        return UInt64(count)
    }

    /// Names in a folder, sorted by their bytes.
    static func names(inFolder path: String) throws(Failure) -> [String] {
        // Null is checked; the stream is ours until closedir.
        guard let stream = unsafe opendir(path) else { throw lastFailure() }
        defer { unsafe _ = closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            // d_name is NUL-terminated and lives until the next readdir.
            unsafe names.append(String(cString: clinux_directory_entry_name(entry)))
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func open(_ path: String) throws(Failure) -> Int32 {
        let descriptor = unsafe clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw lastFailure() }
        return descriptor
    }
}

private func readBytes(_ descriptor: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ byteCount: Int) -> Int {
    unsafe read(descriptor, buffer, byteCount)
}
