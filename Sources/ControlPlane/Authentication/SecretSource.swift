// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Glibc
public import ISCSI

/// Where a secret of CHAP stands: never in the configuration itself, never on the command line.
public struct SecretSource: Sendable {
    public enum Kind: Equatable, Sendable {
        /// `secret-file`: the whole file, but for one newline at its end.
        case file(String)
        /// `secret-env`: the value of an environment variable.
        case environment(String)
    }

    public let kind: Kind
    /// Where it was named: "/etc/martlet.yaml:12".
    public let place: String

    public init(_ kind: Kind, place: String) {
        self.kind = kind
        self.place = place
    }

    /// Reads the secret now. Errors name the place and the source, never a byte of the secret.
    public func read() throws(Failure) -> CHAPSecret {
        let bytes: [UInt8]
        switch kind {
        case .file(let path): bytes = try readFile(path)
        case .environment(let name):
            guard let value = Environment.value(name) else {
                throw failure("the environment variable \(name) is not set: set it for the server's process")
            }
            bytes = Array(value.utf8)
        }
        guard let secret = CHAPSecret(bytes) else { throw failure(lengthDefect(bytes.count)) }
        return secret
    }

    private func lengthDefect(_ count: Int) -> String {
        let source =
            switch kind {
            case .file(let path): "the secret in \(path)"
            case .environment(let name): "the secret in the environment variable \(name)"
            }
        if count == 0 { return "\(source) is empty: write one of \(Self.advice)" }
        if count > CHAPSecret.maximumByteCount {
            return "\(source) is longer than \(CHAPSecret.maximumByteCount) bytes: write one of \(Self.advice)"
        }
        return "\(source) has \(count) bytes, and with fewer than \(CHAPSecret.minimumByteCount) whoever listens finds "
            + "it by trying (RFC 7143 9.2.1): write one of \(Self.advice)"
    }

    /// Some initiators, Microsoft's for one, take no longer ones.
    private static let advice = "12 to 16 random characters here and at the initiator"

    // MARK: Files

    private func readFile(_ path: String) throws(Failure) -> [UInt8] {
        // No wait for the other end of a pipe, no terminal of a device.
        let descriptor = unsafe clinux_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0)
        guard descriptor >= 0 else {
            throw failure(
                "secret-file \(path) cannot be read (\(SystemError.text(of: clinux_errno()))): "
                    + "check the path, and let the server's user read it")
        }
        defer { close(descriptor) }
        try checkAccess(path, descriptor)
        var bytes = try readBytes(path, descriptor)
        if bytes.last == UInt8(ascii: "\n") {
            bytes.removeLast()
            guard bytes.last != UInt8(ascii: "\r") else {
                throw failure("secret-file \(path) ends its line with a carriage return: save it with Unix line ends")
            }
        }
        return bytes
    }

    /// A secret that others can read or change is none. Refused rather than warned of: nobody reads warnings of a
    /// server that works.
    private func checkAccess(_ path: String, _ descriptor: CInt) throws(Failure) {
        var status = stat()
        // A whole stat of our own.
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw failure("secret-file \(path) cannot be looked at (\(SystemError.text(of: clinux_errno())))")
        }
        guard status.st_mode & Glibc.S_IFMT == Glibc.S_IFREG else {
            throw failure("secret-file \(path) is no regular file: write the secret into a file of its own")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw failure(
                "secret-file \(path) belongs to another user, who could change it: "
                    + "give it to root or to the server's user with chown")
        }
        guard status.st_mode & 0o027 == 0 else {
            throw failure(
                "secret-file \(path) has the mode 0\(String(status.st_mode & 0o7777, radix: 8)), so that others can "
                    + "read or change it: take that from them with chmod g-w,o= \(path)")
        }
    }

    /// At most one byte more than a secret and its newline may have.
    private func readBytes(_ path: String, _ descriptor: CInt) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: CHAPSecret.maximumByteCount + 2)
        var count = 0
        while count < bytes.count {
            // Into the part of our array that is not filled yet.
            let got = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe readSome(descriptor, UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            }
            if got == 0 { break }
            guard got > 0 else {
                if clinux_errno() == EINTR { continue }
                throw failure("secret-file \(path) cannot be read (\(SystemError.text(of: clinux_errno())))")
            }
            count += got
        }
        return Array(bytes.prefix(count))
    }

    private func failure(_ sentence: String) -> Failure { .usage("\(place): \(sentence)") }
}

/// The same source is the same setting, wherever it stands in the file.
extension SecretSource: Equatable {
    public static func == (left: SecretSource, right: SecretSource) -> Bool { left.kind == right.kind }
}

/// read(2), whose name the method above has.
private func readSome(_ descriptor: CInt, _ room: UnsafeMutableRawBufferPointer) -> Int {
    unsafe read(descriptor, room.baseAddress, room.count)
}
