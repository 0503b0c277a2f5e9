// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Foundation
public import TargetCore

/// The folder for what must outlive the process: a file for each logical unit, and a lock that keeps a second server
/// out of it while this one runs.
public final class StateFolder: Sendable {
    public let path: String
    private let descriptor: CInt
    private let lock: CInt
    private let thread: SaveThread
    private let diagnostics: Diagnostics

    private static let lockName = "lock"
    private static let filePermissions: mode_t = 0o600

    /// Makes the folder if need be, and takes it for this process.
    public static func open(_ path: String, diagnostics: Diagnostics) throws(Failure) -> StateFolder {
        try StateDirectory.prepare(path)
        do throws(SystemError) {
            return try StateFolder(path, diagnostics)
        } catch {
            guard error.code == EWOULDBLOCK else {
                throw .runTime("--state-dir \(path) cannot be used (\(error)): name another folder")
            }
            throw .runTime(
                "--state-dir \(path) belongs to another martlet that is running: end that one, or name another folder")
        }
    }

    private init(_ path: String, _ diagnostics: Diagnostics) throws(SystemError) {
        self.path = path
        self.diagnostics = diagnostics
        let lock = unsafe clinux_open("\(path)/\(Self.lockName)", O_RDWR | O_CREAT | O_CLOEXEC, Self.filePermissions)
        guard lock >= 0 else { throw SystemError.last("open") }
        // The kernel gives it back whatever way the process ends.
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let error = SystemError.last("flock")
            Glibc.close(lock)
            throw error
        }
        let descriptor = unsafe clinux_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            let error = SystemError.last("open")
            Glibc.close(lock)
            throw error
        }
        do throws(SystemError) {
            thread = try SaveThread()
        } catch {
            Glibc.close(lock)
            Glibc.close(descriptor)
            throw error
        }
        self.lock = lock
        self.descriptor = descriptor
    }

    /// Where the unit with this serial number keeps its state, with what was saved last. A file that cannot be
    /// understood is an error: a reservation that was forgotten would let two hosts write to one disk.
    public func store(serial: String) throws(Failure) -> any DurableStore {
        let name = UnitStateFile.name(serial: serial)
        let file = "\(path)/\(name)"
        let bytes: Data?
        do throws(SystemError) {
            bytes = try Self.read(file)
        } catch {
            throw .runTime("\(file) cannot be read (\(error)): change its permissions, or move it away")
        }
        var state = DurableUnitState()
        do throws(UnitStateFile.Defect) {
            if let bytes { state = try UnitStateFile.decode(bytes, serial: serial) }
        } catch {
            throw .runTime(
                "\(file) \(error.words): it is to keep the persistent reservations and saved mode pages of the logical "
                    + "unit \"\(serial)\"; put a good copy in its place, or move it away to start without them")
        }
        return UnitStateStore(self, serial: serial, name: name, loaded: state, bytes)
    }

    /// Saves what was asked for, and lets another server use the folder. Blocks.
    public func close() {
        thread.end()
        Glibc.close(descriptor)
        Glibc.close(lock)
    }

    // MARK: - Saving

    /// Runs `work` on the thread that saves, after all that was asked for before.
    func perform(_ work: @escaping @Sendable () -> Void) { thread.perform(work) }

    /// Puts `bytes` in the place of the file `name`, whole or not at all; they are on stable storage when this returns
    /// true. On the thread that saves. `previous`: what stands there now, which is put back when it is not known
    /// whether the new bytes would stay.
    func replace(_ name: String, with bytes: Data, previous: Data?) -> Bool {
        do throws(SystemError) {
            try write(bytes, to: name)
        } catch {
            diagnostics.report(.error, "\(path)/\(name) cannot be saved (\(error)): the change is refused")
            return false
        }
        guard fsync(descriptor) != 0 else { return true }
        diagnostics.report(
            .error, "\(path)/\(name) is perhaps not saved (\(SystemError.last("fsync"))): the change is refused")
        if let previous { try? write(previous, to: name) } else { unsafe _ = unlinkat(descriptor, name, 0) }
        _ = fsync(descriptor)
        return false
    }

    private func write(_ bytes: Data, to name: String) throws(SystemError) {
        let temporary = ".\(name).new"
        let file = unsafe clinux_open(
            "\(path)/\(temporary)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, Self.filePermissions)
        guard file >= 0 else { throw SystemError.last("open") }
        do throws(SystemError) {
            try Self.writeAll(bytes, to: file)
            guard fsync(file) == 0 else { throw SystemError.last("fsync") }
        } catch {
            Glibc.close(file)
            unsafe _ = unlinkat(descriptor, temporary, 0)
            throw error
        }
        Glibc.close(file)
        guard unsafe renameat(descriptor, temporary, descriptor, name) == 0 else {
            throw SystemError.last("rename")
        }
    }

    private static func writeAll(_ bytes: Data, to file: CInt) throws(SystemError) {
        var offset = 0
        while offset < bytes.count {
            // Within the bytes of our own array, which is there until the call returns.
            let count = unsafe bytes.withUnsafeBytes { all in
                unsafe Glibc.write(file, all.baseAddress! + offset, all.count - offset)
            }
            if count < 0, clinux_errno() == EINTR { continue }
            guard count > 0 else { throw SystemError.last("write") }
            offset += count
        }
    }

    /// Nil: there is none.
    private static func read(_ path: String) throws(SystemError) -> Data? {
        let file = unsafe clinux_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)
        guard file >= 0 else {
            let error = SystemError.last("open")
            if error.code == ENOENT { return nil }
            throw error
        }
        defer { Glibc.close(file) }
        var bytes = Data()
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= UnitStateFile.maximumByteCount {
            // Into an array of our own.
            let count = unsafe Glibc.read(file, &chunk, chunk.count)
            if count < 0, clinux_errno() == EINTR { continue }
            guard count >= 0 else { throw SystemError.last("read") }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }
}
