// SPDX-License-Identifier: Apache-2.0

/// What came of a live change, or would come of it.
public struct ApplyReport: Codable, Equatable, Sendable {
    /// False: only planned.
    public var isApplied = false
    /// What changes, a line each.
    public var steps: [String] = []
    /// Sessions that are concerned, a line each.
    public var sessions: [String] = []
    /// Sessions that see other logical units now.
    public var changedSessions = 0
    /// Sessions that had to go.
    public var endedSessions = 0

    enum CodingKeys: String, CodingKey {
        case isApplied = "applied"
        case steps, sessions, changedSessions, endedSessions
    }

    public init() {}

    public func text() -> String {
        if steps.isEmpty { return "Nothing changes.\n" }
        var lines = steps + sessions.map { "  \($0)" }
        lines.append(
            isApplied
                ? "applied: \(changedSessions) session(s) see other LUNs, \(endedSessions) session(s) ended"
                : "planned: nothing is changed")
        return lines.map(TextTable.line).joined()
    }
}

/// What can be asked and changed of a running server's configuration.
public protocol ConfigurationControl: Sendable {
    func explain(_ question: ExplainQuestion) throws(Failure) -> ExplainReport

    /// Follows another configuration file, all of it or nothing; `isPlan`: only says what would change. `file` names
    /// the text in errors.
    func apply(text: String, file: String, isPlan: Bool) async throws(Failure) -> ApplyReport

    /// Changes the LUNs of one target.
    func change(_ change: LUNChange) async throws(Failure) -> ApplyReport
}
