// SPDX-License-Identifier: Apache-2.0

/// What a check found. As JSON it is a stable format (docs/conformance-kit.md): names stay, new ones may come.
public struct CheckReport: Codable, Equatable, Sendable {
    /// 1.
    public var format = 1
    public var passed: Bool
    public var handler: HandlerFacts
    public var config: String
    /// Bytes; nil when no device could be opened.
    public var size: UInt64?
    /// Bytes.
    public var blockSize: Int?
    public var seed: UInt64
    public var seconds: Double
    public var counts: Counts
    public var cases: [CaseReport]

    /// What the handler is.
    public struct HandlerFacts: Codable, Equatable, Sendable {
        public var path: String
        public var subtype: String?
        public var name: String?
        /// nr_threads.
        public var threads: Int?
        public var abi: String?
        public var takesOnlyCDBs: Bool?

        init(path: String) { self.path = path }
    }

    public struct Counts: Codable, Equatable, Sendable {
        public var passed = 0
        public var failed = 0
        public var skipped = 0
    }

    public enum Verdict: String, Codable, Sendable { case passed, failed, skipped }

    public struct CaseReport: Codable, Equatable, Sendable {
        public var name: String
        /// What the handler was tried for.
        public var title: String
        public var result: Verdict
        public var seconds: Double
        /// Why it was skipped.
        public var reason: String?
        public var findings: [Finding] = []
        /// What is worth knowing and no failure.
        public var notes: [String] = []
        /// What the handler said to the host's log, and to standard error, when the case failed.
        public var messages: [String] = []
    }

    public struct Finding: Codable, Equatable, Sendable {
        public var rule: String
        /// What was seen.
        public var seen: String
        /// What the handler must do.
        public var contract: String
        /// Where that is written.
        public var document: String
        /// The case in which it was seen.
        public var during: String
    }
}

// For people.
extension CheckReport {
    /// `isBrief`: without the titles of what passed.
    public func text() -> String {
        var lines = ["\(handler.path)", "  \(facts)", ""]
        for each in cases { lines += each.lines }
        lines.append("")
        lines.append(
            "\(passed ? "PASSED" : "FAILED"): \(counts.passed) passed, \(counts.failed) failed, "
                + "\(counts.skipped) skipped in \(Self.tenths(seconds)) s")
        return lines.joined(separator: "\n") + "\n"
    }

    private var facts: String {
        var words: [String] = []
        if let subtype = handler.subtype, let threads = handler.threads, let abi = handler.abi {
            words.append("\(subtype), nr_threads \(threads), \(abi)")
        }
        words.append("config \(config)")
        if let size, let blockSize { words.append("\(size) bytes in blocks of \(blockSize)") }
        words.append("seed \(seed)")
        return words.joined(separator: "; ")
    }

    static func tenths(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension CheckReport.CaseReport {
    fileprivate var lines: [String] {
        let mark =
            switch result {
            case .passed: "passed "
            case .failed: "FAILED "
            case .skipped: "skipped"
            }
        let padded = name + String(repeating: " ", count: max(1, 22 - name.count))
        var lines = ["  \(mark)  \(padded)\(reason.map { "\(title) (\($0))" } ?? title)"]
        for finding in findings {
            let place = finding.during == name ? "" : " [in \(finding.during)]"
            lines.append("             seen:     \(finding.seen)\(place)")
            lines.append("             contract: \(finding.contract) (\(finding.document))")
        }
        lines += notes.map { "             note:     \($0)" }
        lines += messages.map { "             said:     \($0)" }
        return lines
    }
}
