// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerConformance
import QcowImage
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

    @Test("qcow passes, and two of its images do not touch each other")
    func qcow() throws {
        let folder = try StoreFolder()
        for name in ["one.qcow2", "other.qcow2"] { try QcowImage.make(folder.file(name), byteCount: 4 << 20) }
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
