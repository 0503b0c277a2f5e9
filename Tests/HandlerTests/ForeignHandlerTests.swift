// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import QcowImage
import SCSI
import TargetCore
import Testing

enum ForeignHandlers {
    static let folder = ProcessInfo.processInfo.environment["MARTLET_TCMU_HANDLERS"]
}

/// Debian's own handlers, from the package tcmu-runner, unpacked and unchanged.
@Suite(
    .enabled(
        if: ForeignHandlers.folder != nil,
        "MARTLET_TCMU_HANDLERS names no folder with the handlers of Debian's package tcmu-runner"))
struct ForeignHandlerTests {
    private func handler(_ subtype: String) throws -> Handler {
        let registry = HandlerRegistry(diagnostics: .silent)
        let results = registry.scan(directories: [try #require(ForeignHandlers.folder)])
        return try #require(registry.handler(subtype: subtype), "\(results)")
    }

    private func makeImage(in folder: TestFolder) throws -> String {
        let path = folder.file("disk.qcow2")
        try QcowImage.make(path, byteCount: 1 << 20)
        return path
    }

    @Test("handler_qcow finds its size in the image, and what is written is there after reopening")
    func qcow() throws {
        let folder = try TestFolder()
        let handler = try handler("qcow")
        let image = try makeImage(in: folder)
        let configuration = HandlerDeviceConfiguration(configString: "qcow/\(image)", serial: "1")
        let device = try HandlerDevice.open(handler, configuration, diagnostics: .silent)
        #expect(device.blockCount == 2048)
        #expect(device.features.hasVolatileWriteCache)
        #expect(device.read(4096, at: 65536).bytes == [UInt8](repeating: 0, count: 4096))
        let data = (0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(device.write(data, at: 66048) == .good)
        #expect(TestRequest(.flush).run(on: device) == .good)
        device.close()
        let again = try HandlerDevice.open(handler, configuration, diagnostics: .silent)
        #expect(again.read(8192, at: 66048).bytes == data)
        again.close()
    }

    @Test("A size that is not the image's is refused with both sizes")
    func qcowSize() throws {
        let folder = try TestFolder()
        let image = try makeImage(in: folder)
        var configuration = HandlerDeviceConfiguration(configString: "qcow/\(image)", serial: "1")
        configuration.byteCount = 1 << 21
        let words = try #require(refusal(try handler("qcow"), configuration)?.description)
        #expect(words.contains("holds 1048576 bytes") && words.contains("size=2097152"))
    }

    @Test("handler_file_zbc makes a zoned medium and answers INQUIRY as one")
    func zbc() throws {
        let folder = try TestFolder()
        let string = "zbc/model-HM/lba-4096/zsize-1/conv-2@\(folder.file("zoned"))"
        var configuration = HandlerDeviceConfiguration(configString: string, serial: "1")
        configuration.byteCount = 64 << 20
        let device = try HandlerDevice.open(try handler("zbc"), configuration, diagnostics: .silent)
        defer { device.close() }
        #expect(device.blockByteCount == 4096)
        let inquiry = TestRequest(cdb: [0x12, 0, 0, 0, 96, 0], byteCount: 96)
        #expect(inquiry.run(on: device) == .good)
        #expect(inquiry.bytes[0] == 0x14)
    }

    @Test("handler_file_optical serves an image in blocks of 2048 bytes")
    func optical() throws {
        let folder = try TestFolder()
        let image = folder.file("disc.iso")
        try Data(count: 200 * 2048).write(to: URL(fileURLWithPath: image))
        let configuration = HandlerDeviceConfiguration(configString: "fbo/\(image)", serial: "1")
        let device = try HandlerDevice.open(try handler("fbo"), configuration, diagnostics: .silent)
        defer { device.close() }
        #expect(device.blockByteCount == 2048)
        let inquiry = TestRequest(cdb: [0x12, 0, 0, 0, 36, 0], byteCount: 36)
        #expect(inquiry.run(on: device) == .good)
        #expect(inquiry.bytes[0] & 0x1F == 5)
    }
}
