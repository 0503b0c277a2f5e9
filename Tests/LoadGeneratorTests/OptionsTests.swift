// SPDX-License-Identifier: Apache-2.0
import LoadGenerator
import Testing

@Suite("Options")
struct OptionsTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// What the sentence must name; nil for what is allowed.
        var names: String?
        let change: @Sendable (inout LoadOptions) -> Void

        init(_ description: String, names: String? = nil, _ change: @escaping @Sendable (inout LoadOptions) -> Void) {
            testDescription = description
            self.names = names
            self.change = change
        }
    }

    static let legal = [
        Case("as they come") { _ in },
        Case("the smallest") {
            $0.blockByteCount = 512
            $0.queueDepth = 1
            $0.seconds = 0.01
            $0.warmUpSeconds = 0
            $0.areaByteCount = 512
        },
        Case("the largest") {
            $0.blockByteCount = 16 << 20
            $0.queueDepth = 4096
            $0.connectionCount = 1024
            $0.threadCount = 256
            $0.seconds = 86400
            $0.warmUpSeconds = 86400
        },
        Case("writes that may destroy") {
            $0.access = .randwrite
            $0.isDestructive = true
        },
        Case("a mix") {
            $0.access = .rw
            $0.readPercent = 0
            $0.isDestructive = true
        },
        Case("a verified area of the largest size") {
            $0.verifies = true
            $0.isDestructive = true
            $0.areaByteCount = 1 << 30
        },
    ]

    @Test("What can be done is taken", arguments: legal)
    func accepts(_ example: Case) throws {
        try Samples.options(example.change).check()
    }

    static let illegal = [
        Case("a block of no bytes", names: "--block-size") { $0.blockByteCount = 0 },
        Case("half a block", names: "--block-size") { $0.blockByteCount = 256 },
        Case("a block and a half", names: "768") { $0.blockByteCount = 768 },
        Case("a block of 32 MiB", names: "33554432") { $0.blockByteCount = 32 << 20 },
        Case("no commands", names: "--queue-depth") { $0.queueDepth = 0 },
        Case("too many commands", names: "4097") { $0.queueDepth = 4097 },
        Case("no connections", names: "--connections") { $0.connectionCount = 0 },
        Case("too many connections", names: "1025") { $0.connectionCount = 1025 },
        Case("no threads", names: "--threads") { $0.threadCount = 0 },
        Case("more threads than connections", names: "--threads 2") { $0.threadCount = 2 },
        Case("no time", names: "--seconds") { $0.seconds = 0 },
        Case("time that runs backwards", names: "-1") { $0.seconds = -1 },
        Case("a time that is no number", names: "nan") { $0.seconds = .nan },
        Case("time without end", names: "--seconds") { $0.seconds = .infinity },
        Case("a warm-up before now", names: "--warm-up") { $0.warmUpSeconds = -0.1 },
        Case("a warm-up that is no number", names: "--warm-up") { $0.warmUpSeconds = .nan },
        Case("a mix of reads alone", names: "--mix") { $0.readPercent = 50 },
        Case("a mix beyond all", names: "101") {
            $0.access = .randrw
            $0.isDestructive = true
            $0.readPercent = 101
        },
        Case("an area smaller than a command", names: "--area") { $0.areaByteCount = 2048 },
        Case("an offset within a block", names: "--offset") { $0.offset = 100 },
        Case("writes that may not destroy", names: "--destructive") { $0.access = .write },
        Case("a mix that may not destroy", names: "--destructive") { $0.access = .randrw },
        Case("a verification that may not destroy", names: "--destructive") { $0.verifies = true },
        Case("a verified area of more than the limit", names: "--area") {
            $0.verifies = true
            $0.isDestructive = true
            $0.areaByteCount = 1 << 30 + 4096
        },
        Case("verified commands that take all memory", names: "--verify") {
            $0.verifies = true
            $0.isDestructive = true
            $0.connectionCount = 1024
            $0.blockByteCount = 1 << 20
        },
        Case("process 0", names: "--server-pid") { $0.serverProcess = 0 },
        Case("a process before the first", names: "-5") { $0.serverProcess = -5 },
        Case("an initiator without a name", names: "--initiator-name") { $0.initiatorName = "" },
        Case("an initiator of the wrong kind", names: "\"me\"") { $0.initiatorName = "me" },
    ]

    @Test("What cannot be done is told in a sentence that names the option", arguments: illegal)
    func refuses(_ example: Case) throws {
        let options = try Samples.options(example.change)
        let failure = failure { () throws(LoadFailure) in try options.check() }
        #expect(failure.kind == .usage)
        #expect(failure.description.contains(example.names ?? ""), "\(failure)")
    }

    @Test(
        "Sizes are bytes or have a letter",
        arguments: [
            ("0", 0), ("512", 512), ("4K", 4096), ("4k", 4096), ("3M", 3 << 20), ("1G", 1 << 30), ("2T", 2 << 40),
        ] as [(String, UInt64)])
    func sizes(text: String, byteCount: UInt64) throws {
        #expect(try LoadOptions.byteCount(text, option: "--area") == byteCount)
    }

    @Test(
        "What is no size is named",
        arguments: ["", "K", "-1", "+1", "1.5K", "4KB", "4 K", "0x10", "lots", "99999999999T", "٣"])
    func noSizes(text: String) {
        let failure = failure { () throws(LoadFailure) in _ = try LoadOptions.byteCount(text, option: "--area") }
        #expect(failure.kind == .usage)
        #expect(failure.description.contains("--area") && failure.description.contains("\"\(text)\""))
    }

    @Test("Names of accesses and digests are taken, others are told with all that there are")
    func names() throws {
        #expect(try LoadOptions.access("randrw") == .randrw)
        #expect(try LoadOptions.digests("both") == .both)
        let access = failure { () throws(LoadFailure) in _ = try LoadOptions.access("sideways") }
        #expect(access.description.contains("sideways") && access.description.contains("randwrite"))
        let digests = failure { () throws(LoadFailure) in _ = try LoadOptions.digests("md5") }
        #expect(digests.description.contains("md5") && digests.description.contains("header"))
    }

    @Test(
        "The area is laid out in whole commands",
        arguments: [
            (0, nil, 2048, 512, 0, 256), (4096, nil, 2048, 512, 8, 255), (4096, 10_000, 2048, 512, 8, 2),
            (8192, 4096, 1024, 4096, 2, 1),
        ] as [(UInt64, UInt64?, UInt64, Int, UInt64, UInt64)])
    func area(
        offset: UInt64, byteCount: UInt64?, blockCount: UInt64, blockByteCount: Int, firstLBA: UInt64,
        unitCount: UInt64
    ) throws {
        let options = try Samples.options {
            $0.offset = offset
            $0.areaByteCount = byteCount
        }
        let area = try Area.laid(out: options, blockCount: blockCount, blockByteCount: blockByteCount)
        #expect(
            area
                == Area(
                    firstLBA: firstLBA, blocksPerUnit: UInt32(4096 / blockByteCount), unitCount: unitCount))
    }

    @Test("A verified area has a limit when none is asked for")
    func verifiedArea() throws {
        let options = try Samples.options {
            $0.verifies = true
            $0.isDestructive = true
        }
        let area = try Area.laid(out: options, blockCount: 1 << 30, blockByteCount: 512)
        #expect(area.unitCount * 4096 == 1 << 30)
    }

    @Test(
        "An area that the LUN has not is told",
        arguments: [
            (0, 2 << 20, 2048, 512, "--area"), (1 << 20, nil, 2048, 512, "behind the end"),
            (1 << 20 - 512, nil, 2048, 512, "does not fit"), (0, nil, 2048, 8192, "8192"),
            (512, nil, 2048, 4096, "--offset 512"), (4096, 1 << 20, 2048, 512, "--area"),
        ] as [(UInt64, UInt64?, UInt64, Int, String)])
    func noArea(offset: UInt64, byteCount: UInt64?, blockCount: UInt64, blockByteCount: Int, names: String) throws {
        let options = try Samples.options {
            $0.offset = offset
            $0.areaByteCount = byteCount
        }
        let failure = failure { () throws(LoadFailure) in
            _ = try Area.laid(out: options, blockCount: blockCount, blockByteCount: blockByteCount)
        }
        #expect(failure.description.contains(names), "\(failure)")
    }
}
