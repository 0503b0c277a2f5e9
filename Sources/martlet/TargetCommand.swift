// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// `martlet target`.
struct TargetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "target", abstract: "Looks at the targets of a running server, and changes them.",
        subcommands: [PortGroup.self])

    /// `martlet target port-group`.
    struct PortGroup: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "port-group",
            abstract: "Lists target port groups, or gives one another asymmetric access state.",
            discussion: """
                States: active/optimized, active/non-optimized, standby, unavailable, transitioning. Initiators are \
                told by a unit attention. The states of the configuration are back when the server starts again.

                Examples:
                  martlet target port-group
                  martlet target port-group 2 --state standby
                  martlet target port-group 2 --state active/optimized --device disk0
                """)

        @OptionGroup var options: ClientOptions

        @Argument(help: ArgumentHelp("The group to change.", valueName: "group"))
        var group: UInt16?

        @Option(help: ArgumentHelp("Its new state.", valueName: "state"))
        var state: String?

        @Option(help: ArgumentHelp("Only for this device. (default: all that have the group)", valueName: "device"))
        var device: String?

        mutating func validate() throws {
            guard (group == nil) == (state == nil) else {
                throw ValidationError("Name a group and its --state, or neither to list all groups.")
            }
            if device != nil, group == nil { throw ValidationError("--device needs a group and its --state.") }
        }

        mutating func run() throws {
            var groups: [PortGroupReport]
            if let group, let state {
                groups = try options.client.change(PortGroupChange(group: group, state: state, device: device))
            } else {
                groups = try options.client.portGroups()
            }
            StandardOutput.write(options.json ? JSON.text(groups) : PortGroupReport.table(groups))
        }
    }
}
