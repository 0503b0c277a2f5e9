// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

struct CompletionTests {
    @Test(
        "A request ends once, however the handler completes it",
        arguments: [
            ["THREADS=1"], ["THREADS=4"], ["THREADS=0", "BEHAVIOUR=1"], ["THREADS=0", "BEHAVIOUR=2"],
            ["THREADS=0", "BEHAVIOUR=1", "EXTENSION=40", "NEVER_BLOCKS=1"],
            ["THREADS=0", "BEHAVIOUR=2", "EXTENSION=40", "NEVER_BLOCKS=1"],
        ])
    func manners(_ defines: [String]) throws {
        let recorder = try Recorder(defines)
        let device = try recorder.open()
        #expect(device.write(block("there"), at: 1024) == .good)
        let request = TestRequest(.read, at: 1024, byteCount: 512)
        for _ in 0..<200 {
            #expect(request.run(on: device) == .good)
            #expect(request.bytes == block("there"))
        }
        device.close()
        #expect(recorder.collector.count(of: "that is ignored") == 0)
    }

    @Test("A handler that never blocks is called in the submitter's thread")
    func inline() throws {
        let device = try Recorder("THREADS=0", "BEHAVIOUR=1", "EXTENSION=40", "NEVER_BLOCKS=1").open()
        defer { device.close() }
        #expect(TestRequest(.read, byteCount: 512).start(on: device))
    }

