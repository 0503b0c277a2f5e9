// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Where the kernel, the file system or the configuration does not give what the handler "uring" would have.
struct UringFallBackTests {
    struct Lack: CustomTestStringConvertible, Sendable {
        var name: String
        var words: String

        var testDescription: String { name }
    }

    static let lacks = [
        Lack(name: "setup-EPERM", words: "io_uring_setup: it is forbidden, as by a container's seccomp filter"),
        Lack(name: "setup-ENOSYS", words: "io_uring_setup: this kernel has no io_uring"),
        Lack(name: "enter-EPERM", words: "io_uring_enter: it is forbidden, as by a container's seccomp filter"),
        Lack(name: "register-EPERM", words: "io_uring_register: it is forbidden, as by a container's seccomp filter"),
    ]

    /// What the handler says when it works without a ring.
    static func served(_ path: String, _ words: String) -> [String] {
        ["\(path) is served by 4 threads, without io_uring: \(words)"]
    }

    @Test("Where io_uring is missing or forbidden threads serve the device, which one line tells", arguments: lacks)
    func lack(_ lack: Lack) throws {
        for mode in [UringHost.Mode.own, .batch] {
            let folder = try TestFolder()
            let path = folder.file("disk.img")
            let host = UringHost(mode: mode, lack: lack.name)
            let answer = try host.run(["integrity", "1", "3", "20", "300"], on: path)
            #expect(answer.status == 0, "\(answer)")
            #expect(answer.log == Self.served(path, lack.words))
            #expect(answer.lines.contains("descriptor: no") == (mode == .batch))
        }
    }

    @Test("A process that may lock no memory is served, by threads where the kernel counts the ring as such")
    func memory() throws {
        let folder = try TestFolder()
        let path = folder.file("disk.img")
        let answer = try UringHost(lack: "memory").run(["integrity", "1", "3", "20", "300"], on: path)
        #expect(answer.status == 0, "\(answer)")
        let words = "io_uring_setup: there is no memory for it; is RLIMIT_MEMLOCK too low?"
        #expect(answer.log.isEmpty || answer.log == Self.served(path, words))
    }

    @Test("Threads can be asked for")
    func threads() throws {
        let folder = try TestFolder()
        let path = folder.file("disk.img")
        let answer = try UringHost(options: ";engine=threads").run(["open"], on: path)
        #expect(answer.status == 0 && answer.log == Self.served(path, "engine=threads asks for it"), "\(answer)")
    }

    @Test("A ring is silent", arguments: ["", ";engine=ring", ";direct=on", ";queue-depth=4096", ";queue-depth=1"])
    func silence(_ options: String) throws {
        // What the folder for temporary files lies on need not have direct I/O.
        let answer = try UringHost(options: options).run("open")
        #expect(answer.status == 0, "\(answer)")
        #expect(answer.log.filter { !$0.contains("goes through the page cache") } == [])
    }

    @Test(
        "Without direct I/O the page cache is used, which one line tells",
        arguments: [
            ("none", "the file system has no direct I/O"), ("0", "the file system has no direct I/O"),
            ("4096", "direct I/O is aligned to 4096 bytes here, and blocks have 512"),
        ])
    func direct(_ answers: String, _ words: String) throws {
        let folder = try TestFolder()
        let path = folder.file("disk.img")
        var host = UringHost(blockByteCount: 512, environment: ["URING_DIRECT": answers])
        let answer = try host.run(["integrity", "1", "3", "20", "300"], on: path)
        #expect(answer.status == 0, "\(answer)")
        #expect(answer.log == ["\(path) goes through the page cache: \(words)"])
        host.options = ";direct=off"
        #expect(try host.run(["open"], on: path).log == [])
    }

