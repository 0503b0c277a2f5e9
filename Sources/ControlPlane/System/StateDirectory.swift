// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Foundation

/// The folder for what must outlive the process.
enum StateDirectory {
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
        }
        // Asks the kernel with the user that will write.
        guard unsafe access(path, W_OK | X_OK) == 0 else {
            throw .runTime(
                "--state-dir \(path) cannot be written (\(SystemError.text(of: clinux_errno()))): "
                    + "change its owner or permissions, or name another folder")
        }
    }
}
