// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// The handler "uring" under the real host.
struct UringDeviceTests {
    static let ways = ["", ";direct=off", ";engine=threads"]

    @Test("What is written stays, in blocks of every size", arguments: ways, [512, 1024, 2048, 4096])
    func persistence(_ options: String, _ blockByteCount: Int) throws {
        let folder = try TestFolder()
        let string = "uring/\(folder.file("disk.img"))\(options)"
        let data = (0..<65536).map { UInt8(truncatingIfNeeded: $0 / 512 &+ $0) }
        let device = try Plugins.open(string, byteCount: 1 << 20, blockByteCount: blockByteCount)
        #expect(device.features.hasVolatileWriteCache && device.features.canFlush)
        #expect(device.features.canReportBlockStatus)
        #expect(device.write(data, at: 131072) == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        #expect(device.read(65536, at: 131072).bytes == data)
        device.close()
        let again = try Plugins.open(string, blockByteCount: blockByteCount)
        defer { again.close() }
        #expect(again.blockCount == (1 << 20) / UInt64(blockByteCount))
        #expect(again.read(65536, at: 131072).bytes == data)
        #expect(again.read(4096, at: 0).bytes == [UInt8](repeating: 0, count: 4096))
    }

    @Test("Many requests at once all end, each with its own data", arguments: ways + [";queue-depth=4"])
    func depth(_ options: String) throws {
        let folder = try TestFolder()
        let device = try Plugins.open("uring/\(folder.file("disk.img"))\(options)", byteCount: 8 << 20)
        defer { device.close() }
        func run(_ requests: [TestRequest]) {
            let waiting = requests.filter { !$0.start(on: device) }
            device.submissionsEnded()
            for request in waiting { request.loop.wait(for: request.request) }
            for request in requests { #expect(request.request.outcome == .good) }
        }
        run((0..<512).map { TestRequest(write: block("block \($0)", byteCount: 4096), at: UInt64($0) * 4096) })
        let reads = (0..<512).map { TestRequest(.read, at: UInt64($0) * 4096, byteCount: 4096) }
        run(reads)
        for (index, read) in reads.enumerated() { #expect(read.bytes == block("block \(index)", byteCount: 4096)) }
    }

    @Test("Unmapped blocks read as zeroes and are reported as unmapped", arguments: ways)
    func unmap(_ options: String) throws {
        let folder = try TestFolder()
        let device = try Plugins.open("uring/\(folder.file("disk.img"))\(options)", byteCount: 1 << 20)
        defer { device.close() }
        try #require(device.features.canUnmap && device.features.unmappedReadsZero)
        let data = [UInt8](repeating: 0xA5, count: 262144)
        #expect(device.write(data, at: 0) == .good)
        #expect(TestRequest(.unmap, at: 65536, extent: 131072).run(on: device) == .good)
        #expect(device.read(131072, at: 65536).bytes == [UInt8](repeating: 0, count: 131072))
        #expect(device.read(65536, at: 196608).bytes == Array(data[..<65536]))
        let status = TestRequest(.blockStatus, at: 0, extent: 262144)
        #expect(status.run(on: device) == .good)
        #expect(status.request.extents.map(\.isMapped) == [true, false, true])
    }

    @Test("The probe tells the size before the device opens, and what contradicts it is refused")
    func probe() throws {
        let folder = try TestFolder()
        let string = "uring/\(folder.file("disk.img"));queue-depth=8"
        let handler = try Plugins.handler("uring")
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        // Missing, and no size.
        #expect(refusal(handler, configuration) != nil)
        #expect(!FileManager.default.fileExists(atPath: folder.file("disk.img")))
        try Plugins.open(string, byteCount: 1 << 20).close()
        let device = try Plugins.open(string)
        #expect(device.blockCount == 2048)
        device.close()
        configuration.byteCount = 1 << 21
        let words = try #require(refusal(handler, configuration)?.description)
        #expect(words.contains("holds 1048576 bytes") && words.contains("size=2097152"))
    }

    @Test("A store is one device's, and free when that has closed", arguments: ways)
    func lock(_ options: String) throws {
        let folder = try TestFolder()
        let string = "uring/\(folder.file("disk.img"))\(options)"
        let device = try Plugins.open(string, byteCount: 1 << 20)
        let handler = try Plugins.handler("uring")
        #expect(refusal(handler, HandlerDeviceConfiguration(configString: string, serial: "1")) != nil)
        device.close()
        #expect(refusal(handler, HandlerDeviceConfiguration(configString: string, serial: "1")) == nil)
    }

    @Test("Options that cannot be are refused with the option's own words")
    func options() throws {
        let configuration = HandlerDeviceConfiguration(configString: "uring//x;queue-depth=0", serial: "1")
        let words = try #require(refusal(try Plugins.handler("uring"), configuration)?.description)
        #expect(words.contains("queue-depth=0: a number from 1 to 4096 is expected"))
    }
}
