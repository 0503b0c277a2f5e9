// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Testing
import Transport

@Suite("The command line of serve")
struct ServeOptionsTests {
    private func options(_ change: (inout ServeOptions) -> Void) -> ServeOptions {
        var options = ServeOptions()
        options.lunSpecifications = ["ram/1G"]
        change(&options)
        return options
    }

    @Test("LUNs alone are served to loopback under the default name")
    func defaults() throws {
        let configuration = try options { $0.lunSpecifications.append("file//a") }.configuration()
        #expect(configuration.portals == [.init(listen: PortalAddress(host: "127.0.0.1", port: 3260))])
        #expect(
            configuration.targets == [
                .init(name: "iqn.2026-11.org.martlet:default", luns: [0: "ram/1G", 1: "file//a"])
            ])
        #expect(configuration.devices.map(\.origin) == ["LUN 0", "LUN 1"])
    }

    @Test("Two LUNs of the same words are two devices")
    func sameWords() throws {
        let configuration = try options { $0.lunSpecifications = ["ram/1G", "ram/1G", "ram/1G"] }.configuration()
        #expect(configuration.targets.first?.luns == [0: "ram/1G", 1: "ram/1G#2", 2: "ram/1G#3"])
    }

    private func file(_ text: String) throws -> String {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).yaml").path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test("LUNs of the command line stand beside the targets of the file, and its portals come first")
    func fileAndCommandLine() throws {
        let path = try file(
            """
            portals: [{listen: "127.0.0.1:1"}]
            devices: {d: {backstore: ram/1M}}
            targets: {"iqn.2026-11.org.example:a": {luns: {5: d}}}
            """)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let configuration = try options {
            $0.configurationPath = path
            $0.portals = ["[::1]:0"]
        }.configuration()
        #expect(configuration.portals == [.init(listen: PortalAddress(host: "::1", port: 0))])
        #expect(configuration.targets.map(\.name) == ["iqn.2026-11.org.example:a", "iqn.2026-11.org.martlet:default"])
        let clash = options {
            $0.configurationPath = path
            $0.targetName = "iqn.2026-11.org.example:a"
        }
        #expect(
            throws: Failure.usage(
                "the target iqn.2026-11.org.example:a is in the configuration file: give --target another name")
        ) { try clash.configuration() }
    }

    /// Who names the second portal, which the command line takes away, and on which line.
    private static let strayTags: [(String, Int, String)] = [
        ("targets: {\"iqn.2026-11.org.example:a\": {luns: {0: d}, portals: [2]}}", 5, "2"),
        (
            """
            targets:
              iqn.2026-11.org.example:a:
                luns: {0: d}
                initiators:
                  - {portals: [2], deny: yes}
                  - {name: "*"}
            """, 9, "2"
        ),
        (
            """
            discovery: {initiators: [{portals: [1, 2]}]}
            targets: {"iqn.2026-11.org.example:a": {luns: {0: d}}}
            """, 5, "2"
        ),
    ]

    @Test("Tags are those of the portals that there are in the end, not of those of the file", arguments: strayTags)
    func tagsWithPortalOption(text: String, line: Int, tag: String) throws {
        let path = try file(
            """
            portals:
              - {listen: "127.0.0.1:1"}
              - {listen: "127.0.0.1:2", tag: 2}
            devices: {d: {backstore: ram/1M}}
            \(text)
            """)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let alone = options {
            $0.lunSpecifications = []
            $0.configurationPath = path
        }
        #expect(try alone.configuration().portals.map(\.settings.portalGroupTag) == [1, 2])
        let replaced = options {
            $0.lunSpecifications = []
            $0.configurationPath = path
            $0.portals = ["127.0.0.1:0"]
        }
        let sentence =
            "\(path):\(line): \"\(tag)\" is the tag of no portal: those of --portal, which take the place of the "
            + "file's, have 1: leave --portal out, or take the tag out"
        #expect(throws: Failure.usage(sentence)) { try replaced.configuration() }
    }

    @Test("A redirection to a portal of the command line is one to this server, for ever")
    func redirectionToPortalOption() throws {
        let path = try file(
            """
            devices: {d: {backstore: ram/1M}}
            targets: {"iqn.2026-11.org.example:a": {luns: {0: d}, redirect: {to: "127.0.0.1:3333"}}}
            """)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let options = options {
            $0.configurationPath = path
            $0.portals = ["127.0.0.1:3333"]
        }
        let failure = #expect(throws: Failure.self) { try options.configuration() }
        #expect(failure?.description.hasPrefix("\(path):2: 127.0.0.1:3333 is a portal of this server") == true)
    }

    @Test("What the file says of targets that do not say holds for the target of the command line")
    func defaultVerdict() throws {
        for (line, isAllowed) in [("default: deny", false), ("default: allow", true), ("alua: off", true)] {
            let path = try file(line)
            defer { try? FileManager.default.removeItem(atPath: path) }
            let configuration = try options {
                $0.configurationPath = path
                $0.lunSpecifications = ["ram/2M"]
            }.configuration()
            let visitor = Visitor(
                initiatorName: "iqn.2026-11.org.example:i", address: nil, portal: PortalIndex(0), portalGroupTag: 1)
            let decision = configuration.policy(nil).decision(for: visitor, target: "iqn.2026-11.org.martlet:default")
            #expect(decision.isAllowed == isAllowed, "\(line)")
            let isWarned = configuration.warnings.contains {
                $0.hasPrefix("nobody may log in to iqn.2026-11.org.martlet:default")
            }
            #expect(isWarned == !isAllowed, "\(configuration.warnings)")
        }
    }

    @Test("What the words alone show wrong is refused before anything is opened")
    func illegal() {
        let cases: [(ServeOptions, String)] = [
            (
                options { $0.lunSpecifications = [] },
                "nothing to serve: give a LUN such as ram/1G, or --config FILE (see martlet serve --help)"
            ),
            (
                options {
                    $0.lunSpecifications = []
                    $0.targetName = "iqn.2026-11.org.example:a"
                }, "--target names the target of LUNs on the command line: give at least one, such as ram/1G"
            ),
            (options { $0.loopCount = 0 }, "--loops 0 is not possible: write a number from 1 to 1024"),
            (options { $0.loopCount = 1025 }, "--loops 1025 is not possible: write a number from 1 to 1024"),
            (
                options { $0.poller = "kqueue" },
                "--poller kqueue is not possible: write auto, epoll or io_uring"
            ),
            (
                options { $0.coalescing = "Nagle" },
                "--coalesce Nagle is not possible: write off, turn, adaptive or classic"
            ),
            (options { $0.polling = "always" }, "--polling always is not possible: write off, adaptive or busy"),
            (
                options { $0.portals = ["example.org:1"] },
                "--portal \"example.org:1\" is no address: write a numeric one with its port, such as 127.0.0.1:3260 or [::1]:3260"
            ),
            (
                options {
                    $0.portals = ["example.org:1"]
                    $0.configurationPath = "/nowhere/m.yaml"
                },
                "--portal \"example.org:1\" is no address: write a numeric one with its port, such as 127.0.0.1:3260 or [::1]:3260"
            ),
            (
                options { $0.configurationPath = "/nowhere/m.yaml" },
                "/nowhere/m.yaml: the configuration cannot be read: check the path and its permissions"
            ),
        ]
        for (options, sentence) in cases {
            #expect(throws: Failure.usage(sentence)) { try options.configuration() }
        }
    }

    @Test("A URL names an address that can be reached, IPv6 in brackets")
    func urls() {
        func url(_ host: String, advertised: PortalAddress? = nil) -> String {
            LUNAddress.url(
                portal: PortalAddress(host: host, port: 3260), advertised: advertised, targetName: "iqn.2026-11.a.b",
                lun: 3)
        }
        #expect(url("127.0.0.1") == "iscsi://127.0.0.1:3260/iqn.2026-11.a.b/3")
        #expect(url("::1") == "iscsi://[::1]:3260/iqn.2026-11.a.b/3")
        #expect(url("0.0.0.0") == "iscsi://127.0.0.1:3260/iqn.2026-11.a.b/3")
        #expect(url("::") == "iscsi://[::1]:3260/iqn.2026-11.a.b/3")
        let told = PortalAddress(host: "192.0.2.1", port: 3261)
        #expect(url("10.0.0.1", advertised: told) == "iscsi://192.0.2.1:3261/iqn.2026-11.a.b/3")
    }
}
