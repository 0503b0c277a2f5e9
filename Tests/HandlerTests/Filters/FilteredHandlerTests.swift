// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// Filters over handlers as they are loaded.
@Suite("Filters over handlers")
struct FilteredHandlerTests {
    /// Delays, changes of order and late completions at once.
    private static let disorder = "delay=0us..200us,delay-rate=50%,late=2%,late-by=2ms,reorder=4,reorder-hold=500us"

    @Test("Disorder harms no data", arguments: ["ram/4M", "file/FILE", "aio/FILE", "uring/FILE"])
    func verified(template: String) throws {
        let folder = try TestFolder()
        let string = template.replacingOccurrences(of: "FILE", with: folder.file("disk.img"))
        let device = try Plugins.open(string, byteCount: 4 << 20)
        let seed = SeededGenerator.freshSeed
        let filter = try FaultFilter("\(Self.disorder),seed=\(seed)", over: device)
        RandomIO.run(on: filter, threads: 2, rounds: 20, seed: seed)
        let status = TestRequest(.blockStatus, at: 0, extent: 1 << 20)
        if device.features.canReportBlockStatus {
            #expect(status.run(on: filter) == .good)
            #expect(!status.request.extents.isEmpty)
        }
        if device.features.canUnmap {
            #expect(filter.write([UInt8](repeating: 7, count: 65536), at: 0) == .good)
            #expect(TestRequest(.unmap, at: 0, extent: 65536).run(on: filter) == .good)
            #expect(filter.read(65536, at: 0).bytes.allSatisfy { $0 == 0 })
        }
        filter.close()
        device.close()
    }

    @Test("A handler that completes commands by itself or in its workers works behind filters", arguments: [0, 1, 4])
    func threads(count: Int) throws {
        let recorder = try Recorder("THREADS=\(count)")
        let device = try recorder.open()
        let filter = try FaultFilter(Self.disorder, over: device)
        RandomIO.run(on: filter, threads: 2, rounds: 10, widest: 8)
        filter.close()
        device.close()
        #expect(recorder.collector.count(of: "twice") == 0)
    }

    @Test("A store that changes its size does so behind filters, and whoever asked is told")
    func capacity() throws {
        let recorder = try Recorder()
        let device = try recorder.open()
        defer { device.close() }
        let filter = try FaultFilter("delay=1us", over: device)
        defer { filter.close() }
        let told = DispatchSemaphore(value: 0)
        device.onCapacityChange = { told.signal() }
        let blockCount = filter.blockCount
        #expect(filter.write(block("grow"), at: 0) == .good)
        #expect(told.wait(timeout: .now() + 30) == .success)
        #expect(filter.blockCount == blockCount / 2)
    }

    @Test(
        "A zoned device of Debian's handler is reached through filters, and faults meet its reads and writes",
        .enabled(if: ForeignHandlers.folder != nil, "MARTLET_TCMU_HANDLERS names no folder"))
    func zoned() throws {
        let folder = try TestFolder()
        let registry = HandlerRegistry(diagnostics: .silent)
        let results = registry.scan(directories: [try #require(ForeignHandlers.folder)])
        let handler = try #require(registry.handler(subtype: "zbc"), "\(results)")
        var configuration = HandlerDeviceConfiguration(
            configString: "zbc/model-HM/lba-4096/zsize-1/conv-2@\(folder.file("zoned"))", serial: "1")
        configuration.byteCount = 64 << 20
        let device = try HandlerDevice.open(handler, configuration, diagnostics: .silent)
        defer { device.close() }
        let filter = try FaultFilter("error=100%,on=read,range=5..6,delay=1us", over: device)
        defer { filter.close() }
        let inquiry = TestRequest(cdb: [0x12, 0, 0, 0, 96, 0], byteCount: 96)
        #expect(inquiry.run(on: filter) == .good)
        #expect(inquiry.bytes[0] == 0x14)
        let data = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 3) }
        let write = TestRequest(cdb: Self.block16(0x8A, lba: 4), byteCount: 4096)
        write.request.buffer.copyBytes(from: data)
        #expect(write.run(on: filter) == .good)
        let read = TestRequest(cdb: Self.block16(0x88, lba: 4), byteCount: 4096)
        #expect(read.run(on: filter) == .good)
        #expect(read.bytes == data)
        let failed = TestRequest(cdb: Self.block16(0x88, lba: 5), byteCount: 4096)
        #expect(failed.run(on: filter) == .failed(.checkCondition, .unrecoveredReadError(lba: 5)))
        // REPORT ZONES: the header tells the length of the list.
        let zones = TestRequest(
            cdb: [0x95, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0], byteCount: 1024)
        #expect(zones.run(on: filter) == .good)
        #expect(zones.bytes[..<4].contains { $0 != 0 })
    }

    private static func block16(_ opcode: UInt8, lba: UInt8) -> [UInt8] {
        [opcode, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 1, 0, 0]
    }
}
