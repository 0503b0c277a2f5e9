// SPDX-License-Identifier: Apache-2.0

/// One case in a process of its own: what the parent asks, and the child's command line carries.
public struct CaseRequest: Sendable, Equatable {
    public var name: String
    /// 0; a case that has its process killed goes on in the next with 1.
    public var stage = 0
    public var handlerPath: String
    public var config: String
    public var secondConfig: String?
    /// Bytes of the device; nil: what the store says.
    public var byteCount: UInt64?
    public var blockByteCount: Int?
    public var seed: UInt64
    /// For how long one command may be under way before it counts as lost.
    public var patienceMilliseconds: Int
    public var isQuick: Bool
    /// The handler was built with a sanitizer, which wants the signals for itself.
    public var isSanitized = false

    public init(
        name: String, handlerPath: String, config: String, seed: UInt64, patienceMilliseconds: Int, isQuick: Bool
    ) {
        self.name = name
        self.handlerPath = handlerPath
        self.config = config
        self.seed = seed
        self.patienceMilliseconds = patienceMilliseconds
        self.isQuick = isQuick
    }
}

extension CaseRequest {
    /// The child's command line, without the program.
    var arguments: [String] {
        var words = [
            "check-case", "--case", name, "--stage", "\(stage)", "--handler", handlerPath, "--config", config, "--seed",
            "\(seed)", "--patience", "\(patienceMilliseconds)",
        ]
        if let secondConfig { words += ["--second-config", secondConfig] }
        if let byteCount { words += ["--size", "\(byteCount)"] }
        if let blockByteCount { words += ["--block-size", "\(blockByteCount)"] }
        if isQuick { words.append("--quick") }
        if isSanitized { words.append("--sanitized") }
        return words
    }
}

/// The lines that a child writes to descriptor 3: KIND TAB RULE TAB TEXT.
enum ReportLine: String {
    /// Something about the handler; the rule is its key.
    case fact
    /// What comes next. When the process ends without another, this is where.
    case step
    /// A rule was broken.
    case finding
    /// A rule was broken in a way that the case cannot go on.
    case blocked
    case skip, note, said
    /// The body of the case has ended; what is left is closing.
    case verdict
    /// The process kills itself now, and the case goes on in another.
    case kill
    case done
}

/// How the child says where it is; the parent knows who answers for what happens there.
enum Step: String {
    case load, open, body, close, exit
}

/// Why a case ends before its end.
enum CaseStop: Error {
    case skip(String)
    /// The rule was broken, and there is no going on.
    case blocked(rule: String, seen: String)
}
