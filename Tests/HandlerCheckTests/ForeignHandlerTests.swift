// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerConformance
import Testing

enum ForeignHandlers {
    static let folder = ProcessInfo.processInfo.environment["MARTLET_TCMU_HANDLERS"]
}

/// Debian's own handlers, unpacked and unchanged, as far as their true behaviour allows: what they do otherwise than a
/// handler of today would stands in the notes.
@Suite(
    "Debian's handlers",
    .enabled(
        if: ForeignHandlers.folder != nil,
        "MARTLET_TCMU_HANDLERS names no folder with the handlers of Debian's package tcmu-runner"))
struct ForeignHandlerTests {
    private func file(_ name: String) throws -> String { "\(try #require(ForeignHandlers.folder))/\(name)" }

    /// A qcow image, version 2, of 4 MiB with nothing in it: header, table of clusters, reference counts.
    private func makeImage(_ path: String) throws {
        let cluster = 65536
        var image = [UInt8](repeating: 0, count: 4 * cluster)
        func put(_ value: UInt64, _ byteCount: Int, at offset: Int) {
            for index in 0..<byteCount {
                image[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (byteCount - 1 - index)))
            }
        }
        put(0x5146_49FB, 4, at: 0)
        put(2, 4, at: 4)
        put(16, 4, at: 20)
        put(4 << 20, 8, at: 24)
        put(1, 4, at: 36)
        put(UInt64(3 * cluster), 8, at: 40)
        put(UInt64(cluster), 8, at: 48)
        put(1, 4, at: 56)
        put(UInt64(2 * cluster), 8, at: cluster)
        for index in 0..<4 { put(1, 2, at: 2 * cluster + 2 * index) }
        try Data(image).write(to: URL(fileURLWithPath: path))
    }

    @Test("qcow passes, and two of its images do not touch each other")
    func qcow() throws {
        let folder = try StoreFolder()
        try makeImage(folder.file("one.qcow2"))
        try makeImage(folder.file("other.qcow2"))
        var options = HandlerConformance.Options()
        options.program = Program.url
        options.secondConfig = "qcow/\(folder.file("other.qcow2"))"
        let report = try HandlerConformance.check(
            handler: try file("handler_qcow.so"), config: "qcow/\(folder.file("one.qcow2"))", options: options)
        #expect(report.passed, "\(report)")
        #expect(report["life.two"]?.result == .passed && report["flush.recorded"]?.result == .passed, "\(report)")
        #expect(report["data.block-sizes"]?.notes == ["it serves blocks of 512 bytes"])
    }

    @Test("fbo passes: it takes commands as CDBs")
    func optical() throws {
        let folder = try StoreFolder()
        try Data(count: 200 * 2048).write(to: URL(fileURLWithPath: folder.file("disc.iso")))
        let report = try Program.check(
            try file("handler_file_optical.so"), "fbo/\(folder.file("disc.iso"))", size: nil)
        #expect(report.passed, "\(report)")
        #expect(report.handler.takesOnlyCDBs == true && report.blockSize == 2048)
        for name in ["cdb.answers", "cdb.unknown", "cdb.blocks", "life.leaks"] {
            #expect(report[name]?.result == .passed, "\(report)")
        }
    }

    @Test("zbc passes: it makes a zoned medium and takes commands as CDBs")
    func zoned() throws {
        let folder = try StoreFolder()
        let path = folder.file("zoned")
        // Options make the store; a store that is there is opened without them, or the handler would format it.
        let made = try Program.check(
            try file("handler_file_zbc.so"), "zbc/model-HM/lba-4096/zsize-1/conv-2@\(path)", size: 64 << 20)
        #expect(!made.passed, "\(made)")
        let report = try Program.check(try file("handler_file_zbc.so"), "zbc/\(path)", size: nil)
        #expect(report.passed, "\(report)")
        #expect(report.blockSize == 4096 && report["cdb.answers"]?.result == .passed)
    }
}
