// SPDX-License-Identifier: Apache-2.0

/// What `martlet check` found out about a handler.
///
/// Values describe themselves in sentences, so that `#expect(report.passed, "\(report)")` shows what is wrong.
public struct ConformanceReport: Codable, Equatable, Sendable {
    /// Of the JSON: 1.
    public var format: Int
    public var passed: Bool
    public var handler: HandlerFacts
    public var config: String
    /// Bytes of the device; nil when it could not be opened.
    public var size: UInt64?
    /// Bytes.
    public var blockSize: Int?
    /// Give it again to repeat the same run.
    public var seed: UInt64
    public var seconds: Double
    public var counts: Counts
    public var cases: [Case]

    public struct HandlerFacts: Codable, Equatable, Sendable {
        public var path: String
        public var subtype: String?
        public var name: String?
        /// nr_threads.
        public var threads: Int?
        public var abi: String?
        public var takesOnlyCDBs: Bool?
    }

    public struct Counts: Codable, Equatable, Sendable {
        public var passed: Int
        public var failed: Int
        public var skipped: Int
    }

    public enum Result: String, Codable, Sendable { case passed, failed, skipped }

    public struct Case: Codable, Equatable, Sendable {
        public var name: String
        public var title: String
        public var result: Result
        public var seconds: Double
        /// Why it was skipped.
        public var reason: String?
        public var findings: [Finding]
        /// What is worth knowing and no failure.
        public var notes: [String]
        /// What the handler said, when the case failed.
        public var messages: [String]
    }

    public struct Finding: Codable, Equatable, Sendable {
        public var rule: String
        public var seen: String
        /// What the handler must do.
        public var contract: String
        public var document: String
        /// The case in which it was seen.
        public var during: String
    }

    public var failures: [Case] { cases.filter { $0.result == .failed } }

    public subscript(name: String) -> Case? { cases.first { $0.name == name } }
}

extension ConformanceReport: CustomStringConvertible {
    public var description: String {
        let head =
            "\(handler.path) with \(config): \(counts.passed) passed, \(counts.failed) failed, \(counts.skipped) skipped"
        return ([head] + failures.map(\.description)).joined(separator: "\n")
    }
}

extension ConformanceReport.Case: CustomStringConvertible {
    public var description: String {
        switch result {
        case .passed: "\(name) passed"
        case .skipped: "\(name) was skipped: \(reason ?? "")"
        case .failed: (["\(name) failed: \(title)"] + findings.map { "  \($0)" }).joined(separator: "\n")
        }
    }
}

extension ConformanceReport.Finding: CustomStringConvertible {
    public var description: String { "\(seen). The contract: \(contract) (\(document))" }
}
