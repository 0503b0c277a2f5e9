// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The handler of Tests/HandlerTests/Handlers/life.c, which writes down what becomes of its stores `life/NAME`, and
/// waits where it is told to.
final class LifeHandler {
    let folder: TemporaryFolder
    private let handler: BadHandler
    /// FIFOs that somebody waits at: open until the test ends.
    private var held: [Int32] = []

    init() throws {
        folder = try TemporaryFolder()
        handler = try BadHandler("FOLDER=\"\(folder.path)\"", source: "life.c")
    }

    deinit { for each in held { close(each) } }

    var options: [String] { handler.options }

    /// What has happened, a line each: `opens`, `open`, `flushes`, `flushed`, `closed`, with the name.
    var log: [String] {
        let text = (try? folder.read("log")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    /// What has happened to one store.
    func log(of name: String) -> [String] {
        log.filter { $0.hasSuffix(" \(name)") }.map { String($0.dropLast(name.count + 1)) }
    }

    /// From now on `phase` (open, read, flush, close) of the store takes until the returned function is called.
    func hold(_ phase: String, of name: String) throws -> @Sendable () -> Void {
        let path = folder.file("hold-\(phase)-\(name)")
        guard mkfifo(path, 0o600) == 0 else { throw HarnessError("mkfifo", errno: errno) }
        let end = open(path, O_RDWR | O_CLOEXEC)
        guard end >= 0 else { throw HarnessError("open", errno: errno) }
        held.append(end)
        return {
            unlink(path)
            var byte: UInt8 = 0
            _ = write(end, &byte, 1)
        }
    }

    func waitForLog(_ line: String, count: Int = 1) throws {
        let deadline = Date(timeIntervalSinceNow: 20)
        while self.log.count(where: { $0 == line }) < count {
            guard Date() < deadline else { throw HarnessError("no \(line): \(self.log)") }
            sched_yield()
        }
    }

    /// No store was opened while it was open, or on its way to be.
    var opensTwice: Bool {
        var isOpen: Set<Substring> = []
        for line in log {
            let words = line.split(separator: " ")
            if words[0] == "opens", !isOpen.insert(words[1]).inserted { return true }
            if words[0] == "closed" { isOpen.remove(words[1]) }
        }
        return false
    }
}