    @Test(
        "A queue that is too deep is served less deep, which one line tells",
        arguments: ["4097", "99999999999999999999"])
    func tooDeep(_ depth: String) throws {
        let answer = try UringHost(options: ";direct=off;queue-depth=\(depth)").run("open")
        #expect(answer.status == 0, "\(answer)")
        #expect(answer.log == ["a queue depth of 4096 is the most, and is taken"])
    }

    @Test(
        "Options that cannot be are refused in one sentence",
        arguments: [
            (";direct=maybe", "direct=maybe: on or off is expected"), (";direct=", "direct=: on or off is expected"),
            (";queue-depth=0", "queue-depth=0: a number from 1 to 4096 is expected"),
            (";queue-depth=-1", "queue-depth=-1: a number from 1 to 4096 is expected"),
            (";queue-depth=1k", "queue-depth=1k: a number from 1 to 4096 is expected"),
            (";queue-depth=", "queue-depth=: a number from 1 to 4096 is expected"),
            (";engine=steam", "engine=steam: ring or threads is expected"),
            (";direct", "\"direct\" is no option: write NAME=VALUE"), (";", "\"\" is no option: write NAME=VALUE"),
            (";depth=4", "\"depth\" is no option of uring: direct, queue-depth and engine are"),
            (";direct=off;;", "\"\" is no option: write NAME=VALUE"),
        ])
    func options(_ options: String, _ words: String) throws {
        let answer = try UringHost(options: options).run("open")
        #expect(answer.status == 2 && answer.lines == ["refused: \(words)"], "\(answer)")
    }

    @Test("A path that is none is refused in one sentence", arguments: ["disk.img", "", "/", ";direct=off"])
    func paths(_ path: String) throws {
        let answer = try UringHost().run(["open"], on: path)
        let shown = path.prefix { $0 != ";" }
        let words = "\"\(shown)\" is not an absolute path: write uring//srv/disk.img for /srv/disk.img"
        #expect(answer.status == 2 && answer.lines == ["refused: \(words)"], "\(answer)")
    }

    @Test("Stores that cannot be are refused in one sentence, and are as they were")
    func stores() throws {
        let folder = try TestFolder()
        let (file, empty) = (folder.file("file"), folder.file("empty"))
        let nothing = folder.file("nothing")
        let (none, far) = (UringHost(byteCount: 0), UringHost(byteCount: 1 << 20))
        #expect(FileManager.default.createFile(atPath: file, contents: Data(count: 1000)))
        #expect(FileManager.default.createFile(atPath: empty, contents: nil))
        func words(_ host: UringHost, _ path: String) throws -> [String] {
            let answer = try host.run(["open"], on: path)
            #expect(answer.status == 2, "\(answer)")
            return answer.log
        }
        #expect(try words(none, nothing) == ["\(nothing) does not exist: configure a size to create it"])
        #expect(
            try words(UringHost(mode: .readonly), nothing) == ["\(nothing) does not exist, and the device is read only"]
        )
        #expect(!FileManager.default.fileExists(atPath: nothing))
        #expect(try words(none, empty) == ["\(empty) is empty: configure the size that it shall have"])
        #expect(
            try words(UringHost(mode: .readonly), empty) == ["\(empty) is empty, and the device is read only"])
        #expect(try words(none, file) == ["\(file): 1000 bytes are no multiple of the block size, 4096"])
        #expect(
            try words(far, file) == [
                "\(file) has 1000 bytes, but 1048576 are configured: leave the size out, or name another file"
            ])
        #expect(try words(far, folder.path) == ["cannot open \(folder.path): Is a directory"])
        #expect(try words(far, "/dev/null") == ["/dev/null is neither a regular file nor a block device"])
        #expect(
            try words(far, "\(nothing)/more") == ["cannot create \(nothing)/more: No such file or directory"])
        #expect(try words(far, "\(file)/more") == ["cannot look at \(file)/more: Not a directory"])
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int == 1000)
        #expect(try FileManager.default.attributesOfItem(atPath: empty)[.size] as? Int == 0)
    }
}
