// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing
import Transport

@Suite("What a live change does")
struct ConfigurationPlanTests {
    private static let target = "iqn.2026-11.a.b:t"

    private static let base = """
        portals: [{listen: "127.0.0.1:3260"}, {listen: "[::1]:3260", tag: 2}]
        devices: {d0: {backstore: ram/1M}, d1: {backstore: ram/2M}, spare: {backstore: ram/3M}}
        targets:
          iqn.2026-11.a.b:t:
            luns: {0: d0}
            portals: [1]
            initiators:
              - {name: "iqn.a", luns: {0: d0, 1: d1}}
              - {name: "iqn.b", deny: yes}
        """

    private static func parse(_ text: String) throws -> Configuration {
        try ConfigurationFile.parse(text, file: "m.yaml")
    }

    private static func plan(_ edits: [(String, String)]) throws -> ConfigurationPlan {
        var text = base
        for (old, new) in edits {
            #expect(text.contains(old))
            text = text.replacing(old, with: new)
        }
        return ConfigurationPlan(from: try parse(base), to: try parse(text))
    }

    @Test("The same file, moved and with other spaces, is no change")
    func same() throws {
        let plan = try Self.plan([("targets:", "\n\ntargets:"), ("ram/1M}", "ram/1M }")])
        #expect(plan.steps == [])
        #expect(plan.refusals == [])
    }

    private static let changes: [([(String, String)], [String])] = [
        ([("1: d1}}", "1: {device: d1, readonly: yes}}}")], ["~ target \(target), iqn.a: LUN 1 (d1) can only be read"]),
        (
            [("0: d0, 1: d1}}", "0: d0, 2: spare}}")],
            [
                "+ device spare (ram/3M) is opened", "- device d1 (ram/2M) is closed when its commands have ended",
                "~ target \(target), iqn.a: LUN 1 (d1) is removed",
                "~ target \(target), iqn.a: LUN 2 (spare) is added",
            ]
        ),
        ([("luns: {0: d0}\n", "luns: {0: d1}\n")], ["~ target \(target): LUN 0 is d1 instead of d0"]),
        (
            [("    portals: [1]", "    default: allow\n    portals: [1]")],
            ["~ target \(target): whom no rule means is allowed"]
        ),
        (
            [("{name: \"iqn.b\", deny: yes}", "{name: \"iqn.c\"}")],
            [
                "~ target \(target): the rule at m.yaml:9 (iqn.c, allow) is new or another",
                "~ target \(target): the rule iqn.b (deny) is gone or another",
            ]
        ),
        (
            [("    portals: [1]", "    redirect: {to: \"192.0.2.1\", permanent: yes}\n    portals: [1]")],
            ["~ target \(target): sends logins to 192.0.2.1:3260 for good"]
        ),
        (
            [("tag: 2}", "tag: 2, redirect: {to: \"192.0.2.1\"}}")],
            ["~ portal [::1]:3260: sends logins to 192.0.2.1:3260 for now"]
        ),
        (
            [("  iqn.2026-11.a.b:t:", "  iqn.2026-11.a.b:u:")],
            ["+ target iqn.2026-11.a.b:u", "- target \(target): its sessions end"]
        ),
        ([("targets:", "discovery: {default: deny}\ntargets:")], ["~ discovery: who may ask for the targets"]),
    ]

    @Test("A change is told in a line for each who is concerned", arguments: changes)
    func steps(edits: [(String, String)], steps: [String]) throws {
        let plan = try Self.plan(edits)
        #expect(plan.steps == steps)
        #expect(plan.refusals == [])
    }

    @Test(
        "What cannot change while the server runs is refused",
        arguments: [
            ("127.0.0.1:3260", "127.0.0.2:3260", "portals (listen, advertise, tag)"),
            ("targets:", "performance: {loops: 3}\ntargets:", "performance"),
            ("targets:", "alua: both\ntargets:", "alua and port-groups"),
            ("backstore: ram/2M", "backstore: ram/2M, readonly: yes", "m.yaml:2: the device d1 is open"),
            ("    portals: [1]", "    port-group: 4", "the port-group of \(target)"),
            ("    portals: [1]\n", "", "\(target) has no target port for portal group 2"),
        ])
    func refusals(old: String, new: String, words: String) throws {
        let plan = try Self.plan([(old, new)])
        #expect(plan.refusals.contains { $0.hasPrefix(words) }, "\(plan.refusals)")
    }

    @Test("A device that is not open may become another")
    func closedDevice() throws {
        let plan = try Self.plan([("ram/3M", "ram/5M")])
        #expect(plan.steps == [] && plan.refusals == [])
    }

    // MARK: One LUN

