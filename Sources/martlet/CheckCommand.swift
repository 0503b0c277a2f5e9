// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane
internal import Glibc
internal import HandlerCheck
internal import LoadGenerator

/// `martlet check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Tries whether a handler keeps its contract.",
        discussion: """
            Each case runs in a process of its own, so a handler that crashes, hangs or ends the process fails that \
            case alone. What the store holds is overwritten. Exit status 0 means that every case that applies passed.

            Examples:
              martlet check ram --config ram/64M
              martlet check ./handler_mine.so --config mine//tmp/disk.img --size 64M
              martlet check ./handler_mine.so --config mine//tmp/disk.img --only data.random --seed 7 --json
              martlet check --list
            """)

    @Argument(help: ArgumentHelp("A shared object, or the subtype of a handler that is found.", valueName: "handler"))
    var handler: String?

    @Option(
        help: ArgumentHelp("The store to open, as in a LUN: SUBTYPE/REST. It is overwritten.", valueName: "cfgstring"))
    var config: String?

    @Option(help: ArgumentHelp("Another store of the same handler, for two devices at once.", valueName: "cfgstring"))
    var secondConfig: String?

    @Option(help: ArgumentHelp("Bytes of the device, where the store does not tell.", valueName: "size"))
    var size: String?

    @Option(help: ArgumentHelp("Bytes of a block. (default: what the handler says, or 512)", valueName: "n"))
    var blockSize: Int?

    @Option(help: ArgumentHelp("Data and random commands follow from it. (default: another each time)", valueName: "n"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("For one case.", valueName: "seconds"))
    var timeout = 30

    @Option(help: ArgumentHelp("Only this case; may be repeated.", valueName: "name"))
    var only: [String] = []

    @Option(help: ArgumentHelp("Look for handlers here first; may be repeated.", valueName: "dir"))
    var handlerPath: [String] = []

    @Flag(help: "List the cases.")
    var list = false

    @Flag(help: "Fewer rounds of everything: some seconds in all.")
    var quick = false

    @Flag(help: "Write JSON.")
    var json = false

    mutating func run() throws {
        if list {
            for (name, title) in CheckOptions.cases {
                StandardOutput.write(name + String(repeating: " ", count: max(1, 24 - name.count)) + title + "\n")
            }
            return
        }
        let line = CheckProgress()
        var check = ConformanceCheck(try options(), executable: "/proc/self/exe") { line.show($0, $1, $2) }
        let report = check.run()
        line.clear()
        StandardOutput.write(json ? JSON.text(report) : report.text())
        if !report.passed { throw ExitCode(Failure.Kind.runTime.rawValue) }
    }

    private func options() throws -> CheckOptions {
        guard let handler else { throw Failure.usage("name a handler: a file, or the subtype of one that is found") }
        guard let config else {
            throw Failure.usage("name a store with --config SUBTYPE/REST; what it holds is overwritten")
        }
        guard config.contains("/") else {
            throw Failure.usage(
                "--config \(config) has no slash: it must begin with the handler's subtype, as in ram/64M")
        }
        let known = Set(CheckOptions.cases.map(\.name))
        for name in only where !known.contains(name) {
            throw Failure.usage("--only \(name) is no case: see martlet check --list")
        }
        guard (1...3600).contains(timeout) else { throw Failure.usage("--timeout \(timeout): use 1 to 3600 seconds") }
        if let blockSize, ![512, 1024, 2048, 4096].contains(blockSize) {
            throw Failure.usage("--block-size \(blockSize): use 512, 1024, 2048 or 4096")
        }
        var options = CheckOptions(
            handlerPath: try path(of: handler), config: config, seed: seed ?? UInt64.random(in: 1...999_999_999))
        options.secondConfig = secondConfig
        options.byteCount = try size.map(Self.byteCount)
        options.blockByteCount = blockSize
        options.timeoutSeconds = timeout
        options.only = only
        options.isQuick = quick
        return options
    }

    private static func byteCount(_ text: String) throws -> UInt64 {
        do {
            return UInt64(try LoadOptions.byteCount(text, option: "--size"))
        } catch {
            throw Failure.usage(error.description)
        }
    }

    /// A file as it is; else the first handler on the way that has the subtype.
    private func path(of handler: String) throws -> String {
        if handler.contains("/") || handler.hasSuffix(".so") {
            // The path lives for the call.
            guard unsafe access(handler, R_OK) == 0 else {
                throw Failure.usage("\(handler) cannot be read: name a handler_NAME.so, or a subtype")
            }
            return handler.contains("/") ? handler : "./\(handler)"
        }
        let listing = try HandlerListing.scan(handlerPaths: handlerPath)
        guard let entry = listing.handlers.first(where: { $0.subtype == handler && $0.refusal == nil }) else {
            throw Failure.usage(
                "no handler of the subtype \(handler) is found in \(listing.folders.joined(separator: ", ")): name its file"
            )
        }
        return entry.file
    }
}

/// One case, in a child of `martlet check`.
struct CheckCaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-case", abstract: "Runs one case of martlet check.", shouldDisplay: false)

    @Option var `case`: String
    @Option var stage: Int
    @Option var handler: String
    @Option var config: String
    @Option var secondConfig: String?
    @Option var size: UInt64?
    @Option var blockSize: Int?
    @Option var seed: UInt64
    @Option var patience: Int
    @Flag var quick = false
    @Flag var sanitized = false

    mutating func run() throws {
        var request = CaseRequest(
            name: `case`, handlerPath: handler, config: config, seed: seed, patienceMilliseconds: patience,
            isQuick: quick)
        request.stage = stage
        request.secondConfig = secondConfig
        request.byteCount = size
        request.blockByteCount = blockSize
        request.isSanitized = sanitized
        CaseProcess.run(request)
    }
}

/// Which case runs, in one line that is written over. Only where somebody looks.
private struct CheckProgress {
    private let isShown = isatty(STDERR_FILENO) == 1
    private static let clearLine = "\r\u{1B}[K"

    func show(_ name: String, _ number: Int, _ count: Int) {
        if isShown { StandardError.write("\(Self.clearLine)\(number) of \(count): \(name)") }
    }

    func clear() {
        if isShown { StandardError.write(Self.clearLine) }
    }
}
