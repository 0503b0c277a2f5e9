// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck

/// What one child process said, and how it ended.
struct ChildOutcome {
    var lines: [(kind: ReportLine, rule: String, text: String)] = []
    var output = ""
    var errors = ""
    /// As wait(2) tells it.
    var waitStatus: Int32 = 0
    var timedOut = false
    var processorSeconds = 0.0
    var milliseconds = 0
    /// It could not be started: an errno value.
    var startError: Int32 = 0

    static func run(_ arguments: [String], variables: [String], milliseconds: Int) -> ChildOutcome {
        var raw = unsafe check_child_outcome()
        var result = ChildOutcome()
        result.milliseconds = milliseconds
        result.startError = unsafe withCStrings(arguments) { arguments in
            unsafe withCStrings(variables) { variables in
                // Both vectors end with NULL and live for the call.
                unsafe check_child_run(arguments, variables, UInt32(milliseconds), &raw)
            }
        }
        defer { unsafe check_child_free(&raw) }
        unsafe result.output = raw.output.map { unsafe String(cString: $0) } ?? ""
        unsafe result.errors = raw.errors.map { unsafe String(cString: $0) } ?? ""
        let lines = unsafe raw.lines.map { unsafe String(cString: $0) } ?? ""
        unsafe result.waitStatus = raw.wait_status
        unsafe result.timedOut = raw.timed_out
        unsafe result.processorSeconds = raw.processor_seconds
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, let kind = ReportLine(rawValue: String(parts[0])) else { continue }
            result.lines.append((kind, String(parts[1]), String(parts[2])))
        }
        return result
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = unsafe strings.map { unsafe $0.withCString { unsafe check_copy_string($0) } }
        defer { for index in unsafe copies.indices { unsafe check_free_string(copies[index]) } }
        let vector: [UnsafePointer<CChar>?] = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
        return unsafe vector.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}

/// What all children of one case said.
struct CaseOutcome {
    var facts: [(String, String)] = []
    var findings: [(rule: String, seen: String)] = []
    var notes: [String] = []
    var blocked: (rule: String, seen: String)?
    var skipReason: String?
    /// It killed itself as agreed, and the case goes on.
    var goesOn = false
    var death: Death?
    var outputByteCount = 0
    var outputHead = ""
    var errors = ""
    private var said: [String] = []

    struct Death {
        /// What became of the process.
        var words: String
        var step: Step
        /// Its last step.
        var place: String {
            switch step {
            case .load: "in handler_init"
            case .open: "in open"
            case .close: "in close"
            case .exit: "while it ended"
            case .body: "during the case"
            }
        }
        var rule: String {
            switch step {
            case .load: "load.init"
            case .open: "life.open"
            case .close: "life.close"
            case .exit, .body: "process.lives"
            }
        }
    }

    private static let messageLimit = 8
    private static let outputLimit = 60

    /// The last things that the handler said.
    var messages: [String] {
        let written = errors.split(separator: "\n").map(String.init)
        // A sanitizer says first what is wrong, and last how to read its tables.
        if let first = written.firstIndex(where: { $0.contains("Sanitizer: ") }) {
            return Array(written[first...].prefix(Self.messageLimit))
        }
        return Array((said + written).suffix(Self.messageLimit))
    }

    mutating func add(_ child: ChildOutcome) {
        var step = Step.load
        var hasEnded = false
        for (kind, rule, text) in child.lines {
            switch kind {
            case .fact: facts.append((rule, text))
            case .step: step = Step(rawValue: text) ?? step
            case .finding: findings.append((rule, text))
            case .note: notes.append(text)
            case .said: said.append(text)
            case .blocked:
                blocked = (rule, text)
                hasEnded = true
            case .skip: skipReason = text
            case .kill: goesOn = true
            case .verdict: break
            case .done: hasEnded = true
            }
        }
        errors += child.errors
        if !child.output.isEmpty {
            outputByteCount += child.output.utf8.count
            outputHead = String(child.output.prefix(Self.outputLimit)).replacing("\n", with: " ")
        }
        if !goesOn { death = Self.death(of: child, step, hasEnded: hasEnded) }
    }

    private static func death(of child: ChildOutcome, _ step: Step, hasEnded: Bool) -> Death? {
        if child.startError != 0 {
            return Death(words: "could not be started: error \(child.startError)", step: .body)
        }
        if child.timedOut {
            let busy = child.processorSeconds * 2000 > Double(child.milliseconds)
            let used = CheckReport.tenths(child.processorSeconds)
            return Death(
                words: "had not ended after \(child.milliseconds / 1000) s, "
                    + (busy ? "and span: it used \(used) s of processor time" : "and waited"),
                step: step)
        }
        let signal = child.waitStatus & 0x7F
        if signal != 0 { return Death(words: "was ended by \(signalName(signal))", step: step) }
        let status = (child.waitStatus >> 8) & 0xFF
        // After its last word a sanitizer may set the status; its words are in `errors`.
        return hasEnded ? nil : Death(words: "ended itself with exit status \(status)", step: step)
    }

    private static func signalName(_ signal: Int32) -> String {
        let names: [Int32: String] = [
            4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV",
            13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
        ]
        return names[signal] ?? "signal \(signal)"
    }
}
