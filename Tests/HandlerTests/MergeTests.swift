// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

struct MergeTests {
    /// A device of the batcher that merges, with delays in milliseconds.
    private static func open(
        _ batcher: Batcher, delay: UInt64 = 0, maximumDelay: UInt64 = 0
    ) throws -> HandlerDevice {
        var configuration = batcher.configuration
        configuration.merging = RequestMerging(
            delayNanoseconds: delay * 1_000_000, maximumDelayNanoseconds: maximumDelay * 1_000_000)
        return try batcher.open(configuration)
    }

    /// Longer than any test takes.
    private static let forEver: UInt64 = 3_600_000

    private static func writes(_ blocks: some Sequence<Int>) -> [TestRequest] {
        blocks.map { TestRequest(write: block("block \($0)"), at: UInt64($0) * 512) }
    }

    private static func start(_ requests: [TestRequest], on device: HandlerDevice) {
        for request in requests { #expect(!request.start(on: device)) }
    }

    private static func wait(for requests: [TestRequest]) {
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
    }

    @Test("Neighbours of one batch are one callout, in whatever order they come", arguments: [0, 2])
    func merged(_ threads: Int) throws {
        let batcher = try Batcher("THREADS=\(threads)", "FLAGS=\(threads == 0 ? 6 : 4)")
        let device = try Self.open(batcher)
        let requests = Self.writes([3, 1, 0, 2, 9])
        Self.start(requests, on: device)
        #expect(batcher.calls("write").isEmpty)
        device.submissionsEnded()
        Self.wait(for: requests)
        #expect(batcher.calls("write").sorted() == ["write 2048 at 0 in 4", "write 512 at 4608 in 1"])
        let reads = [9, 2, 1, 3, 0].map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
        Self.start(reads, on: device)
        device.submissionsEnded()
        Self.wait(for: reads)
        #expect(reads.map(\.bytes) == [9, 2, 1, 3, 0].map { block("block \($0)") })
        let counters = device.counters
        #expect(counters.mergedWrites == 3 && counters.mergedReads == 3 && counters.mergedCallouts == 2)
        #expect(counters.reads == 5 && counters.readByteCount == 2560 && counters.failedMergedCallouts == 0)
        #expect(counters.writes == 5 && counters.writtenByteCount == 2560)
        device.close()
        #expect(device.counters.queueLength == 0)
    }

    @Test("Without merge=on each request is a callout")
    func off() throws {
        let batcher = try Batcher()
        let device = try batcher.open()
        let requests = Self.writes(0..<4)
        Self.start(requests, on: device)
        device.submissionsEnded()
        Self.wait(for: requests)
        #expect(batcher.calls("write").count == 4 && !device.isMerging)
        device.close()
    }

    @Test("A callout has no more elements, and no more bytes, than the limits")
    func limits() throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher)
        let requests = Self.writes(0..<100)
        Self.start(requests, on: device)
        device.submissionsEnded()
        Self.wait(for: requests)
        #expect(batcher.calls("write") == ["write 32768 at 0 in 64", "write 18432 at 32768 in 36"])
        device.close()
    }

    @Test("Writes to one block keep their order, and the younger one stays")
    func overlapping() throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher)
        for round in 0..<20 {
            let requests = (0..<5).map { TestRequest(write: block("\(round) \($0)"), at: 1024) }
            Self.start(requests, on: device)
            device.submissionsEnded()
            Self.wait(for: requests)
            #expect(device.read(512, at: 1024).bytes == block("\(round) 4"))
        }
        device.close()
    }

    @Test(
        "When a merged callout fails, each request is tried alone, and the error is told to its own", arguments: [0, 1])
    func failing(_ threads: Int) throws {
        let batcher = try Batcher("BAD_BYTE=1100", "THREADS=\(threads)", "FLAGS=\(threads == 0 ? 6 : 4)")
        let device = try Self.open(batcher)
        let requests = Self.writes(0..<5)
        Self.start(requests, on: device)
        device.submissionsEnded()
        for (index, request) in requests.enumerated() {
            request.loop.wait(for: request.request)
            let failure = BlockOutcome.failed(.checkCondition, SenseData(.mediumError, .writeError))
            #expect(request.request.outcome == (index == 2 ? failure : .good))
        }
        #expect(batcher.calls("write") == ["write 2560 at 0 in 5"] + (0..<5).map { "write 512 at \($0 * 512) in 1" })
        #expect(device.counters.failedMergedCallouts == 1)
        for index in [0, 1, 3, 4] {
            #expect(device.read(512, at: UInt64(index) * 512).bytes == block("block \(index)"))
        }
        device.close()
    }

    @Test("Held requests wait for neighbours of later batches, and a flush ends the wait and goes after them")
    func flush() throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher, delay: Self.forEver)
        let requests = Self.writes(0..<4)
        for request in requests {
            #expect(!request.start(on: device))
            device.submissionsEnded()
        }
        #expect(batcher.calls("write").isEmpty && device.counters.queueLength == 4)
        #expect(TestRequest(.flush).run(on: device) == .good)
        Self.wait(for: requests)
        #expect(batcher.calls.filter { $0.hasPrefix("write") || $0 == "flush" } == ["write 2048 at 0 in 4", "flush"])
        device.close()
    }

    @Test(
        "The wait ends by itself: after the delay, and with the delay for ever at the maximum",
        arguments: [false, true])
    func delays(_ isForEver: Bool) throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher, delay: isForEver ? Self.forEver : 1, maximumDelay: isForEver ? 2 : 0)
        for _ in 0..<20 {
            let requests = Self.writes(0..<3)
            Self.start(requests, on: device)
            device.submissionsEnded()
            Self.wait(for: requests)
        }
        #expect(batcher.calls("write 1536").count == 20)
        device.close()
    }

    @Test("The wait ends when too many are held")
    func tooMany() throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher, delay: Self.forEver)
        let requests = Self.writes(0..<256)
        Self.start(requests, on: device)
        device.submissionsEnded()
        Self.wait(for: requests)
        #expect(batcher.calls("write").count == 4)
        device.close()
    }

    @Test("Closing ends the wait")
    func closing() throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher, delay: Self.forEver)
        let requests = Self.writes(0..<10)
        Self.start(requests, on: device)
        device.close()
        Self.wait(for: requests)
        #expect(batcher.calls.suffix(3) == ["flush", "submit 1", "close"])
    }

    @Test("A lost connection ends the wait, and merging goes on afterwards")
    func reopened() throws {
        let batcher = try Batcher()
        let device = try Self.open(batcher)
        #expect(device.write(block("lost"), at: 1024) == .good)
        #expect(batcher.collector.waits(for: "open again"))
        let requests = Self.writes(0..<4)
        Self.start(requests, on: device)
        device.submissionsEnded()
        Self.wait(for: requests)
        #expect(batcher.calls.contains("write 2048 at 0 in 4"))
        device.close()
    }

    @Test("A handler that takes one piece of memory is not merged for, and the operator is told")
    func notVectored() throws {
        let batcher = try Batcher("FLAGS=2")
        let device = try Self.open(batcher, delay: Self.forEver)
        #expect(!device.isMerging && batcher.collector.count(of: "merge=on has no effect") == 1)
        #expect(device.write(block("x"), at: 0) == .good)
        device.close()
    }

    @Test("Random reads and writes keep their data", arguments: ["batcher", "threads", "ram/2M", "aio/FILE"], [0, 1])
    func random(_ store: String, _ delay: UInt64) throws {
        let isOurs = store.contains("/")
        let batcher =
            isOurs
            ? nil
            : try Batcher(
                "BAD_BYTE=MEDIUM_SIZE", "THREADS=\(store == "threads" ? 3 : 0)", "FLAGS=\(store == "threads" ? 4 : 6)")
        let folder = try TestFolder(in: Plugins.folder)
        var configuration =
            batcher?.configuration
            ?? HandlerDeviceConfiguration(
                configString: store.replacingOccurrences(of: "FILE", with: folder.file("disk.img")), serial: "1")
        configuration.byteCount = isOurs ? 1 << 21 : Batcher.byteCount
        configuration.merging = RequestMerging(delayNanoseconds: delay * 20_000)
        let handler = try batcher?.handler ?? Plugins.handler(configuration.subtype)
        let device = try HandlerDevice.open(handler, configuration, diagnostics: .silent)
        #expect(device.isMerging && !device.copiesWrites && !device.canMapReads)
        RandomIO.run(on: device, rounds: 30)
        #expect(device.counters.mergedCallouts > 0)
        device.close()
    }
}

