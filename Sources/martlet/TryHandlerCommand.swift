// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// The trial of a handler, in the process that `martlet serve` starts for it.
struct TryHandlerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: HandlerTrial.verb, shouldDisplay: false)

    @Argument var file: String

    @Flag var trusted = false

    mutating func run() throws { HandlerTrial.runChild(file, isTrusted: trusted) }
}
