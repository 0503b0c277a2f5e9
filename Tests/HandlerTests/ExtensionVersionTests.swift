// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import TargetCore
import Testing

/// Handlers built with the extension's header as it was, as it is, and as it may be, in one host.
struct ExtensionVersionTests {
    struct Build: CustomTestStringConvertible, Sendable {
        /// Of the table, as it says.
        var version: Int
        /// What it was built with: the header of version 1, 2 or 3, or today's.
        var header: Int
        var defines: [String] = []
        /// What the host finds, by version.
        var finds: Int
        /// Words of the warning; nil: none.
        var warning: String?

        var testDescription: String { "version \(version), header \(header) \(defines)" }
    }

    private static func open(_ build: Build) throws -> (device: HandlerDevice, collector: Collector, folder: TestFolder)
    {
        let folder = try TestFolder()
        let header = build.header < 4 ? "old/martlet-handler-\(build.header).h" : "martlet-handler.h"
        try Compiler.compile(
            "versions.c", to: "handler_versions.so", in: folder,
            ["HEADER=\"\(header)\"", "TABLE_VERSION=\(build.version)"] + build.defines)
        let collector = Collector()
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [folder.path])
        let handler = try #require(registry.handler(subtype: "versions"), "\(results)")
        #expect(handler.abi.hasSuffix("extension \(build.version)"))
        // Only the probe knows the size.
        let configuration = HandlerDeviceConfiguration(configString: "versions/x", serial: "1")
        let device = try HandlerDevice.open(handler, configuration, diagnostics: collector.diagnostics)
        return (device, collector, folder)
    }

    static let builds: [Build] = [
        Build(version: 1, header: 1, finds: 1),
        Build(version: 2, header: 2, finds: 2),
        Build(version: 3, header: 3, finds: 3),
        Build(version: 4, header: 4, finds: 4),
        // From a time to come: longer, with flags and a version that nobody knows here.
        Build(version: 4, header: 4, defines: ["FUTURE"], finds: 4),
        Build(version: 9, header: 4, defines: ["FUTURE", "TABLE_FLAGS=0xFFF00000u"], finds: 4),
        Build(version: 9, header: 4, defines: ["FUTURE", "TABLE_SIZE=0x7FFFFFFFFFFFFFFF"], finds: 4),
        // A size inside a word: what is cut off is absent.
        Build(version: 2, header: 2, defines: ["TABLE_SIZE=71"], finds: 2),
        Build(version: 3, header: 3, defines: ["TABLE_SIZE=95"], finds: 3),
        Build(version: 4, header: 4, defines: ["TABLE_SIZE=103"], finds: 4),
        // Shorter than the version that it says has.
        Build(version: 4, header: 4, defines: ["TABLE_SIZE=88"], finds: 3, warning: "which has 96 bytes"),
        Build(version: 3, header: 3, defines: ["TABLE_SIZE=71"], finds: 2, warning: "which has 88 bytes"),
        Build(version: 3, header: 3, defines: ["TABLE_SIZE=64"], finds: 2, warning: "but is 64 bytes long"),
        Build(version: 2, header: 2, defines: ["TABLE_SIZE=32"], finds: 1, warning: "which has 64 bytes"),
        Build(version: 9, header: 4, defines: ["TABLE_SIZE=32"], finds: 1, warning: "which has 96 bytes or more"),
        // Flags that its version does not have.
        Build(version: 4, header: 4, defines: ["TABLE_FLAGS=0x80000000u"], finds: 4, warning: "(0x80000000)"),
        Build(version: 1, header: 1, defines: ["TABLE_FLAGS=12u"], finds: 1, warning: "version 1 does not have (0xc)"),
    ]

    @Test(
        "Tables of every version and size load, are used as far as both sides know them, and serve", arguments: builds)
    func versions(_ build: Build) throws {
        let (device, collector, folder) = try Self.open(build)
        defer { withExtendedLifetime(folder) { device.close() } }
        #expect(device.features.canReportBlockStatus)
        #expect(device.canMapReads == (build.finds >= 2))
        #expect(device.features.canWriteZeroes == (build.finds >= 3))
        #expect(device.health == (build.finds >= 3 ? DeviceHealth(.degraded, "it is of version 3") : .good))
        let space = MappingResources(usedByteCount: 512, availableByteCount: 1024)
        #expect(device.mappingResources == (build.finds >= 4 ? space : nil))
        #expect(collector.count(of: "its extension table") == (build.warning == nil ? 0 : 1))
        if let warning = build.warning { #expect(collector.count(of: warning) == 1) }

        #expect(device.write(block("served"), at: 1024) == .good)
        #expect(device.read(512, at: 1024).bytes == block("served"))
        #expect(TestRequest(.blockStatus, extent: 4096).run(on: device) == .good)
        let zeroes = TestRequest(.writeZeroes, at: 1024, extent: 512)
        if build.finds >= 3 {
            #expect(zeroes.run(on: device) == .good)
            #expect(device.read(512, at: 1024).bytes == [UInt8](repeating: 0, count: 512))
        } else {
            #expect(zeroes.run(on: device) != .good)
            #expect(device.read(512, at: 1024).bytes == block("served"))
        }
    }

    @Test("UNMAP is the handler's unmap, or zeroes that need no storage where it says so", arguments: [false, true])
    func unmap(_ zeroingUnmaps: Bool) throws {
        let defines = zeroingUnmaps ? ["TABLE_FLAGS=MARTLET_HANDLER_ZEROING_UNMAPS"] : []
        let (device, _, folder) = try Self.open(Build(version: 3, header: 3, defines: defines, finds: 3))
        defer { withExtendedLifetime(folder) { device.close() } }
        #expect(device.features.canUnmap && device.features.unmappedReadsZero == zeroingUnmaps)
        #expect(device.write(block("there"), at: 2048) == .good)
        #expect(TestRequest(.unmap, at: 2048, extent: 512).run(on: device) == .good)
        #expect(device.read(512, at: 2048).bytes == [UInt8](repeating: zeroingUnmaps ? 0 : 0xEE, count: 512))
        // The last byte counts the calls with MARTLET_WRITE_ZEROES_MAY_UNMAP.
        #expect(device.read(512, at: (1 << 20) - 512).bytes[511] == (zeroingUnmaps ? 1 : 0))
        let request = TestRequest(.writeZeroes, at: 0, extent: 512)
        #expect(request.run(on: device) == .good)
        request.request.mayUnmap = true
        #expect(request.run(on: device) == .good)
        #expect(device.read(512, at: (1 << 20) - 512).bytes[511] == (zeroingUnmaps ? 2 : 1))
    }

    @Test("The flag for zeroing unmaps without the callout counts for nothing")
    func flagAlone() throws {
        let build = Build(
            version: 3, header: 3, defines: ["TABLE_FLAGS=MARTLET_HANDLER_ZEROING_UNMAPS", "TABLE_SIZE=64"], finds: 2)
        let (device, _, folder) = try Self.open(build)
        defer { withExtendedLifetime(folder) { device.close() } }
        #expect(device.features.canUnmap && !device.features.unmappedReadsZero && !device.features.canWriteZeroes)
        #expect(TestRequest(.unmap, at: 0, extent: 512).run(on: device) == .good)
        #expect(device.read(512, at: 0).bytes == [UInt8](repeating: 0xEE, count: 512))
    }
}