struct CounterTests {
    @Test("A batch wakes one worker, however long it is")
    func wakeUps() throws {
        let recorder = try Recorder("THREADS=1")
        let device = try recorder.open()
        for _ in 0..<10 {
            let requests = (0..<50).map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
            for request in requests { _ = request.start(on: device) }
            device.submissionsEnded()
            for request in requests { request.loop.wait(for: request.request) }
        }
        let counters = device.counters
        #expect(counters.reads == 500 && counters.readByteCount == 256_000 && counters.commands == 500)
        #expect(counters.wakeUps <= 10)
        device.close()
    }

    @Test("Commands are counted by what they are, and mapped reads once")
    func kinds() throws {
        let device = try Plugins.open("ram/1M")
        #expect(device.write(block("x"), at: 0) == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        #expect(TestRequest(.unmap, at: 0, extent: 4096).run(on: device) == .good)
        #expect(TestRequest(.blockStatus, at: 0, extent: 4096).run(on: device) == .good)
        #expect(device.read(1024, at: 0).outcome == .good)
        #expect(device.mapRead(byteOffset: 0, byteCount: 512) != nil)
        #expect(device.mapRead(byteOffset: 1, byteCount: 512) == nil)
        let counters = device.counters
        #expect(counters.reads == 2 && counters.mappedReads == 1 && counters.readByteCount == 1536)
        #expect(counters.writes == 1 && counters.writtenByteCount == 512)
        #expect(counters.flushes == 1 && counters.unmaps == 1 && counters.others == 1)
        device.close()
        #expect(device.counters.queueLength == 0)
    }

