// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing
import Transport

@Suite("Access in the configuration file")
struct AccessConfigurationTests {
    private static let head = """
        portals:
          - {listen: "127.0.0.1:3260"}
          - {listen: "[::1]:3260", tag: 2, redirect: {to: "192.0.2.1:3261,1"}}
        devices: {disk0: {backstore: ram/1M}, disk1: {backstore: ram/1M, readonly: yes}}

        """
    private static let targetHead = head + "targets:\n  iqn.2026-11.a.b:t:\n    luns: {0: disk0}\n"

    @Test("Every key is understood")
    func everyKey() throws {
        let text =
            Self.head + """
                default: deny
                discovery:
                  default: allow
                  initiators:
                    - {name: "iqn.2026-11.evil:*", deny: yes}
                targets:
                  iqn.2026-11.a.b:t:
                    luns: {0: disk0, 5: {device: disk1, readonly: no}}
                    portals: [1, 2]
                    redirect: {to: ["192.0.2.7", "san.example.org:3261"], permanent: yes}
                    initiators:
                      - name: "iqn.1993-08.org.debian:*"
                        addresses: ["10.0.0.0/8", "2001:db8::1"]
                        portals: [2]
                        luns: {0: {device: disk0, readonly: true}, 1: disk1}
                      - {addresses: ["192.0.2.0/24"], deny: true}
                  iqn.2026-11.a.b:u:
                    luns: {0: disk1}
                    default: allow
                """
        let configuration = try ConfigurationFile.parse(text, file: "m.yaml")
        #expect(configuration.warnings == [])
        #expect(configuration.portals.map(\.settings.portalGroupTag) == [1, 2])
        #expect(configuration.portals[1].redirection == Redirection(addresses: ["192.0.2.1:3261,1"]))
        #expect(configuration.discovery.others == .allow)
        #expect(configuration.discovery.rules.map(\.verdict) == [.deny])
        let policy = configuration.policy(nil)
        let first = try #require(policy.target("iqn.2026-11.a.b:t"))
        #expect(first.luns.units == [0: .init(device: "disk0"), 5: .init(device: "disk1")])
        #expect(first.portalGroupTags == [1, 2])
        #expect(
            first.redirection
                == Redirection(addresses: ["192.0.2.7:3260", "san.example.org:3261"], isPermanent: true))
        #expect(first.list.others == .deny)
        #expect(first.devices == ["disk0", "disk1"])
        let rule = first.list.rules[0]
        #expect(rule.name.description == "iqn.1993-08.org.debian:*")
        #expect(rule.addresses.map(\.description) == ["10.0.0.0/8", "2001:db8::1"])
        #expect(rule.portalGroupTags == [2])
        #expect(rule.luns?.units == [0: .init(device: "disk0", isReadOnly: true), 1: .init(device: "disk1")])
        #expect(rule.origin == "m.yaml:16")
        #expect(first.list.rules[1].verdict == .deny)
        #expect(first.list.rules[1].name == .any)
        #expect(policy.target("iqn.2026-11.a.b:u")?.list.others == .allow)
    }

    private static let illegal: [(String, String)] = [
        (
            "    initiators: {name: x}\n",
            "8: targets.iqn.2026-11.a.b:t.initiators must be a list, each entry with a dash before it"
        ),
        (
            "    initiators:\n      - {luns: {0: disk0}}\n",
            "9: this entry says nothing of whom it means: give it a name, such as name: \"iqn.1993-08.org.debian:*\", addresses or portals"
        ),
        (
            "    initiators:\n      - {nam: \"iqn.*\"}\n",
            "9: unknown key \"nam\" in targets.iqn.2026-11.a.b:t.initiators[0]: did you mean name?"
        ),
        (
            "    initiators:\n      - name: debian\n",
            "9: the initiator name \"debian\" can match no iSCSI name: they begin with iqn., eui. or naa., such as iqn.1993-08.org.debian:*"
        ),
        (
            "    initiators:\n      - name: \"iqn.[ab]\"\n",
            "9: the initiator name \"iqn.[ab]\" holds \"[\", which stands in no iSCSI name: use letters, digits, dash, dot and colon, and the wildcards * and ?"
        ),
        (
            "    initiators:\n      - addresses: [\"10.1.0.0/8\"]\n",
            "9: \"10.1.0.0/8\" has bits set behind its prefix: write 10.0.0.0/8, or the prefix that you mean"
        ),
        (
            "    initiators:\n      - addresses: [\"10.0.0.0/33\"]\n",
            "9: \"10.0.0.0/33\" needs a number from 0 to 32 after its slash"
        ),
        (
            "    initiators:\n      - addresses: [server1]\n",
            "9: \"server1\" is no address: write one such as 192.0.2.7 or 2001:db8::7, or a range such as 10.0.0.0/8"
        ),
        ("    initiators:\n      - addresses: []\n", "9: addresses names none: name one, or leave it out"),
        ("    initiators:\n      - portals: [3]\n", "9: \"3\" is the tag of no portal: the portals have 1, 2"),
        ("    portals: [0]\n", "8: \"0\" is the tag of no portal: the portals have 1, 2"),
        (
            "    portals: []\n",
            "8: targets.iqn.2026-11.a.b:t.portals names no portal: name a tag, or leave it out"
        ),
        (
            "    initiators:\n      - name: \"iqn.*\"\n        deny: yes\n        luns: {0: disk0}\n",
            "11: whoever is denied is granted nothing: take luns out, or deny"
        ),
        (
            "    initiators:\n      - {name: \"iqn.*\", deny: perhaps}\n",
            "9: targets.iqn.2026-11.a.b:t.initiators[0].deny cannot be \"perhaps\": write yes or no"
        ),
        (
            "    initiators:\n      - name: \"iqn.*\"\n        luns: {0: disk2}\n",
            "10: LUN 0 names the device \"disk2\", which is not under devices: did you mean disk0?"
        ),
        (
            "    initiators:\n      - name: \"iqn.*\"\n        luns: {0: disk0, 00: disk1}\n",
            "10: LUN 0 stands here twice"
        ),
        (
            "    initiators:\n      - name: \"iqn.*\"\n        luns: {0: {readonly: yes}}\n",
            "10: LUN 0 needs a device, such as {device: disk0}"
        ),
        (
            "    initiators:\n      - name: \"iqn.*\"\n        luns: {}\n",
            "10: this initiator would see no LUN: name one, or write deny: yes"
        ),
        ("    default: maybe\n", "8: targets.iqn.2026-11.a.b:t.default cannot be \"maybe\": write allow or deny"),
        (
            "    redirect: {permanent: yes}\n",
            "8: targets.iqn.2026-11.a.b:t.redirect needs to: \"ADDR:PORT\", where initiators are to go"
        ),
        (
            "    redirect: {to: \"192.0.2.1:0\"}\n",
            "8: \"192.0.2.1:0\" is no address to go to: write one such as \"192.0.2.1:3260\", \"[2001:db8::1]:3260\" or \"san.example.org:3260\", and perhaps a comma and a portal group tag"
        ),
        (
            "    redirect: {to: \"192.0.2.1:3260,0\"}\n",
            "8: \"192.0.2.1:3260,0\": the tag after the comma must be a number from 1 to 65535"
        ),
        (
            "    redirect: {to: \"127.0.0.1:3260\"}\n",
            "8: 127.0.0.1:3260 is a portal of this server, which would send the initiator there again, for ever: name another server"
        ),
    ]

    @Test("What is wrong is said with its line, and what to do", arguments: illegal)
    func illegalAccess(text: String, sentence: String) {
        #expect(throws: Failure.usage("m.yaml:\(sentence)")) {
            try ConfigurationFile.parse(Self.targetHead + text, file: "m.yaml")
        }
    }

    @Test("Whoever asks for targets is shown no LUNs: a rule of discovery maps none")
    func discoveryWithLUNs() {
        let text = Self.head + "discovery:\n  initiators:\n    - {name: \"*\", luns: {0: disk0}}\n"
        #expect(
            throws: Failure.usage(
                "m.yaml:7: unknown key \"luns\" in discovery.initiators[0]: known here: name, addresses, portals, deny"
            )
        ) {
            try ConfigurationFile.parse(text, file: "m.yaml")
        }
    }

    @Test("A portal that sends initiators to itself, or to one that sends them on, is refused")
    func endlessRedirection() {
        let text = """
            portals:
              - {listen: "127.0.0.1:1", redirect: {to: "127.0.0.1:2"}}
              - {listen: "127.0.0.1:2", redirect: {to: "192.0.2.1"}}
            """
        #expect(
            throws: Failure.usage(
                "m.yaml:2: 127.0.0.1:2 is a portal of this server, which would send the initiator there again, for ever: name another server"
            )
        ) {
            try ConfigurationFile.parse(text, file: "m.yaml")
        }
        #expect(throws: Never.self) {
            try ConfigurationFile.parse(text.replacing(", redirect: {to: \"192.0.2.1\"}", with: ""), file: "m.yaml")
        }
    }

    @Test(
        "An address that nobody can go to is not advertised",
        arguments: ["0.0.0.0:3260", "[::]:3260", "192.0.2.1:0", "0:3260", "[::ffff:0.0.0.0]:3260", "[fe80::1%lo]:3260"])
    func advertised(address: String) {
        let text = "portals:\n  - listen: \"127.0.0.1:3260\"\n    advertise: \"\(address)\"\n"
        let failure = #expect(throws: Failure.self) { try ConfigurationFile.parse(text, file: "m.yaml") }
        let words = failure?.description ?? ""
        #expect(words.hasPrefix("m.yaml:3: no initiator can go to "), "\(words)")
    }

    private static let doubtful: [(String, String)] = [
        (
            "    initiators:\n      - {name: \"iqn.*\"}\n      - {name: \"iqn.1993-08.org.debian:*\", deny: yes}\n",
            "m.yaml:10: this rule can never match, because m.yaml:9 (iqn.*) matches all that it does: put it before that one, or take it out"
        ),
        (
            "    initiators:\n      - {name: \"iqn.*\", deny: yes}\n",
            "m.yaml:8: nobody may log in: add a rule that allows somebody, or default: allow"
        ),
        ("    default: deny\n", "m.yaml:6: nobody may log in: add a rule that allows somebody, or default: allow"),
    ]

    @Test("What is legal and hardly meant is warned of", arguments: doubtful)
    func warnings(text: String, sentence: String) throws {
        let configuration = try ConfigurationFile.parse(Self.targetHead + text, file: "m.yaml")
        #expect(configuration.warnings == [sentence])
    }
}
