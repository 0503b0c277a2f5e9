// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Foundation

/// The folder for what must outlive the process.
enum StateDirectory {
    /// The folder that systemd made for the service (systemd.exec(5), StateDirectory=): the first, where there are
    /// several.
    static var byEnvironment: String? {
        guard let folders = Environment.value("STATE_DIRECTORY") else { return nil }
        return folders.split(separator: ":").first.map(String.init)
    }

    /// Only the server's own user may read what is kept: it names initiators.
    private static let permissions = 0o700

    /// Makes sure that there is such a folder and that it can be written to.
    static func prepare(_ path: String) throws(Failure) {
        if !Environment.isFolder(path) {
            do {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: permissions])
            } catch {
                throw .runTime(
                    "--state-dir \(path) cannot be made: create it for this user, or name a folder that can be written")
            }
            keepName(of: path)
        }
        // Asks the kernel with the user that will write.
        guard unsafe access(path, W_OK | X_OK) == 0 else {
            throw .runTime(
                "--state-dir \(path) cannot be written (\(SystemError.text(of: clinux_errno()))): "
                    + "change its owner or permissions, or name another folder")
        }
    }

    /// What is saved in a new folder is lost with the folder's own name: that is brought to stable storage in all
    /// folders above. Where one of them may not be read, its file system has to see to that.
    private static func keepName(of path: String) {
        var folder = Environment.realPath(path)
        while let slash = folder.lastIndex(of: "/") {
            folder = String(folder[..<slash])
            let descriptor = unsafe clinux_open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
            guard descriptor >= 0 else { continue }
            _ = fsync(descriptor)
            close(descriptor)
        }
    }
}