    @Test("A LUN is added, changed and removed, for the target or for a rule")
    func lunChanges() throws {
        var configuration = try Self.parse(Self.base)
        func change(_ lun: Int, _ action: LUNChange.Action, _ initiator: String? = nil) throws {
            configuration = try LUNChange(target: Self.target, lun: lun, action: action, initiator: initiator)
                .applied(to: configuration)
        }
        try change(7, .add(device: "spare", isReadOnly: true))
        try change(1, .set(device: nil, isReadOnly: true), "iqn.a")
        try change(0, .remove, "iqn.a")
        #expect(
            configuration.targets[0].access.luns.units
                == [0: .init(device: "d0"), 7: .init(device: "spare", isReadOnly: true)])
        #expect(
            configuration.targets[0].access.list.rules[0].luns?.units == [1: .init(device: "d1", isReadOnly: true)])
    }

    private static let wrong: [(Int, LUNChange.Action, String?, String)] = [
        (0, .add(device: "d1", isReadOnly: false), nil, "LUN 0 is d0 already"),
        (1, .add(device: "spar", isReadOnly: false), nil, "there is no device \"spar\": did you mean spare?"),
        (0, .remove, nil, "LUN 0 is the only one"), (3, .remove, "iqn.a", "there is no LUN 3 there: there are 0, 1"),
        (3, .set(device: "d1", isReadOnly: nil), nil, "there is no LUN 3 there: there are 0"),
        (0, .remove, "iqn.b", "the rule for \"iqn.b\" has no LUNs of its own"),
        (0, .remove, "iqn.*", "iqn.2026-11.a.b:t has no rule for \"iqn.*\": did you mean iqn.a?"),
    ]

    @Test("A change that makes no sense is refused", arguments: wrong)
    func wrongLUNChange(lun: Int, action: LUNChange.Action, initiator: String?, words: String) throws {
        let change = try LUNChange(target: Self.target, lun: lun, action: action, initiator: initiator)
        let configuration = try Self.parse(Self.base)
        let failure = #expect(throws: Failure.self) { try change.applied(to: configuration) }
        #expect(failure?.description.hasPrefix(words) == true, "\(String(describing: failure))")
    }

    // MARK: One LUN of several rules

    private static let manyRules = """
        devices: {d0: {backstore: ram/1M}, d1: {backstore: ram/2M}, d2: {backstore: ram/3M}}
        targets:
          iqn.2026-11.a.b:t:
            luns: {0: d0}
            initiators:
              - {name: "iqn.a", luns: {0: d1, 1: d2}}
              - {addresses: ["192.0.2.1"], deny: yes}
              - {addresses: ["192.0.2.2"], luns: {0: d1}}
              - {name: "iqn.b", addresses: ["192.0.2.3"], luns: {0: d1}}
              - {name: "iqn.b", luns: {0: d2}}
        """

    @Test(
        "The device behind a LUN is that of the target, or of the rule that is named",
        arguments: [
            (0, nil, "d0"), (0, "iqn.a", "d1"), (1, "iqn.a", "d2"),
            // Of two rules with this name one has LUNs.
            (0, "*", "d1"),
        ] as [(Int, String?, String)])
    func device(lun: Int, initiator: String?, device: String) throws {
        let change = try LUNChange(
            target: Self.target, lun: lun, action: .resize(byteCount: 1), initiator: initiator)
        #expect(try change.device(in: try Self.parse(Self.manyRules)) == device)
    }

    private static let unclear: [(Int, String?, String)] = [
        (1, nil, "there is no LUN 1 there: there are 0"),
        (1, "*", "there is no LUN 1 there: there are 0"),
        (0, "iqn.c", "\(target) has no rule for \"iqn.c\""),
        (
            0, "iqn.b",
            "\(target) has 2 rules for \"iqn.b\" with LUNs of their own, at m.yaml:9 and m.yaml:10: change the one that "
                + "you mean in the file, and apply it"
        ),
    ]

    @Test("A LUN that is not there, or of which it is not clear whose it is, is not changed", arguments: unclear)
    func unclearRule(lun: Int, initiator: String?, words: String) throws {
        let configuration = try Self.parse(Self.manyRules)
        for action in [LUNChange.Action.resize(byteCount: 1), .set(device: "d0", isReadOnly: nil)] {
            let change = try LUNChange(target: Self.target, lun: lun, action: action, initiator: initiator)
            let resize = #expect(throws: Failure.self) { try change.device(in: configuration) }
            #expect(resize?.description.hasPrefix(words) == true, "\(String(describing: resize))")
            guard case .set = action else { continue }
            let set = #expect(throws: Failure.self) { try change.applied(to: configuration) }
            #expect(set?.description.hasPrefix(words) == true, "\(String(describing: set))")
        }
    }
}
