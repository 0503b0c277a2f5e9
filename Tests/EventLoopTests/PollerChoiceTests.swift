// SPDX-License-Identifier: Apache-2.0

import CLinux
import CSandbox
import EventLoop
import Synchronization
import Testing

@Suite("The choice of a poller")
struct PollerChoiceTests {
    @Test(
        "Where nothing forbids it, each gets what was asked for, without a word",
        .enabled(if: PollerKind.allCases.contains(.ioUring), "there is no io_uring here"))
    func possible() throws {
        for (choice, name) in [(PollerChoice.epoll, "epoll"), (.ioUring, "io_uring")] {
            let (poller, reason) = try choice.makePoller()
            #expect(poller.name == name)
            #expect(reason == nil)
        }
        let (poller, reason) = try PollerChoice.auto.makePoller()
        #expect(poller.name == PollerChoice.preferred.rawValue)
        #expect(reason == nil)
    }

    static let refusals: [(call: Int, error: CInt, words: String)] = [
        (csandbox_io_uring_setup, ENOSYS, "this kernel has no io_uring, or a sandbox hides it (io_uring_setup: "),
        (csandbox_io_uring_setup, EPERM, "a sandbox forbids it (io_uring_setup: "),
        (csandbox_io_uring_setup, EACCES, "a sandbox forbids it (io_uring_setup: "),
        (csandbox_io_uring_setup, EINVAL, "this kernel's io_uring is older than Linux 6.1 (io_uring_setup: "),
        (
            csandbox_io_uring_setup, ENOMEM,
            "there is not enough memory that may be locked (see ulimit -l), or none at all (io_uring_setup: "
        ),
        (csandbox_io_uring_setup, EMFILE, "there is no free descriptor for it (io_uring_setup: "),
        (csandbox_io_uring_setup, EIO, "it failed (io_uring_setup: "),
        (csandbox_io_uring_register, EPERM, "a sandbox forbids it (io_uring_register of buffers: "),
        (csandbox_io_uring_enter, EPERM, "a sandbox forbids it (io_uring_enter: "),
        (csandbox_io_uring_enter, ENOSYS, "this kernel has no io_uring, or a sandbox hides it (io_uring_enter: "),
    ]

    @Test("Where io_uring cannot be had epoll serves, and a sentence says why", arguments: refusals.indices)
    func refused(index: Int) throws {
        let refusal = Self.refusals[index]
        let outcome = try inThreadOfItsOwn {
            try #require(csandbox_refuse(refusal.call, refusal.error) == 0)
            let (poller, reason) = try PollerChoice.ioUring.makePoller()
            // The poller that is there works.
            let loop = try EventLoop(handle: LoopHandle(), poller: poller)
            _ = loop.schedule(afterMilliseconds: 1) { loop.stop() }
            try loop.run()
            return (poller.name, reason)
        }
        #expect(outcome.0 == "epoll")
        let reason = try #require(outcome.1)
        #expect(reason.hasPrefix("io_uring is not used, epoll is: \(refusal.words)"), "\(reason)")
    }

    @Test(
        "A poller that could not be made leaves no descriptor behind",
        .enabled(if: PollerKind.allCases.contains(.ioUring), "there is no io_uring here"))
    func nothingLeft() throws {
        let counts = try inThreadOfItsOwn {
            try #require(csandbox_refuse(csandbox_io_uring_enter, EPERM) == 0)
            let before = try descriptors()
            for _ in 0..<20 { #expect(throws: SystemError.self) { try UringPoller() } }
            return (before, try descriptors())
        }
        // Other tests open and close theirs meanwhile: twenty of ours would show.
        #expect(counts.1 - counts.0 < 20)
    }

    private func descriptors() throws -> Int {
        let folder = try #require(opendir("/proc/self/fd"))
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            var path = [CChar](repeating: 0, count: 256)
            let link = "/proc/self/fd/" + String(cString: clinux_directory_entry_name(entry))
            let length = readlink(link, &path, path.count - 1)
            if length > 0,
                String(decoding: path.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
                    .contains("io_uring")
            {
                count += 1
            }
        }
        return count
    }

    /// What a thread has given up it does not get back.
    private func inThreadOfItsOwn<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let box = ResultBox<Value>()
        try LoopThread(name: "sandboxed") {
            let result = Result { try body() }
            box.result.withLock { $0 = result }
        }.join()
        return try #require(box.result.withLock { $0 }).get()
    }
}

private final class ResultBox<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
}
