// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

struct BatchTests {
    private static func writes(_ count: Int) -> [TestRequest] {
        (0..<count).map { TestRequest(write: block("block \($0)"), at: UInt64($0) * 512) }
    }

    @Test("A batch is started by one submit, and nothing before it", arguments: [1, 16, 300])
    func oneSubmit(_ count: Int) throws {
        let batcher = try Batcher()
        let device = try batcher.open()
        let requests = Self.writes(count)
        for request in requests { #expect(!request.start(on: device)) }
        #expect(batcher.calls("submit").isEmpty)
        device.submissionsEnded()
        device.submissionsEnded()
        for request in requests { request.loop.wait(for: request.request) }
        #expect(batcher.calls("submit") == ["submit \(count)"])
        for index in 0..<count { #expect(device.read(512, at: UInt64(index) * 512).bytes == block("block \(index)")) }
        device.close()
        #expect(batcher.calls.suffix(3) == ["flush", "submit 1", "close"])
    }

    @Test("Loops of a server take over the descriptor, and every request ends")
    func takenOver() throws {
        let batcher = try Batcher()
        let device = try batcher.open()
        let descriptor = try #require(device.takeOverReaping())
        #expect(descriptor == device.completionDescriptor)
        // Two loops, as if two watched it.
        let loops = [ReapingLoop(device, descriptor), ReapingLoop(device, descriptor)]
        for round in 0..<50 {
            let requests = Self.writes(1 + round % 7)
            for request in requests { #expect(!request.start(on: device)) }
            device.submissionsEnded()
            for request in requests {
                request.loop.wait(for: request.request)
                #expect(request.request.outcome == .good)
            }
        }
        for loop in loops { loop.stop() }
        device.close()
        #expect(!batcher.calls.contains("two reap at once"))
    }

    @Test("Threads that submit at once lose nothing")
    func concurrent() throws {
        let batcher = try Batcher()
        let device = try batcher.open()
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for round in 0..<100 {
                let offset = UInt64(thread * 128 + round) * 512
                #expect(device.write(block("\(thread) \(round)"), at: offset) == .good)
                #expect(device.read(512, at: offset).bytes == block("\(thread) \(round)"))
            }
        }
        device.close()
        #expect(!batcher.calls.contains("two reap at once") && !batcher.calls.contains("left behind"))
    }

    @Test("Closing starts and takes what a loop left behind, with and without a server", arguments: [false, true])
    func closing(_ isTakenOver: Bool) throws {
        let batcher = try Batcher()
        let device = try batcher.open()
        if isTakenOver { try #require(device.takeOverReaping() != nil) }
        let requests = Self.writes(20)
        for request in requests { #expect(!request.start(on: device)) }
        device.close()
        for request in requests {
            request.loop.wait(for: request.request)
            #expect(request.request.outcome == .good)
        }
        #expect(batcher.calls.suffix(3) == ["flush", "submit 1", "close"])
        #expect(!batcher.calls.contains("left behind"))
        // Nothing of the handler is called any more.
        #expect(device.reap() == 0)
        device.submissionsEnded()
        #expect(batcher.calls.last == "close")
    }

    @Test("A store that is opened again is watched again, by the device itself", arguments: [false, true])
    func reopened(_ isTakenOver: Bool) throws {
        let batcher = try Batcher()
        let device = try batcher.open()
        let descriptor = try #require(device.completionDescriptor)
        if isTakenOver { try #require(device.takeOverReaping() != nil) }
        let loop = isTakenOver ? ReapingLoop(device, descriptor) : nil
        #expect(device.write(block("lost"), at: 1024) == .good)
        #expect(batcher.collector.waits(for: "open again"))
        #expect(device.completionDescriptor == descriptor)
        for round in 0..<20 {
            #expect(device.write(block("round \(round)"), at: 512) == .good)
            #expect(device.read(512, at: 512).bytes == block("round \(round)"))
        }
        loop?.stop()
        device.close()
        #expect(!batcher.calls.contains("left behind"))
    }

    @Test("A handler that takes no batches this time is called as any other")
    func refused() throws {
        let batcher = try Batcher("ANSWER=-ENOSYS")
        let device = try batcher.open()
        for round in 0..<20 { #expect(device.write(block("\(round)"), at: 0) == .good) }
        device.close()
        #expect(batcher.calls("submit").isEmpty && batcher.calls.last == "close")
    }

    @Test("A descriptor that is none fails the opening, and the store is closed")
    func nonsense() throws {
        let batcher = try Batcher("ANSWER=1000000")
        #expect(throws: HandlerDeviceError.self) { try batcher.open() }
        #expect(batcher.collector.count(of: "gives 1000000, which is no descriptor") == 1)
        #expect(batcher.calls == ["open", "close"])
    }

    @Test("A handler that may block is given no batches")
    func mayBlock() throws {
        let batcher = try Batcher("FLAGS=0")
        let device = try batcher.open()
        #expect(device.completionDescriptor == nil && device.takeOverReaping() == nil)
        #expect(device.write(block("x"), at: 0) == .good)
        device.close()
        #expect(batcher.calls("submit").isEmpty)
    }
}

struct MappedReadTests {
    @Test("Anonymous memory is read where it stands, before and after writes and unmaps")
    func anonymous() throws {
        let device = try Plugins.open("ram/1M")
        #expect(device.canMapReads && device.copiesWrites)
        func mapped(_ byteCount: Int, at offset: UInt64) -> [UInt8]? {
            device.mapRead(byteOffset: offset, byteCount: byteCount).map {
                Array(UnsafeRawBufferPointer(start: $0, count: byteCount))
            }
        }
        #expect(mapped(1 << 20, at: 0) == [UInt8](repeating: 0, count: 1 << 20))
        #expect(device.write(block("seen"), at: 512) == .good)
        #expect(mapped(512, at: 512) == block("seen"))
        #expect(TestRequest(.unmap, at: 0, extent: 65536).run(on: device) == .good)
        #expect(mapped(512, at: 512) == [UInt8](repeating: 0, count: 512))
        device.close()
        #expect(device.mapRead(byteOffset: 0, byteCount: 512) == nil)
    }

    @Test(
        "A range that is none of the medium's is not mapped",
        arguments: [
            (0, 0), (0, -512), (1, 512), (0, 100), (1 << 20, 512), ((1 << 20) - 512, 1024), (1 << 63, 512),
            (UInt64.max - 511, 512),
        ] as [(UInt64, Int)])
    func outside(_ offset: UInt64, _ byteCount: Int) throws {
        let device = try Plugins.open("ram/1M")
        defer { device.close() }
        #expect(device.mapRead(byteOffset: offset, byteCount: byteCount) == nil)
    }

    @Test("A file's memory is not shown, and a handler without the callout maps nothing")
    func files() throws {
        let folder = try TestFolder()
        let ram = try Plugins.open("ram/\(folder.file("a"))", byteCount: 1 << 20)
        defer { ram.close() }
        #expect(ram.copiesWrites && ram.mapRead(byteOffset: 0, byteCount: 512) == nil)
        let file = try Plugins.open("file/\(folder.file("b"))", byteCount: 1 << 20)
        defer { file.close() }
        #expect(!file.canMapReads && !file.copiesWrites)
        #expect(file.mapRead(byteOffset: 0, byteCount: 512) == nil)
    }
}
