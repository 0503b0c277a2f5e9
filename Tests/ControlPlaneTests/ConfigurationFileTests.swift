// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing
import Transport

@Suite("The configuration file")
struct ConfigurationFileTests {
    private static let whole = """
        portals:
          - {listen: "127.0.0.1:3260", advertise: "192.0.2.1:3260", tag: 7}
          - listen: "[::1]:0"
        devices:
          disk0: {backstore: "file//srv/disk0.img", size: 10G, block-size: 512}
          disk1:
            backstore: ram/1G
            readonly: yes
            serial: "0042"
            vendor: ACME
            product: Disk
            write-cache: off
        targets:
          iqn.2026-11.org.example:disk0:
            luns: {0: disk0, 16383: disk1}
            initiators: []
          eui.02004567A425678D:
            luns: {1: disk1}
        """

    @Test("Every key is understood")
    func everyKey() throws {
        let configuration = try ConfigurationFile.parse(Self.whole, file: "m.yaml")
        #expect(
            configuration.portals == [
                .init(
                    listen: PortalAddress(host: "127.0.0.1", port: 3260),
                    advertise: PortalAddress(host: "192.0.2.1", port: 3260), portalGroupTag: 7),
                .init(listen: PortalAddress(host: "::1", port: 0)),
            ])
        var disk0 = DeviceSettings(backstore: "file//srv/disk0.img")
        disk0.byteCount = 10 << 30
        disk0.blockByteCount = 512
        var disk1 = DeviceSettings(backstore: "ram/1G")
        disk1.isReadOnly = true
        disk1.serial = "0042"
        disk1.vendor = "ACME"
        disk1.product = "Disk"
        disk1.writeCache = false
        #expect(
            configuration.devices == [
                .init(name: "disk0", settings: disk0, origin: "m.yaml:5"),
                .init(name: "disk1", settings: disk1, origin: "m.yaml:6"),
            ])
        #expect(
            configuration.targets == [
                .init(name: "iqn.2026-11.org.example:disk0", luns: [0: "disk0", 16383: "disk1"]),
                .init(name: "eui.02004567A425678D", luns: [1: "disk1"]),
            ])
    }

    @Test("JSON is YAML")
    func json() throws {
        let text = #"{"devices":{"d":{"backstore":"ram/1M"}},"targets":{"iqn.2026-11.a.b":{"luns":{"0":"d"}}}}"#
        let configuration = try ConfigurationFile.parse(text, file: "m.json")
        #expect(configuration.targets == [.init(name: "iqn.2026-11.a.b", luns: [0: "d"])])
    }

    private static let target = "targets: {\"iqn.2026-11.org.example:a\": {luns: {0: d}}}\n"
    private static let device = "devices: {d: {backstore: ram/1M}}\n"

    private static let illegal: [(String, String)] = [
        ("", "m.yaml:1: the configuration is empty: it needs targets and devices"),
        ("a\n", "m.yaml:1:  must be a mapping: keys, each with a colon and a value"),
        (device + "target: {}\n", "m.yaml:2: unknown key \"target\": did you mean targets?"),
        (
            device + "\n\nlisteners: []\n",
            "m.yaml:4: unknown key \"listeners\": known here: portals, devices, targets, discovery, discovery-auth, default, alua, port-groups, performance, trusted-handlers, isns, limits"
        ),
        (
            "devices:\n  d:\n    backstore: ram/1M\n    blocksize: 512\n",
            "m.yaml:4: unknown key \"blocksize\" in devices.d: did you mean block-size?"
        ),
        ("devices:\n  d:\n    sise: 1\n", "m.yaml:3: unknown key \"sise\" in devices.d: did you mean size?"),
        (
            "portals:\n  - listen: \"127.0.0.1:1\"\n    advertize: \"127.0.0.1:2\"\n",
            "m.yaml:3: unknown key \"advertize\" in portals[0]: did you mean advertise?"
        ),
        (
            "devices:\n  d: {backstore: ram/1M}\n  d: {backstore: ram/2M}\n",
            "m.yaml:2: the key \"d\" stands twice in one mapping"
        ),
        ("devices:\n  d: {backstore: ram/1M\n", "m.yaml:3: not YAML: did not find expected ',' or '}'"),
        ("devices: [d]\n", "m.yaml:1: devices must be a mapping: keys, each with a colon and a value"),
        ("portals: 127.0.0.1\n", "m.yaml:1: portals must be a list, each entry with a dash before it"),
        ("portals:\n  - {tag: 1}\n", "m.yaml:2: a portal needs listen: \"ADDR:PORT\""),
        (
            "portals:\n  - listen: localhost:1\n",
            "m.yaml:2: \"localhost:1\" is no address: write a numeric one with its port, such as \"127.0.0.1:3260\" or \"[::1]:3260\""
        ),
        (
            "portals:\n  - {listen: \"127.0.0.1:1\", tag: 70000}\n", "m.yaml:2: tag must be a number from 1 to 65535"
        ),
        (
            "portals:\n  - {listen: \"127.0.0.1:1\"}\n  - {listen: \"127.0.0.1:1\"}\n",
            "m.yaml:3: the portal 127.0.0.1:1 stands here twice: leave one of them out"
        ),
        (
            "devices:\n  d: {size: 1G}\n",
            "m.yaml:2: the device d needs backstore: \"SUBTYPE/REST\", such as \"file//srv/disk.img\""
        ),
        (
            "devices:\n  d: {backstore: ram}\n",
            "m.yaml:2: backstore \"ram\" has no slash: write SUBTYPE/REST, such as ram/1G or file//srv/disk.img"
        ),
        (
            "devices:\n  d:\n    backstore: ram/1G\n    size: [1]\n",
            "m.yaml:4: devices.d.size must be a single value"
        ),
        (
            "devices:\n  d:\n    backstore: ram/1G\n    block-size: 1000\n",
            "m.yaml:4: block-size cannot be \"1000\": write 512, 1024, 2048 or 4096"
        ),
        (
            "devices:\n  d:\n    backstore: ram/1G\n    merge-delay: 50us\n",
            "m.yaml:2: the device d gives merge-delay without merge=on: requests are held only to be merged; add merge=on"
        ),
        (
            device + "targets:\n  iqn.2026-11.org.example:a: {}\n",
            "m.yaml:3: the target iqn.2026-11.org.example:a needs luns, such as luns: {0: d}"
        ),
        (
            device + "targets:\n  iqn.2026-11.org.example:a:\n    luns: {}\n",
            "m.yaml:4: the target iqn.2026-11.org.example:a has no LUN: give it at least one"
        ),
        (
            device + "targets:\n  iqn.2026-11.org.example:a:\n    luns:\n      -1: d\n",
            "m.yaml:5: \"-1\" is no LUN: write a number from 0 to 16383"
        ),
        (
            device + "targets:\n  iqn.2026-11.org.example:a:\n    luns: {0: d, 00: d}\n",
            "m.yaml:4: LUN 0 stands here twice"
        ),
        (
            "devices: {disk0: {backstore: ram/1M}}\ntargets:\n  iqn.2026-11.org.example:a:\n    luns: {0: disc0}\n",
            "m.yaml:4: LUN 0 names the device \"disc0\", which is not under devices: did you mean disk0?"
        ),
        (
            device + "targets:\n  iqn.2026-11.org.example:a:\n    luns: {0: other}\n",
            "m.yaml:4: LUN 0 names the device \"other\", which is not under devices: add it there"
        ),
    ]

    @Test("What is wrong is said with its line, and what to do", arguments: illegal)
    func illegalFile(text: String, sentence: String) {
        #expect(throws: Failure.usage(sentence)) { try ConfigurationFile.parse(text, file: "m.yaml") }
    }

    @Test(
        "Names that are no iSCSI names are refused",
        arguments: [
            ("disk0", "is no iSCSI name"), ("iqn.", "has no date"), ("iqn.2026.org.example", "has no date"),
            ("iqn.2026-13.org.example", "has no date"), ("iqn.26-01.org.example", "has no date"),
            ("iqn.2026-11", "has no domain name"), ("iqn.2026-11:a", "has no domain name"),
            ("iqn.2026-11.org..example", "has no domain name"), ("iqn.2026-11.org.example:", "ends with a colon"),
            ("iqn.2026-11.org.Example", "has capital letters"), ("iqn.2026-11.org.example:a_b", "holds \"_\""),
            ("iqn.2026-11.org.example:é", "holds \"é\""), ("eui.0200", "needs 16 hexadecimal digits"),
            ("eui.02004567A425678G", "needs 16 hexadecimal digits"), ("naa.5200", "needs 16 or 32 hexadecimal digits"),
            ("iqn.2026-11.org.example:" + String(repeating: "a", count: 200), "is longer than the 223 bytes"),
        ])
    func illegalName(name: String, words: String) throws {
        var options = ServeOptions()
        options.targetName = name
        options.lunSpecifications = ["ram/1M"]
        let failure = #expect(throws: Failure.self) { try options.configuration() }
        #expect(failure?.kind == .usage)
        #expect(failure?.description.contains(words) == true)
    }

    @Test(
        "Names of the three forms are taken",
        arguments: [
            "iqn.2026-11.org.example", "iqn.2001-04.com.example:storage.disk2.sys1.xyz", "eui.02004567A425678D",
            "naa.52004567ba64678d", "naa.62004567ba64678d0123456789abcdef",
        ])
    func legalName(name: String) throws {
        var options = ServeOptions()
        options.targetName = name
        options.lunSpecifications = ["ram/1M"]
        #expect(try options.configuration().targets.map(\.name) == [name])
    }
}
