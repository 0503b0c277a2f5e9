// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import ISCSI
import Testing

@Suite("Secrets")
struct SecretSourceTests {
    static let secret = "correct horse battery"

    /// Files of one test.
    final class Folder {
        let path: String

        init() throws {
            path = NSTemporaryDirectory() + "/martlet-secrets-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ bytes: some Sequence<UInt8>, mode: Int = 0o600, name: String = "secret") throws -> String {
            let file = path + "/" + name
            #expect(
                FileManager.default.createFile(
                    atPath: file, contents: Data(bytes), attributes: [.posixPermissions: mode]))
            return file
        }
    }

    private func read(_ path: String) throws(Failure) -> CHAPSecret {
        try SecretSource(.file(path), place: "m.yaml:7").read()
    }

    @Test("A file is the secret, but for one newline at its end", arguments: ["", "\n"])
    func file(end: String) throws {
        let folder = try Folder()
        #expect(
            try read(try folder.write((Self.secret + end).utf8)) == CHAPSecret(Array(Self.secret.utf8)))
    }

    @Test("Every other byte belongs to the secret")
    func bytes() throws {
        let folder = try Folder()
        let odd: [UInt8] = [0, 10, 13, 255, 32, 9] + Array(Self.secret.utf8) + [10]
        #expect(try read(try folder.write(odd + [10])) == CHAPSecret(odd))
        #expect(try read(try folder.write([10] + odd, name: "other")) == CHAPSecret([10] + odd.dropLast()))
    }

    @Test(
        "A secret of the wrong length is refused, in words without it",
        arguments: [
            (0, "is empty"), (1, "has 1 bytes"), (11, "has 11 bytes"), (256, "is longer than 255 bytes"),
            (4096, "is longer than 255 bytes"),
        ])
    func lengths(count: Int, words: String) throws {
        let folder = try Folder()
        for end in [[], [UInt8(10)]] {
            let path = try folder.write([UInt8](repeating: 0x5A, count: count) + end)
            let failure = #expect(throws: Failure.self) { try read(path) }
            let text = try #require(failure?.description)
            #expect(failure?.kind == .usage)
            #expect(text.hasPrefix("m.yaml:7: the secret in \(path) \(words)"), "\(text)")
            #expect(!text.contains("ZZ"))
        }
        for good in [12, 255] where count == 0 {
            _ = try read(try folder.write([UInt8](repeating: 0x5A, count: good) + [10]))
        }
    }

    @Test("Windows' line end is told of")
    func carriageReturn() throws {
        let folder = try Folder()
        let path = try folder.write((Self.secret + "\r\n").utf8)
        #expect(
            throws: Failure.usage(
                "m.yaml:7: secret-file \(path) ends its line with a carriage return: save it with Unix line ends")
        ) { try read(path) }
    }

    @Test(
        "A file that others can read or change is refused",
        arguments: [
            (0o600, true), (0o400, true), (0o640, true), (0o440, true), (0o644, false), (0o604, false),
            (0o660, false), (0o602, false), (0o601, false), (0o777, false),
        ])
    func permissions(mode: Int, isGood: Bool) throws {
        let folder = try Folder()
        let path = try folder.write(Self.secret.utf8, mode: mode)
        guard isGood else {
            let failure = #expect(throws: Failure.self) { try read(path) }
            #expect(
                failure?.description
                    == "m.yaml:7: secret-file \(path) has the mode 0\(String(mode, radix: 8)), so that others can read or "
                    + "change it: take that from them with chmod g-w,o= \(path)")
            return
        }
        _ = try read(path)
    }

    @Test("A file of another user is refused", .enabled(if: geteuid() == 0, "only root can give files away"))
    func owner() throws {
        let folder = try Folder()
        let path = try folder.write(Self.secret.utf8)
        #expect(chown(path, 65534, 65534) == 0)
        let failure = #expect(throws: Failure.self) { try read(path) }
        #expect(failure?.description.contains("belongs to another user") == true)
    }

    @Test("What is no file is refused, and nothing is waited for")
    func noFile() throws {
        let folder = try Folder()
        let missing = #expect(throws: Failure.self) { try read(folder.path + "/none") }
        #expect(
            missing?.description
                == "m.yaml:7: secret-file \(folder.path)/none cannot be read (No such file or directory): check the path, "
                + "and let the server's user read it")
        #expect(throws: Failure.self) { try read(folder.path) }
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        let fifo = #expect(throws: Failure.self) { try read(pipe) }
        #expect(fifo?.description.contains("is no regular file") == true)
        #expect(throws: Failure.self) { try read("/dev/null") }
        #expect(throws: Failure.self) { try read("") }
    }

    @Test("An environment variable is the secret as it is")
    func environment() throws {
        func read(_ name: String) throws(Failure) -> CHAPSecret {
            try SecretSource(.environment(name), place: "m.yaml:7").read()
        }
        let variables = ProcessInfo.processInfo.environment
        if let (name, value) = variables.first(where: { (12...255).contains($0.value.utf8.count) }) {
            #expect(try read(name) == CHAPSecret(Array(value.utf8)))
        }
        if let (name, value) = variables.first(where: { (4...11).contains($0.value.utf8.count) }) {
            let failure = #expect(throws: Failure.self) { try read(name) }
            #expect(failure?.description.contains("the environment variable \(name) has") == true)
            #expect(name.contains(value) || failure?.description.contains(value) == false)
        }
        #expect(
            throws: Failure.usage(
                "m.yaml:7: the environment variable MARTLET_NO_SUCH is not set: set it for the server's process")
        ) { try read("MARTLET_NO_SUCH") }
    }
}
