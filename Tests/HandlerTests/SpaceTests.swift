// SPDX-License-Identifier: Apache-2.0

import Dispatch
import HandlerHost
import TargetCore
import Testing

/// The storage behind the media of our own handlers, as it is used and given back.
struct SpaceTests {
    private static let byteCount: UInt64 = 16 << 20

    @Test(
        "A thin medium tells what it uses and what it could, and giving storage back shows",
        arguments: ["ram", "file", "aio", "uring"])
    func thin(subtype: String) throws {
        let folder = try TestFolder(in: Plugins.folder)
        let rest = subtype == "ram" ? "16M" : folder.file("disk.img")
        var configuration = HandlerDeviceConfiguration(configString: "\(subtype)/\(rest)", serial: "1")
        configuration.byteCount = Self.byteCount
        configuration.watchesSpace = true
        let device = try HandlerDevice.open(try Plugins.handler(subtype), configuration, diagnostics: .silent)
        defer { withExtendedLifetime(folder) { device.close() } }
        let before = try #require(device.mappingResources)
        #expect(before.usedByteCount < 1 << 20)
        #expect(try #require(before.availableByteCount) <= Self.byteCount - before.usedByteCount)

        let data = [UInt8](repeating: 0x5A, count: 1 << 20)
        for index in 0..<4 as Range<UInt64> { #expect(device.write(data, at: index << 20) == .good) }
        #expect(TestRequest(.flush).run(on: device) == .good)
        try Self.wait(for: device) { $0.usedByteCount >= 4 << 20 }
        #expect(TestRequest(.unmap, at: 0, extent: 4 << 20).run(on: device) == .good)
        try Self.wait(for: device) { $0.usedByteCount < 1 << 20 }
    }

    /// Until the device has looked and seen it.
    private static func wait(
        for device: HandlerDevice, _ isSeen: @escaping @Sendable (MappingResources) -> Bool
    ) throws {
        let seen = DispatchSemaphore(value: 0)
        device.onSpaceChange = { if let space = device.mappingResources, isSeen(space) { seen.signal() } }
        if let space = device.mappingResources, isSeen(space) { return }
        #expect(seen.wait(timeout: .now() + 20) == .success, "\(String(describing: device.mappingResources))")
    }
}
