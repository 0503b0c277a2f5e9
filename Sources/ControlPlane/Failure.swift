// SPDX-License-Identifier: Apache-2.0

/// Why a verb could not do its work: one sentence for the operator, and what the shell is told.
public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The process's exit status.
    public enum Kind: Int32, Sendable {
        /// What was asked for was fine; the machine, a file or a peer was not.
        case runTime = 1
        /// The command line or the configuration is wrong.
        case usage = 2
    }

    public let kind: Kind
    public let description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    public static func usage(_ sentence: String) -> Failure { Failure(.usage, sentence) }
    public static func runTime(_ sentence: String) -> Failure { Failure(.runTime, sentence) }

    /// The same failure, with the place in a file or on the command line that it comes from.
    func at(_ place: String) -> Failure { Failure(kind, "\(place): \(description)") }
}
