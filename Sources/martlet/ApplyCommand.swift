// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane
internal import LoadGenerator

/// `martlet apply`.
struct ApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Has a running server follow another configuration file: all of it or nothing.",
        discussion: """
            Devices, targets, LUNs, rules, redirections and authentication can change while the server runs; portals, \
            performance, alua, port groups and attributes of open devices cannot. Sessions that are still allowed \
            stay, and their initiators are told of other LUNs; the others end.

            Examples:
              martlet apply /etc/martlet.yaml --plan
              martlet apply /etc/martlet.yaml
            """)

    @OptionGroup var options: ClientOptions

    @Argument(help: ArgumentHelp("The configuration file.", valueName: "file"))
    var file: String

    @Flag(help: "Only tell what would change.")
    var plan = false

    mutating func run() throws {
        let report = try options.client.apply(path: file, isPlan: plan)
        StandardOutput.write(options.json ? JSON.text(report) : report.text())
    }
}

/// `martlet lun`.
struct LUNCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lun", abstract: "Changes the LUNs of a target of a running server.",
        discussion: """
            Changes hold until the configuration file is applied again, or the server ends: they are not written into \
            the file. Initiators are told by a unit attention.
            """,
        subcommands: [Add.self, Remove.self, Set.self, Resize.self])

    /// Which LUN is meant.
    struct Place: ParsableArguments {
        @Argument(help: ArgumentHelp("The target's name.", valueName: "target"))
        var target: String

        @Argument(help: ArgumentHelp("The number.", valueName: "lun"))
        var lun: Int

        @Option(
            help: ArgumentHelp(
                "The LUNs of the rule with this name, as the configuration has it. (default: those of the target)",
                valueName: "pattern"))
        var initiator: String?
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Gives a target another LUN.",
            discussion: "Example: martlet lun add iqn.2026-11.org.example:store 3 disk3 --readonly")

        @OptionGroup var options: ClientOptions
        @OptionGroup var place: Place

        @Argument(help: ArgumentHelp("A device of the configuration.", valueName: "device"))
        var device: String

        @Flag(help: "Initiators cannot write to it.")
        var readonly = false

        mutating func run() throws {
            try LUNCommand.change(place, .add(device: device, isReadOnly: readonly), options)
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Takes a LUN from a target.",
            discussion: "Example: martlet lun remove iqn.2026-11.org.example:store 3")

        @OptionGroup var options: ClientOptions
        @OptionGroup var place: Place

        mutating func run() throws { try LUNCommand.change(place, .remove, options) }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Puts another device behind a LUN, or makes it read-only or writable.",
            discussion: "Example: martlet lun set iqn.2026-11.org.example:store 3 --no-readonly")

        @OptionGroup var options: ClientOptions
        @OptionGroup var place: Place

        @Option(help: ArgumentHelp("A device of the configuration.", valueName: "device"))
        var device: String?

        @Flag(inversion: .prefixedNo, help: "Whether initiators cannot write to it.")
        var readonly: Bool?

        mutating func validate() throws {
            if device == nil, readonly == nil { throw ValidationError("Say --device, --readonly or --no-readonly.") }
        }

        mutating func run() throws {
            try LUNCommand.change(place, .set(device: device, isReadOnly: readonly), options)
        }
    }

    struct Resize: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "resize", abstract: "Gives the device behind a LUN a larger size.",
            discussion: "Example: martlet lun resize iqn.2026-11.org.example:store 3 20G")

        @OptionGroup var options: ClientOptions
        @OptionGroup var place: Place

        @Argument(help: ArgumentHelp("Bytes, or with K, M, G or T.", valueName: "size"))
        var size: String

        mutating func run() throws {
            let byteCount: UInt64
            do {
                byteCount = try LoadOptions.byteCount(size, option: "size")
            } catch {
                throw Failure.usage(error.description)
            }
            try LUNCommand.change(place, .resize(byteCount: byteCount), options)
        }
    }

    private static func change(_ place: Place, _ action: LUNChange.Action, _ options: ClientOptions) throws {
        let change = try LUNChange(
            target: place.target, lun: place.lun, action: action, initiator: place.initiator)
        let report = try options.client.change(change)
        StandardOutput.write(options.json ? JSON.text(report) : report.text())
    }
}
