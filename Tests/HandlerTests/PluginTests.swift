// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// Our own handlers, as the build left them beside the test's executable.
enum Plugins {
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .path

    static func handler(_ subtype: String) throws -> Handler {
        let registry = HandlerRegistry(diagnostics: .silent)
        let results = registry.scan(directories: [folder])
        return try #require(registry.handler(subtype: subtype), "\(results)")
    }

    static func open(_ string: String, byteCount: UInt64? = nil, blockByteCount: Int? = nil) throws -> HandlerDevice {
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        configuration.byteCount = byteCount
        configuration.blockByteCount = blockByteCount
        let handler = try handler(configuration.subtype)
        return try HandlerDevice.open(handler, configuration, diagnostics: .silent)
    }
}

struct PluginTests {
    static let persistent = ["ram", "file", "aio"]

    @Test("What is written stays, in blocks of every size", arguments: persistent, [512, 1024, 2048, 4096])
    func persistence(_ subtype: String, _ blockByteCount: Int) throws {
        let folder = try TestFolder()
        let string = "\(subtype)/\(folder.file("disk.img"))"
        let data = (0..<65536).map { UInt8(truncatingIfNeeded: $0 / 512 &+ $0) }
        let device = try Plugins.open(string, byteCount: 1 << 20, blockByteCount: blockByteCount)
        #expect(device.blockByteCount == blockByteCount)
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

    @Test("An existing store of another size is refused with both sizes", arguments: persistent)
    func otherSize(_ subtype: String) throws {
        let folder = try TestFolder()
        let string = "\(subtype)/\(folder.file("disk.img"))"
        try Plugins.open(string, byteCount: 1 << 20).close()
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        configuration.byteCount = 1 << 21
        let words = try #require(refusal(try Plugins.handler(subtype), configuration)?.description)
        #expect(words.contains("holds 1048576 bytes") && words.contains("size=2097152"))
    }

    @Test("A missing store without a size is refused in words", arguments: persistent)
    func missing(_ subtype: String) throws {
        let folder = try TestFolder()
        let string = "\(subtype)/\(folder.file("disk.img"))"
        let configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        #expect(refusal(try Plugins.handler(subtype), configuration) != nil)
        #expect(!FileManager.default.fileExists(atPath: folder.file("disk.img")))
    }

    @Test(
        "A store that cannot be is refused in words",
        arguments: [
            "ram/", "ram/1X", "ram/0", "ram//", "file/", "file//", "file//nowhere/at/all", "ram//nowhere/at/all",
            "aio//nowhere/at/all",
        ])
    func impossible(_ string: String) throws {
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        configuration.byteCount = string.hasPrefix("ram/0") ? nil : 1 << 20
        #expect(refusal(try Plugins.handler(configuration.subtype), configuration) != nil)
    }

    @Test("Anonymous memory takes its size from its string and begins as zeroes")
    func anonymous() throws {
        let device = try Plugins.open("ram/4M")
        defer { device.close() }
        #expect(device.blockCount == 8192)
        #expect(device.read(8192, at: 4096).bytes == [UInt8](repeating: 0, count: 8192))
        #expect(device.write(block("x"), at: 0) == .good)
        #expect(device.read(512, at: 0).bytes == block("x"))
    }

    @Test(
        "Unmapped blocks read as zeroes and are reported as unmapped",
        arguments: ["ram/1M", "ram/FILE", "file/FILE", "aio/FILE"])
    func unmap(_ template: String) throws {
        let folder = try TestFolder()
        let string = template.replacingOccurrences(of: "FILE", with: folder.file("disk.img"))
        let device = try Plugins.open(string, byteCount: 1 << 20)
        defer { device.close() }
        try #require(device.features.canUnmap && device.features.unmappedReadsZero)
        let data = [UInt8](repeating: 0xA5, count: 262144)
        #expect(device.write(data, at: 0) == .good)
        #expect(TestRequest(.unmap, at: 65536, extent: 131072).run(on: device) == .good)
        #expect(device.read(131072, at: 65536).bytes == [UInt8](repeating: 0, count: 131072))
        #expect(device.read(65536, at: 0).bytes == Array(data[..<65536]))
        #expect(device.read(65536, at: 196608).bytes == Array(data[..<65536]))
        guard device.features.canReportBlockStatus else { return }
        let status = TestRequest(.blockStatus, at: 0, extent: 1 << 20)
        #expect(status.run(on: device) == .good)
        #expect(status.request.extents.first?.isMapped == true)
    }

    @Test("Many requests at once all end, each with its own data", arguments: ["ram/8M", "file/FILE", "aio/FILE"])
    func depth(_ template: String) throws {
        let folder = try TestFolder()
        let string = template.replacingOccurrences(of: "FILE", with: folder.file("disk.img"))
        let device = try Plugins.open(string, byteCount: 8 << 20)
        defer { device.close() }
        let writes = (0..<256).map { TestRequest(write: block("block \($0)", byteCount: 4096), at: UInt64($0) * 4096) }
        for write in writes where !write.start(on: device) {
            device.submissionsEnded()
            write.loop.wait(for: write.request)
        }
        let reads = (0..<256).map { TestRequest(.read, at: UInt64($0) * 4096, byteCount: 4096) }
        let waiting = reads.filter { !$0.start(on: device) }
        device.submissionsEnded()
        for read in waiting { read.loop.wait(for: read.request) }
        for (index, read) in reads.enumerated() { #expect(read.bytes == block("block \(index)", byteCount: 4096)) }
    }

    @Test("What plugins share is hidden in each of them: none meets another's", arguments: ["ram", "aio", "uring"])
    func hidden(_ subtype: String) throws {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["nm", "-D", "--defined-only", "\(Plugins.folder)/libhandler_\(subtype).so"]
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let names = text.split(separator: "\n").compactMap { $0.split(separator: " ").last }
        #expect(names.contains("handler_init") && names.contains("martlet_handler_extension"), "\(text)")
        #expect(!names.contains { $0.hasPrefix("medium_") || $0.hasPrefix("\(subtype)_") }, "\(text)")
    }
}
