// SPDX-License-Identifier: Apache-2.0
import CSandbox
import Foundation
import Testing

extension Interoperability {
    @Suite("Pollers")
    struct PollerTests {
        @Test("The server has the poller that it was asked for, says so when asked, and is silent about it")
        func chosen() throws {
            for poller in ["epoll", "io_uring"] {
                let folder = try TemporaryFolder()
                let server = try MartletServer(
                    "ram/1M", options: ["--poller", poller, "--control", folder.file("control")])
                let status = try Program.run(MartletServer.path, ["status", "--control", folder.file("control")])
                #expect(status.succeeded && Self.poller(in: status.output) == poller, "\(status.summary)")
                #expect(!server.standardError.contains("is not used"))
                try expectServes(server.url)
                try server.stop()
            }
        }

        @Test(
            "Where io_uring is forbidden or missing the server serves with epoll, and one line says why",
            arguments: [
                (EPERM, "a sandbox forbids it"), (ENOSYS, "this kernel has no io_uring, or a sandbox hides it"),
            ])
        func refused(error: Int32, words: String) throws {
            try inThreadOfItsOwn {
                // The server inherits what this thread has given up.
                try #require(csandbox_refuse(csandbox_io_uring_setup, error) == 0)
                let server = try MartletServer("ram/1M", options: ["--poller", "io_uring", "--loops", "3"])
                try expectServes(server.url)
                try server.stop()
                let lines = server.standardError.split(separator: "\n").filter { $0.contains("io_uring") }
                #expect(lines.count == 1, "\(server.standardError)")
                #expect(
                    lines.first?.contains("io_uring is not used, epoll is: \(words)") == true,
                    "\(server.standardError)")
            }
        }

        private static func poller(in table: String) -> String? {
            table.split(separator: "\n").first { $0.hasPrefix("poller ") }
                .flatMap { $0.split(separator: " ").last }.map(String.init)
        }

        private func inThreadOfItsOwn(_ body: @escaping @Sendable () throws -> Void) throws {
            nonisolated(unsafe) var result: Result<Void, any Error>?
            let finished = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                result = Result { try body() }
                finished.signal()
            }
            finished.wait()
            try result?.get()
        }
    }
}