    @Test("Batches are counted, and submitting nothing is none")
    func batches() throws {
        let device = try Batcher().open()
        let requests = (0..<30).map { TestRequest(.read, at: UInt64($0) * 512, byteCount: 512) }
        for request in requests { _ = request.start(on: device) }
        device.submissionsEnded()
        device.submissionsEnded()
        for request in requests { request.loop.wait(for: request.request) }
        #expect(device.counters.submittedBatches == 1 && device.counters.reapedBatches >= 1)
        device.close()
    }

    @Test("Many threads push, and one worker loses nothing and keeps each thread's order")
    func pushers() throws {
        let recorder = try Recorder("THREADS=1")
        let device = try recorder.open()
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            let requests = (0..<200).map {
                TestRequest(write: block("\($0)"), at: UInt64(thread * 200 + $0) * 512)
            }
            for (index, request) in requests.enumerated() {
                _ = request.start(on: device)
                if index % 9 == thread { device.submissionsEnded() }
            }
            device.submissionsEnded()
            for request in requests { request.loop.wait(for: request.request) }
        }
        device.close()
        let offsets = recorder.calls.filter { $0.hasPrefix("write") }.map { Int($0.dropFirst(9))! / 512 }
        for thread in 0..<4 {
            #expect(offsets.filter { $0 / 200 == thread } == Array((thread * 200)..<((thread + 1) * 200)))
        }
    }
}
