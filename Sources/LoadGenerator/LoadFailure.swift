// SPDX-License-Identifier: Apache-2.0

/// Why a load could not be run, or was ended: one sentence for the operator.
package struct LoadFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// The target, the network or this machine.
        case runTime
        /// The command line.
        case usage
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    package static func usage(_ sentence: String) -> LoadFailure { LoadFailure(.usage, sentence) }
    package static func runTime(_ sentence: String) -> LoadFailure { LoadFailure(.runTime, sentence) }
}
