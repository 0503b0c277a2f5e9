// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane
internal import Glibc
internal import LoadGenerator

/// `martlet bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Puts load on a LUN of any iSCSI target, and tells what came of it.",
        discussion: """
            Keeps the command queue of one or more sessions full with reads and writes of one size, and ends at the \
            first one that is not answered with GOOD and all its data. SIGINT ends it early with what was measured \
            until then. Sizes are bytes, or have K, M, G or T behind them.

            Whatever writes needs --destructive: it overwrites the LUN.

            Examples:
              martlet bench iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/0
              martlet bench iscsi://192.0.2.7:3260/iqn.2026-11.org.example:disk0/1 --rw randrw --mix 70 --destructive
              martlet bench 'iscsi://[::1]:3261/iqn.2026-11.org.martlet:default/0' --rw write --block-size 1M \
            --queue-depth 8 --verify --area 256M --destructive
              martlet bench iscsi://127.0.0.1/iqn.2026-11.org.martlet:default/0 --server-pid $(pidof -s martlet) --json
            """)

    @Argument(help: ArgumentHelp("The LUN: iscsi://HOST[:PORT]/IQN/LUN.", valueName: "url"))
    var url: String

    @Option(help: "What to do: \(Access.allCases.map(\.rawValue).joined(separator: ", ")).")
    var rw = Access.randread.rawValue

    @Option(
        help: ArgumentHelp(
            "Of a hundred commands in rw and randrw, how many read. (default: \(LoadOptions.defaultReadPercent))",
            valueName: "percent"))
    var mix: Int?

    @Option(help: ArgumentHelp("Bytes of each command.", valueName: "size"))
    var blockSize = "4K"

    @Option(help: ArgumentHelp("Commands outstanding on each connection.", valueName: "n"))
    var queueDepth = 32

    @Option(help: ArgumentHelp("Sessions, each of one connection.", valueName: "n"))
    var connections = 1

    @Option(help: ArgumentHelp("Threads that share the connections.", valueName: "n"))
    var threads = 1

    @Option(help: ArgumentHelp("Measured time.", valueName: "s"))
    var seconds = 5.0

    @Option(help: ArgumentHelp("Time before that, which does not count.", valueName: "s"))
    var warmUp = 1.0

    @Option(
        help: ArgumentHelp(
            "Use so many bytes of the LUN. (default: all of it; with --verify \(LoadOptions.verifiedAreaLimit >> 30)G "
                + "at most)", valueName: "size"))
    var area: String?

    @Option(help: ArgumentHelp("Bytes of the LUN before the area.", valueName: "size"))
    var offset = "0"

    @Flag(
        help: """
            Write every block of the area, check what is read, and read everything back at the end. The content of a \
            block follows from its address, the seed and how often it was written.
            """)
    var verify = false

    @Flag(help: "Overwrite what is on the LUN.")
    var destructive = false

    @Option(help: ArgumentHelp("Addresses and contents follow from it.", valueName: "n"))
    var seed: UInt64 = 1

    @Option(help: "CRC32C over parts of PDUs: \(DigestChoice.allCases.map(\.rawValue).joined(separator: ", ")).")
    var digests = DigestChoice.none.rawValue

    @Flag(help: "Never sleep while waiting, so that the target has nobody to wake. Takes a processor for each thread.")
    var poll = false

    @Option(help: ArgumentHelp("Tell what this process costs for each command, too.", valueName: "pid"))
    var serverPid: Int32?

    @Option(help: ArgumentHelp("The name to log in with.", valueName: "iqn"))
    var initiatorName = LoadOptions.defaultInitiatorName

    @Flag(help: "Write JSON.")
    var json = false

    mutating func run() throws {
        do {
            let options = try options()
            let stop = try StopSignal()
            try Signals.watch { _ in stop.stop() }
            let line = ProgressLine()
            defer { line.clear() }
            let report = try LoadRun(options, stop: stop) { line.show($0) }.run()
            line.clear()
            StandardOutput.write(json ? JSON.text(report) : report.text)
        } catch let failure as LoadFailure {
            throw Failure(failure.kind == .usage ? .usage : .runTime, failure.description)
        }
    }

    private func options() throws(LoadFailure) -> LoadOptions {
        var options = LoadOptions(url: try LoadURL(url))
        options.access = try LoadOptions.access(rw)
        options.readPercent = mix
        options.blockByteCount = Int(try LoadOptions.byteCount(blockSize, option: "--block-size"))
        options.queueDepth = queueDepth
        options.connectionCount = connections
        options.threadCount = threads
        options.seconds = seconds
        options.warmUpSeconds = warmUp
        if let area { options.areaByteCount = try LoadOptions.byteCount(area, option: "--area") }
        options.offset = try LoadOptions.byteCount(offset, option: "--offset")
        options.verifies = verify
        options.isDestructive = destructive
        options.seed = seed
        options.digests = try LoadOptions.digests(digests)
        options.polls = poll
        options.serverProcess = serverPid
        options.initiatorName = initiatorName
        try options.check()
        return options
    }
}

/// What goes on, in one line that is written over again and again. Only where somebody looks.
private final class ProgressLine {
    private let isShown = isatty(STDERR_FILENO) == 1
    private var isThere = false

    private static let clearLine = "\r\u{1B}[K"

    func show(_ progress: LoadRun.Progress) {
        guard isShown else { return }
        isThere = true
        StandardError.write(Self.clearLine + Self.words(progress))
    }

    func clear() {
        guard isThere else { return }
        isThere = false
        StandardError.write(Self.clearLine)
    }

    private static func words(_ progress: LoadRun.Progress) -> String {
        switch progress {
        case .filling(let rate): "filling the area: \(Decimal.grouped(rate)) commands/s"
        case .checking(let rate): "reading the area back: \(Decimal.grouped(rate)) commands/s"
        case .running(let seconds, let total, let rate):
            "\(Decimal.fixed(seconds, digits: 0)) of \(Decimal.fixed(total, digits: 0)) s: "
                + "\(Decimal.grouped(rate)) IOPS"
        }
    }
}
