// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// The place of the control socket in the file system.
public struct ControlSocket: Sendable {
    let path: String

    /// Who can connect can ask everything.
    static let mode: mode_t = 0o600

    /// Where the client verbs look when they are not told.
    public static var defaultPath: String { defaultPath(runtimeFolder: Environment.value("XDG_RUNTIME_DIR")) }

    public static func defaultPath(runtimeFolder: String?) -> String {
        guard let runtimeFolder, runtimeFolder.hasPrefix("/") else { return "/run/martlet/control" }
        return "\(runtimeFolder)/martlet/control"
    }

    /// Makes the path free: the socket of a server that has gone is removed, that of one that runs is a failure, and so
    /// is anything that is no socket.
    static func prepare(_ path: String) throws(Failure) -> ControlSocket {
        guard !path.hasPrefix("@"), let address = UnixSocketAddress(path) else {
            throw .usage(
                "--control \"\(path)\" is no path for a socket: it has at most "
                    + "\(UnixSocketAddress.maximumPathByteCount) bytes; name a shorter one")
        }
        try makeFolder(of: path)
        var record = stat()
        // A whole stat record of our own.
        guard unsafe lstat(path, &record) == 0 else { return ControlSocket(path: path) }
        guard clinux_is_socket(record.st_mode) else {
            throw .runTime("--control \(path) is there and is no socket: remove it, or name another path")
        }
        guard try !isAnswered(address, path) else {
            throw .runTime("--control \(path) belongs to a server that runs: stop that one, or name another path")
        }
        guard unsafe unlink(path) == 0 || clinux_errno() == ENOENT else {
            let words = SystemError.text(of: clinux_errno())
            throw .runTime("--control \(path) is left over and cannot be removed (\(words)): remove it")
        }
        return ControlSocket(path: path)
    }

    func remove() { unsafe _ = unlink(path) }

    private static func isAnswered(_ address: UnixSocketAddress, _ path: String) throws(Failure) -> Bool {
        do throws(SystemError) {
            let socket = try LocalSocket(.stream)
            try socket.connect(to: address)
            return true
        } catch {
            if error.code == ECONNREFUSED || error.code == ENOENT { return false }
            throw .runTime("--control \(path) cannot be looked at (\(error)): name another path")
        }
    }

    /// The last folder of the path only: what is above is the operator's.
    private static func makeFolder(of path: String) throws(Failure) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let folder = String(path[..<slash])
        guard !Environment.isFolder(folder), unsafe mkdir(folder, 0o700) != 0 else { return }
        let words = SystemError.text(of: clinux_errno())
        throw .runTime(
            "the folder of --control \(path) cannot be made (\(words)): create \(folder), or name another path")
    }
}
