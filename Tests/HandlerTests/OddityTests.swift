// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// Manners of handlers that exist, each met by the host as tcmu-runner meets it, or better.
struct OddityTests {
    private struct Odd {
        let folder: TestFolder
        let collector = Collector()
        let handler: Handler

        init(_ defines: String...) throws {
            folder = try TestFolder()
            try Compiler.compile("odd.c", to: "handler_odd.so", in: folder, defines)
            let registry = HandlerRegistry(diagnostics: collector.diagnostics)
            let results = registry.scan(directories: [folder.path])
            handler = try #require(registry.handler(subtype: "odd"), "\(results)")
        }

        func configuration(_ words: String = "") -> HandlerDeviceConfiguration {
            var configuration = HandlerDeviceConfiguration(
                configString: "odd/\(folder.file("log"))\(words)", serial: "1")
            configuration.byteCount = 1 << 20
            return configuration
        }

        func open(_ words: String = "") throws -> HandlerDevice {
            try HandlerDevice.open(handler, configuration(words), diagnostics: collector.diagnostics)
        }
    }

    @Test("A size that a handler sets in open is the device's, and no change of it is told")
    func sizeInOpen() throws {
        let device = try Odd("ODDITY=1").open()
        defer { device.close() }
        #expect(device.blockCount == 1024 && device.blockByteCount == 512)
        #expect(device.read(512, at: 1 << 19).outcome != .good)
    }

    @Test("A handler's longest transfer is kept to")
    func longestTransfer() throws {
        let device = try Odd("ODDITY=2").open()
        defer { device.close() }
        #expect(device.features.maximumTransferBlockCount == 64)
    }

    @Test("A handler with a cache and without flush is told of as it is: nothing pretends to flush")
    func cacheWithoutFlush() throws {
        let device = try Odd("ODDITY=3").open()
        defer { device.close() }
        #expect(device.features.hasVolatileWriteCache && !device.features.canFlush)
    }

    @Test("The reason that check_config gives is freed")
    func reason() throws {
        let odd = try Odd("ODDITY=4")
        /// Pages of the process that are in memory.
        func residentPageCount() throws -> Int {
            let words = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
            return try #require(Int(words[1]))
        }
        let before = try residentPageCount()
        for _ in 0..<400 { #expect(refusal(odd.handler, odd.configuration()) != nil) }
        #expect(try (residentPageCount() - before) * 4096 < 200 << 20, "400 reasons have a megabyte each")
    }

    @Test("The sense buffer is clean for each command: what an earlier one left there counts for nothing")
    func staleSense() throws {
        let device = try Odd("ODDITY=5").open()
        defer { device.close() }
        let request = TestRequest(.read, byteCount: 512)
        #expect(request.run(on: device) == .failedWithStoreSense)
        let internalFailure = BlockOutcome.failed(.checkCondition, SenseData(.hardwareError, .internalTargetFailure))
        for _ in 0..<5 { #expect(request.run(on: device) == internalFailure) }
    }

    @Test(
        "With one worker thread nothing overlaps, neither CDBs among themselves nor beside reads and writes",
        arguments: [["THREADS=1"], ["THREADS=1", "CDBS_ONLY"]])
    func serialised(_ defines: [String]) throws {
        let odd = try defines.count == 1 ? Odd("ODDITY=6", defines[0]) : Odd("ODDITY=6", defines[0], defines[1])
        let device = try odd.open()
        let requests = (0..<64).map { number in
            number % 2 == 0 || defines.count == 2
                ? TestRequest(cdb: [0, 0, 0, 0, 0, 0]) : TestRequest(.read, at: 512 * UInt64(number), byteCount: 512)
        }
        DispatchQueue.concurrentPerform(iterations: 4) { part in
            let waiting = requests[part * 16..<part * 16 + 16].filter { !$0.start(on: device) }
            device.submissionsEnded()
            for request in waiting { request.loop.wait(for: request.request) }
        }
        #expect(requests.allSatisfy { $0.request.outcome == .good })
        device.close()
        #expect(odd.folder.lines("log").last == "most inside 1")
    }

    @Test("tcmu-runner's own attribute is taken off the string, and a command is overdue after its seconds")
    func timeOut() throws {
        let odd = try Odd("ODDITY=0")
        let device = try odd.open(";tcmur_cmd_time_out=1")
        device.close()
        // The handler saw the path to its end, and spoiled its own copy of the string alone.
        #expect(odd.folder.lines("log").first == "open")
        let recorder = try Recorder("THREADS=0", "BEHAVIOUR=7")
        try #require(mkfifo(recorder.folder.file("log.gate"), 0o600) == 0)
        let slow = try recorder.open(";tcmur_cmd_time_out=1")
        let request = TestRequest(.read, byteCount: 512)
        _ = request.start(on: slow)
        slow.submissionsEnded()
        #expect(recorder.collector.waits(for: "1 read command(s) under way for more than 1 s"))
        let gate = try #require(FileHandle(forWritingAtPath: recorder.folder.file("log.gate")))
        try gate.write(contentsOf: Data([1]))
        slow.close()
    }

    @Test("An event that a handler reports comes back by report_event; locks and log folders are never asked for")
    func event() throws {
        let odd = try Odd("ODDITY=7")
        let device = try odd.open()
        #expect(device.write(block("x"), at: 0) == .good)
        #expect(odd.collector.waits(for: "an event came"))
        device.close()
        #expect(odd.collector.count(of: "an event came") == 1)
    }

    @Test("tcmu-runner's record of a device has its counters where 1.5.4 and where 1.6 look for them")
    func decoy() throws {
        let odd = try Odd("ODDITY=8")
        let device = try odd.open()
        #expect(device.write(block("x"), at: 0) == .good)
        #expect(odd.collector.waits(for: "open again"))
        device.close()
        #expect(odd.folder.lines("log").prefix(3) == ["open", "timed out 1", "timed out 1"])
    }

    @Test("A handler without reconfig keeps its size, in words")
    func noReconfig() throws {
        let device = try Odd("ODDITY=0").open()
        defer { device.close() }
        #expect(throws: HandlerDeviceError.self) { try device.resize(byteCount: 1 << 19) }
        #expect(device.blockCount == 2048)
    }
}
