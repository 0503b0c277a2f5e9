// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerConformance
import Testing

/// Every handler that is shipped keeps its contract.
@Suite("Shipped handlers")
struct ShippedHandlerTests {
    @Test(
        "A shipped handler passes",
        arguments: [
            "ram/64M", "ram/FILE", "file/FILE", "aio/FILE", "aio/FILE;direct=off", "uring/FILE",
            "uring/FILE;direct=off", "uring/FILE;engine=threads",
        ])
    func passes(_ template: String) throws {
        let folder = try StoreFolder()
        let config = template.replacingOccurrences(of: "FILE", with: folder.file("disk.img"))
        let subtype = String(config.prefix { $0 != "/" })
        let report = try Program.check(subtype, config, size: template.contains("FILE") ? 16 << 20 : nil)
        #expect(report.passed, "\(report)")
        #expect(report.handler.subtype == subtype)
        #expect(report.counts.passed >= 30, "\(report)")
    }

    @Test("A shipped handler passes with blocks of 4096 bytes", arguments: ["ram", "file", "aio", "uring"])
    func largeBlocks(_ subtype: String) throws {
        let folder = try StoreFolder()
        var options = HandlerConformance.Options()
        options.program = Program.url
        options.blockSize = 4096
        let report = try HandlerConformance.check(
            handler: subtype, config: "\(subtype)/\(folder.file("disk.img"))", size: 16 << 20, options: options)
        #expect(report.passed, "\(report)")
        #expect(report.blockSize == 4096)
    }
}
