// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// Zeroes in the shipped handlers.
struct WriteZeroesTests {
    static let stores = ["ram/1M", "ram/PATH", "file/PATH", "aio/PATH", "uring/PATH", "uring/PATH;engine=threads"]
    static let byteCount: UInt64 = 1 << 20

    private func open(_ string: String, in folder: TestFolder, isReadOnly: Bool = false) throws -> HandlerDevice {
        var configuration = HandlerDeviceConfiguration(
            configString: string.replacing("PATH", with: folder.file("disk")), serial: "1")
        configuration.byteCount = Self.byteCount
        configuration.isReadOnly = isReadOnly
        return try HandlerDevice.open(
            Plugins.handler(configuration.subtype), configuration, diagnostics: .silent)
    }

    private func zero(_ device: HandlerDevice, at offset: UInt64, _ extent: UInt64, mayUnmap: Bool) -> BlockOutcome {
        let request = TestRequest(.writeZeroes, at: offset, extent: extent)
        request.request.mayUnmap = mayUnmap
        return request.run(on: device)
    }

    /// Blocks of 512 bytes that the file has.
    private func storage(_ folder: TestFolder) -> Int {
        var status = stat()
        return stat(folder.file("disk"), &status) == 0 ? Int(status.st_blocks) : 0
    }

    @Test("Zeroes are there, where they were asked for and nowhere else", arguments: stores, [false, true])
    func contents(_ string: String, _ mayUnmap: Bool) throws {
        let folder = try TestFolder()
        let device = try open(string, in: folder)
        #expect(device.features.canWriteZeroes)
        let pattern = [UInt8](repeating: 0xA7, count: Int(Self.byteCount))
        #expect(device.write(pattern, at: 0) == .good)
        var expected = pattern
        // Off every grid, on it, one block, and across pages.
        for (offset, count) in [(512, 512), (4096, 8192), (20480 - 512, 1024), (131072 + 1536, 300_032 - 512)] {
            #expect(zero(device, at: UInt64(offset), UInt64(count), mayUnmap: mayUnmap) == .good)
            expected.replaceSubrange(offset..<offset + count, with: repeatElement(0, count: count))
        }
        #expect(zero(device, at: 1024, 0, mayUnmap: mayUnmap) == .good)
        #expect(device.read(Int(Self.byteCount), at: 0).bytes == expected)
        #expect(TestRequest(.flush).run(on: device) == .good)
        #expect(zero(device, at: 0, Self.byteCount, mayUnmap: mayUnmap) == .good)
        #expect(device.read(Int(Self.byteCount), at: 0).bytes == [UInt8](repeating: 0, count: Int(Self.byteCount)))
        #expect(device.write(block("again"), at: 4096) == .good)
        #expect(device.read(512, at: 4096).bytes == block("again"))
        #expect(device.health == .good)
        device.close()
    }

    @Test(
        "Storage is kept, and given back only where that is allowed", arguments: stores.filter { $0.contains("PATH") })
    func storage(_ string: String) throws {
        let folder = try TestFolder()
        let device = try open(string, in: folder)
        let isReserved = string.hasPrefix("ram")
        #expect(device.write([UInt8](repeating: 1, count: Int(Self.byteCount)), at: 0) == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        let full = storage(folder)
        #expect(zero(device, at: 0, Self.byteCount, mayUnmap: false) == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        #expect(storage(folder) >= full * 9 / 10)
        #expect(zero(device, at: 0, Self.byteCount, mayUnmap: true) == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        if !isReserved, device.features.canUnmap { #expect(storage(folder) < full / 2) }
        device.close()
    }

    @Test("Nothing is zeroed outside the medium, off the blocks, or on a read-only store", arguments: stores)
    func refused(_ string: String) throws {
        let folder = try TestFolder()
        let device = try open(string, in: folder)
        let outside = BlockOutcome.failed(
            .checkCondition, SenseData(.illegalRequest, .logicalBlockAddressOutOfRange))
        for (offset, count) in [
            (Self.byteCount, 512), (Self.byteCount - 512, 1024), (1, 512), (0, 100), (1 << 63, 512),
        ] as [(UInt64, UInt64)] {
            #expect(zero(device, at: offset, count, mayUnmap: true) == outside)
        }
        #expect(device.write(block("kept"), at: 0) == .good)
        device.close()
        guard string.contains("PATH") else { return }
        let readOnly = try open(string, in: folder, isReadOnly: true)
        let protected = BlockOutcome.failed(.checkCondition, SenseData(.dataProtect, .writeProtected))
        #expect(zero(readOnly, at: 0, 512, mayUnmap: false) == protected)
        #expect(readOnly.read(512, at: 0).bytes == block("kept"))
        readOnly.close()
    }

    @Test("A write that io_uring has no room for ends when it is cancelled, and never reaches the store")
    func uringCancel() throws {
        let folder = try TestFolder()
        let device = try open("uring/PATH;queue-depth=1", in: folder)
        let requests = (0..<4).map { TestRequest(write: block("write \($0)"), at: UInt64($0) * 512) }
        let underWay = requests.filter { !$0.start(on: device) }
        requests[2].request.cancel(on: device)
        device.submissionsEnded()
        for request in underWay { request.loop.wait(for: request.request) }
        // Where there is no io_uring, a thread may have done it before.
        if device.health == .good {
            #expect(requests.map { $0.request.outcome } == [.good, .good, .failed(.busy, nil), .good])
            #expect(device.read(512, at: 1024).bytes == [UInt8](repeating: 0, count: 512))
        }
        #expect(device.read(512, at: 1536).bytes == block("write 3"))
        device.close()
    }

    @Test("Cancelled at any moment, each command of io_uring ends once", arguments: ["", ";engine=threads"])
    func uringRaces(_ options: String) throws {
        let folder = try TestFolder()
        let device = try open("uring/PATH;queue-depth=8\(options)", in: folder)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<100 {
            let requests = (0..<32).map { TestRequest(write: block("\($0)", byteCount: 4096), at: UInt64($0) * 4096) }
            let underWay = requests.filter { !$0.start(on: device) }
            if Bool.random(using: &random) { device.submissionsEnded() }
            for request in requests.shuffled(using: &random).prefix(16) { request.request.cancel(on: device) }
            device.submissionsEnded()
            for request in underWay { request.loop.wait(for: request.request) }
            for request in requests {
                #expect(request.request.outcome == .good || request.request.outcome == .failed(.busy, nil))
            }
        }
        #expect(device.write(block("last"), at: 0) == .good)
        #expect(device.read(512, at: 0).bytes == block("last"))
        device.close()
        #expect(device.counters.queueLength == 0)
    }
}
