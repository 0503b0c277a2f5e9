// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// A folder that only this process's user can enter, beside a path: what is made in it gets its mode in peace and is
/// then moved to the path whole. umask(2) would do the same to every other thread's files, a handler's among them.
final class PrivateFolder {
    private let path: String
    private let descriptor: CInt

    /// - Parameter path: an absolute path, or one from the current folder.
    init(beside path: String) throws(SystemError) {
        let end = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        var template = Array("\(path[..<end]).martlet-XXXXXX".utf8CString)
        // A C string of our own, changed in place.
        guard unsafe mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
        self.path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        descriptor = unsafe clinux_open(template, clinux_o_path | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            let error = SystemError.last("open")
            unsafe _ = rmdir(template)
            throw error
        }
    }

    deinit {
        unsafe _ = unlinkat(descriptor, Self.entry, 0)
        close(descriptor)
        unsafe _ = rmdir(path)
    }

    /// The one entry's name.
    private static let entry = "s"

    /// A path of the entry, short enough for a socket address wherever the folder lies.
    var entryPath: String { "/proc/self/fd/\(descriptor)/\(Self.entry)" }

    /// Gives the entry this mode and moves it to `path`, in place of what is there.
    func moveEntry(to path: String, mode: mode_t) throws(SystemError) {
        guard unsafe fchmodat(descriptor, Self.entry, mode, 0) == 0 else {
            throw SystemError.last("fchmodat")
        }
        guard unsafe renameat(descriptor, Self.entry, AT_FDCWD, path) == 0 else {
            throw SystemError.last("renameat")
        }
    }
}
