// SPDX-License-Identifier: Apache-2.0

import HandlerHost
import SCSI
import TargetCore
import Testing

struct ExtensionTests {
    /// Bytes of the table's parts, as martlet-handler.h lays them out.
    static let head = 16
    static let withProbe = 24
    static let whole = 32

    @Test(
        "Fields beyond what a table shows are absent, and fields beyond ours are not looked at",
        arguments: [
            (0, false, false), (8, false, false), (12, false, false), (head, false, false), (withProbe, true, false),
            (withProbe + 7, true, false), (whole, true, true), (whole + 8, true, true), (4096, true, true),
        ])
    func sizes(_ byteCount: Int, _ canProbe: Bool, _ canReport: Bool) throws {
        let recorder = try Recorder("EXTENSION=\(byteCount)", "NEVER_BLOCKS=0")
        #expect(recorder.handler.canReportBlockStatus == canReport)
        var configuration = recorder.configuration()
        configuration.byteCount = nil
        // Only a probe tells the size.
        #expect((refusal(recorder.handler, configuration) == nil) == canProbe)
    }

    @Test("What the probe says against a store is passed on")
    func probeRefuses() throws {
        let recorder = try Recorder("EXTENSION=32", "NEVER_BLOCKS=0")
        let error = refusal(recorder.handler, recorder.configuration(" unprobed"))
        #expect(error?.description.contains("there is no such store") == true)
        var configuration = recorder.configuration()
        configuration.byteCount = 1 << 21
        let words = try #require(refusal(recorder.handler, configuration)?.description)
        #expect(words.contains("holds 1048576 bytes") && words.contains("size=2097152"))
    }

    @Test("Block status comes through the extension, and what is no answer is an error")
    func blockStatus() throws {
        let device = try Recorder("EXTENSION=32", "NEVER_BLOCKS=0").open()
        defer { device.close() }
        let request = TestRequest(.blockStatus, extent: 1 << 20)
        #expect(request.run(on: device) == .good)
        #expect(
            request.request.extents == [
                BlockStatusExtent(byteCount: 4096, isMapped: true),
                BlockStatusExtent(byteCount: (1 << 20) - 4096, isMapped: false),
            ])
        let failure = BlockOutcome.failed(.checkCondition, SenseData(.mediumError, .unrecoveredReadError))
        #expect(TestRequest(.blockStatus, at: 512, extent: 512).run(on: device) == failure)
        #expect(TestRequest(.blockStatus, at: 1024, extent: 512).run(on: device) == failure)
    }
}