    @Test("Completing twice is told once and changes nothing")
    func twice() throws {
        let recorder = try Recorder("THREADS=0", "BEHAVIOUR=3")
        let device = try recorder.open()
        let request = TestRequest(.read, byteCount: 512)
        let expected = SenseData(.mediumError, .unrecoveredReadError)
        for _ in 0..<5 { #expect(request.run(on: device) == .failed(.checkCondition, expected)) }
        device.close()
        #expect(recorder.collector.count(of: "completed a command twice; that is ignored") == 1)
    }

    @Test("The first end counts for a handler that completes and also returns an error")
    func completesAndFails() throws {
        let recorder = try Recorder("THREADS=0", "BEHAVIOUR=4")
        let device = try recorder.open()
        for _ in 0..<5 { #expect(device.read(512, at: 0).outcome == .good) }
        device.close()
        #expect(recorder.collector.count(of: "completed a command and also returned 5") == 1)
    }

    @Test("With worker threads the return value counts, and a completion is told once")
    func synchronousCompletes() throws {
        let recorder = try Recorder("THREADS=1", "BEHAVIOUR=4")
        let device = try recorder.open()
        let expected = SenseData(.mediumError, .unrecoveredReadError)
        for _ in 0..<5 { #expect(device.read(512, at: 0).outcome == .failed(.checkCondition, expected)) }
        device.close()
        #expect(recorder.collector.count(of: "whose return value is its end") == 1)
    }

    @Test("No status of a handler but 0 ends GOOD", arguments: ["THREADS=1", "THREADS=0"])
    func statuses(_ threads: String) throws {
        let device = try Recorder(threads, "BEHAVIOUR=5").open()
        defer { device.close() }
        for status in Int32(-300)...300 {
            let outcome = device.read(512, at: UInt64(status + 300) * 512).outcome
            #expect((outcome == .good) == (status == 0), "status \(status)")
            if status != 2 {
                let empty = StatusMappingTests.empty
                #expect(outcome == StatusMapping.outcome(status, sense: empty.span.bytes))
            }
        }
    }

    @Test("Worker threads run as many callouts at once as the handler asks for")
    func concurrency() throws {
        let recorder = try Recorder("THREADS=4", "BEHAVIOUR=6", "WIDTH=4")
        let device = try recorder.open()
        // Each read waits for all four: fewer workers would never end.
        let requests = (0..<4).map { _ in TestRequest(.read, byteCount: 512) }
        for request in requests { #expect(!request.start(on: device)) }
        device.submissionsEnded()
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
        device.close()
        #expect(recorder.calls.contains("most inside 4"))
    }

    @Test("One worker thread runs callouts one at a time, in the order of submission", arguments: [1, 7, 64])
    func serialisation(_ depth: Int) throws {
        let recorder = try Recorder("THREADS=1")
        let device = try recorder.open()
        let requests = (0..<depth).map { TestRequest(write: block("\($0)"), at: UInt64($0) * 512) }
        for request in requests { _ = request.start(on: device) }
        device.submissionsEnded()
        for request in requests { request.loop.wait(for: request.request) }
        device.close()
        let writes = recorder.calls.filter { $0.hasPrefix("write") }
        #expect(writes == (0..<depth).map { "write at \($0 * 512)" })
    }

    @Test("Closing waits for what is under way, then flushes, then closes")
    func draining() throws {
        let recorder = try Recorder("THREADS=0", "BEHAVIOUR=7")
        try #require(mkfifo(recorder.folder.file("log.gate"), 0o600) == 0)
        let device = try recorder.open()
        let request = TestRequest(.read, byteCount: 512)
        #expect(!request.start(on: device))
        device.submissionsEnded()
        let isClosed = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            device.close()
            isClosed.signal()
        }
        // Opening the pipe waits for the handler's thread to do the same.
        let gate = try #require(FileHandle(forWritingAtPath: recorder.folder.file("log.gate")))
        #expect(!recorder.calls.contains("close"))
        try gate.write(contentsOf: Data([1]))
        isClosed.wait()
        #expect(request.request.outcome == .good)
        #expect(recorder.calls.suffix(4) == ["read ends", "flush", "most inside 1", "close"])
    }

    @Test("A command that takes too long is told, and so is its end")
    func overdue() throws {
        let recorder = try Recorder("THREADS=0", "BEHAVIOUR=7")
        try #require(mkfifo(recorder.folder.file("log.gate"), 0o600) == 0)
        var configuration = recorder.configuration()
        configuration.commandTimeoutSeconds = 1
        let device = try HandlerDevice.open(
            recorder.handler, configuration, diagnostics: recorder.collector.diagnostics)
        defer { device.close() }
        let request = TestRequest(.read, byteCount: 512)
        _ = request.start(on: device)
        device.submissionsEnded()
        #expect(recorder.collector.waits(for: "1 read command(s) under way for more than 1 s"))
        let gate = try #require(FileHandle(forWritingAtPath: recorder.folder.file("log.gate")))
        try gate.write(contentsOf: Data([1]))
        request.loop.wait(for: request.request)
        #expect(recorder.collector.waits(for: "no command is overdue any more"))
    }

    @Test(
        "A CDB goes to a handler that takes CDBs",
        arguments: [
            ["CDBS"], ["CDBS", "THREADS=3"], ["CDBS", "THREADS=0", "BEHAVIOUR=1"],
            ["CDBS", "THREADS=0", "BEHAVIOUR=1", "EXTENSION=40", "NEVER_BLOCKS=1"],
            ["CDBS", "CDBS_ONLY", "THREADS=0"],
        ])
    func commands(_ defines: [String]) throws {
        let device = try Recorder(defines).open()
        defer { device.close() }
        let inquiry = TestRequest(cdb: [0x12, 0, 0, 0, 96, 0], byteCount: 96)
        #expect(inquiry.run(on: device) == .good)
        #expect(inquiry.request.transferredByteCount == 36)
        #expect(inquiry.bytes.prefix(8) == Array("RECORDER".utf8)[...])
        let reportLUNs = TestRequest(cdb: [0xA0] + [UInt8](repeating: 0, count: 11))
        #expect(reportLUNs.run(on: device) == .failedWithStoreSense)
        #expect(reportLUNs.request.storeSense.count == 18)
        #expect(Array(reportLUNs.request.storeSense[12..<14]) == [0x24, 0x00])
        #expect(TestRequest(cdb: [0, 0, 0, 0, 0, 0]).run(on: device) == .good)
        #expect(TestRequest(cdb: [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], byteCount: 512).run(on: device) == .notHandled)
    }

    @Test(
        "A CDB of unknown length never reaches a handler",
        arguments: [
            [0x60, 0, 0, 0, 0, 0], [0xC0, 0, 0, 0, 0, 0], [0xFF, 0, 0, 0, 0, 0],
            [0x7F, 0, 0, 0, 0, 0, 0, 200], [0x28, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func unknownLength(_ cdb: [UInt8]) throws {
        let device = try Recorder("CDBS").open()
        defer { device.close() }
        let expected = SenseData(.illegalRequest, .invalidCommandOperationCode)
        #expect(TestRequest(cdb: cdb).run(on: device) == .failed(.checkCondition, expected))
    }
}
