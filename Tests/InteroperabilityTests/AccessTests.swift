// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestInitiator
import Testing

extension Interoperability {
    /// Who may log in to what, from where, and what they see there.
    @Suite("Access")
    struct AccessTests {
        static let target = "iqn.2026-11.org.martlet:store"
        static let alice = "iqn.2026-11.org.martlet:alice"
        static let bob = "iqn.2026-11.org.martlet:bob"
        static let stranger = "iqn.2026-11.org.martlet:stranger"
        static let authorizationFailure: UInt16 = 0x0202
        static let notFound: UInt16 = 0x0203
        static let dataProtect = Outcome.Sense(key: 7, additional: 0x2700)
        static let notSupported = Outcome.Sense(key: 5, additional: 0x2500)

        private static let devices = """
            devices: {d0: {backstore: ram/4M}, d1: {backstore: ram/8M}, d2: {backstore: ram/2M}}

            """

        /// Alice sees two disks, Bob one of them read-only and another under a number that Alice has, too.
        private static let views =
            devices + """
                portals: [{listen: "127.0.0.1:0"}]
                targets:
                  \(target):
                    luns: {0: d0}
                    initiators:
                      - {name: "\(alice)", luns: {0: d0, 1: d1}}
                      - {name: "*:b?b", luns: {0: {device: d0, readonly: yes}, 1: d2}}
                """

        /// Status of a login (RFC 7143 11.13.5), and the keys that came with it.
        static func login(
            _ url: LogicalUnitURL, as name: String, from local: String? = nil
        ) throws -> (status: UInt16, keys: [String: String]) {
            let connection = try WireConnection(url, from: local)
            var options = WireSession.Options()
            options.initiator = name
            try connection.send(WireSession.loginRequest(WireSession.loginKeys(target: url.target, options)))
            let response = try connection.receivePDU()
            guard response.opcode == WirePDU.Opcode.loginResponse else { throw HarnessError("\(response.header)") }
            return (UInt16(response.header[36]) << 8 | UInt16(response.header[37]), response.data.textPairs)
        }

        @Test("Two initiators see the logical units that their rules give them, and a third sees none")
        func views() throws {
            let server = try AccessServer(Self.views, unitCount: 2)
            let alice = try Initiator(server.url(Self.target, 0), .named(Self.alice))
            let aliceSecond = try Initiator(server.url(Self.target, 1), .named(Self.alice))
            let bob = try Initiator(server.url(Self.target, 0), .named(Self.bob.uppercased()))
            let bobSecond = try Initiator(server.url(Self.target, 1), .named(Self.bob))
            #expect(try aliceSecond.capacity().lastBlock == 8 << 11 - 1)
            #expect(try bobSecond.capacity().lastBlock == 2 << 11 - 1)
            let content = Block.contents(lba: 5, blockCount: 4, generation: 1)
            try alice.write(lba: 5, content)
            expectEqual(try bob.read(lba: 5, blockCount: 4), content)
            let refused = try bob.perform(.write16(lba: 5, content))
            #expect(refused.sense == Self.dataProtect)
            try bobSecond.write(lba: 5, content)
            #expect(try alice.peripheralByte(ofUnit: 2) == 0x7F)
            #expect(try Self.login(server.url, as: Self.stranger).status == Self.authorizationFailure)
            #expect(throws: HarnessError.self) { try Initiator(server.url, .named(Self.stranger)) }
            try server.martlet.stop()
            let log = server.martlet.standardError
            #expect(
                log.contains("\(Self.stranger) from 127.0.0.1")
                    && log.contains("may not log in to \(Self.target): denied: no rule matches"), "\(log)")
        }

        @Test("Discovery shows a target to those who may log in, and to nobody else", .needs(.iscsiLs))
        func discovery() throws {
            let server = try AccessServer(Self.views, unitCount: 2)
            let portal = server.url.portal
            #expect(try Initiator.discover(portal: portal, name: Self.alice) == [Self.target: ["\(portal),1"]])
            #expect(try Initiator.discover(portal: portal, name: Self.stranger) == [:])
            let listed = try Program.iscsiLs.run(["-s", "-i", Self.bob, server.url.portalURL])
            #expect(listed.succeeded && listed.output.contains(Self.target), "\(listed.summary)")
            #expect(listed.output.contains("Lun:1"), "\(listed.summary)")
            try server.martlet.stop()
        }

        @Test("Rules for addresses and for discovery hold, and default: deny lets in whom a rule allows")
        func addresses() throws {
            let server = try AccessServer(
                Self.devices + """
                    portals: [{listen: "0.0.0.0:0"}]
                    default: deny
                    discovery: {initiators: [{addresses: ["127.0.0.2"], deny: yes}], default: allow}
                    targets:
                      \(Self.target):
                        luns: {0: d0}
                        initiators:
                          - {addresses: ["127.0.0.3"], name: "\(Self.alice)", deny: yes}
                          - {addresses: ["127.0.0.2/31", "::1"]}
                      \(Self.target)-open: {luns: {0: d1}, default: allow}
                    """, unitCount: 2)
            let url = server.url(Self.target, 0)
            #expect(try Self.login(url, as: Self.bob, from: "127.0.0.2").status == 0)
            #expect(try Self.login(url, as: Self.bob, from: "127.0.0.3").status == 0)
            #expect(try Self.login(url, as: Self.alice, from: "127.0.0.3").status == Self.authorizationFailure)
            #expect(try Self.login(url, as: Self.bob, from: "127.0.0.1").status == Self.authorizationFailure)
            let open = server.url("\(Self.target)-open", 0)
            #expect(try Self.login(open, as: Self.bob, from: "127.0.0.4").status == 0)
            let missing = server.url("\(Self.target)-nowhere", 0)
            #expect(try Self.login(missing, as: Self.bob).status == Self.notFound)
            // A wildcard portal is told as the address that the peer reached.
            #expect(
                try Initiator.discover(portal: "127.0.0.9:\(server.url.port)", name: Self.bob)
                    == ["\(Self.target)-open": ["127.0.0.9:\(server.url.port),1"]])
            let connection = try WireConnection(server.url, from: "127.0.0.2")
            try connection.send(
                WireSession.loginRequest([("InitiatorName", Self.bob), ("SessionType", "Discovery")]))
            let response = try connection.receivePDU()
            #expect(response.header[36...37] == [0x02, 0x02])
            try server.martlet.stop()
        }

        @Test("Portals of IPv4 and IPv6 have their own tags, addresses and targets")
        func portals() throws {
            let server = try AccessServer(
                Self.devices + """
                    portals:
                      - {listen: "127.0.0.1:0"}
                      - {listen: "127.0.0.2:0", advertise: "192.0.2.9:3260"}
                      - {listen: "[::1]:0", tag: 7}
                    targets:
                      \(Self.target):
                        luns: {0: d0}
                      \(Self.target)-six:
                        luns: {0: d1}
                        portals: [7]
                        initiators: [{name: "\(Self.alice)"}, {name: "\(Self.bob)", portals: [1]}]
                    """, unitCount: 2)
            let status =
                try JSONSerialization.jsonObject(
                    with: Data(try server.demand(["status", "--json"]).utf8)) as? [String: Any]
            let bound = try #require(status?["portals"] as? [String])
            #expect(bound.count == 3 && bound[2].hasPrefix("[::1]:"), "\(bound)")
            let targets = try Initiator.discover(portal: bound[0], name: Self.alice)
            #expect(targets[Self.target].map(Set.init) == ["\(bound[0]),1", "192.0.2.9:3260,1", "\(bound[2]),7"])
            #expect(targets["\(Self.target)-six"] == ["\(bound[2]),7"])
            #expect(try Initiator.discover(portal: bound[2], name: Self.bob).keys.sorted() == [Self.target])
            // The same target through both protocols is one disk.
            let four = try Initiator(server.url(Self.target, 0, portal: bound[0]))
            let six = try Initiator(server.url(Self.target, 0, portal: bound[2]))
            let content = Block.contents(lba: 0, blockCount: 4, generation: 9)
            try four.write(lba: 0, content)
            expectEqual(try six.read(lba: 0, blockCount: 4), content)
            let only = server.url("\(Self.target)-six", 0, portal: bound[0])
            #expect(try Self.login(only, as: Self.alice).status == Self.notFound)
            #expect(try Self.login(server.url, as: Self.alice).keys["TargetPortalGroupTag"] == "1")
            try Initiator(server.url("\(Self.target)-six", 0, portal: bound[2]), .named(Self.alice)).logout()
            try server.martlet.stop()
        }

        @Test("An initiator follows a redirection, and only one who may log in is redirected")
        func redirection() throws {
            let there = try MartletServer(
                ["ram/4M"], options: ["--target", Self.target])
            let configuration =
                Self.devices + """
                    portals: [{listen: "127.0.0.1:0"}, {listen: "127.0.0.2:0", redirect: {to: "\(there.url.portal)", permanent: yes}}]
                    targets:
                      \(Self.target):
                        luns: {0: d1}
                        redirect: {to: "\(there.url.portal),1"}
                        initiators: [{name: "\(Self.alice)"}]
                      \(Self.target)-here:
                        luns: {0: d0}
                    """
            let server = try AccessServer(configuration, unitCount: 2)
            let moved = try Self.login(server.url, as: Self.alice)
            #expect(moved.status == 0x0101)
            #expect(moved.keys["TargetAddress"] == "\(there.url.portal),1")
            #expect(try Self.login(server.url, as: Self.bob).status == Self.authorizationFailure)
            #expect(try Initiator.discover(portal: server.url.portal, name: Self.alice)[Self.target] != nil)
            // libiscsi goes where it is sent, if only for now: the disk there has another size.
            let follower = try Initiator(server.url, .named(Self.alice))
            #expect(try follower.capacity().lastBlock == 4 << 11 - 1)
            let status =
                try JSONSerialization.jsonObject(
                    with: Data(try server.demand(["status", "--json"]).utf8)) as? [String: Any]
            let bound = try #require(status?["portals"] as? [String])
            let here = server.url("\(Self.target)-here", 0, portal: bound[1])
            let passing = try Self.login(here, as: Self.bob)
            #expect(passing.status == 0x0102)
            #expect(passing.keys["TargetAddress"] == there.url.portal)
            #expect(try Self.login(server.url("\(Self.target)-here", 0), as: Self.bob).status == 0)
            try server.martlet.stop()
            try there.stop()
        }

        @Test("explain tells what an initiator sees and why, of a server and of a file alike")
        func explain() throws {
            let server = try AccessServer(Self.views, unitCount: 2)
            let bob = try server.demand(["explain", Self.bob, "--from", "10.0.0.1"])
            let file = URL(fileURLWithPath: server.configurationPath).path
            for words in [
                "login: allowed by \(file):8 (*:b?b)", "passed over \(file):7: the name does not match \(Self.alice)",
                "discovery: shown", "authentication: none", "LUN 0: d0, read-only (\(file):8: read-only there)",
                "LUN 1: d2, read and write (\(file):8)",
            ] { #expect(bob.contains(words), "\(words) is not in \(bob)") }
            let stranger = try server.demand(["explain", Self.stranger, "--json"])
            #expect(stranger.contains("\"mayLogIn\" : false") && stranger.contains("denied: no rule matches"))
            let offline = try Program.run(
                MartletServer.path, ["explain", Self.bob, "--from", "10.0.0.1", "--config", file])
            #expect(offline.output.replacing("127.0.0.1:0,", with: "\(server.url.portal),") == bob)
            let wrong = try server.run(["explain", Self.bob, "--from", "here"])
            #expect(wrong.ending == .exit(2) && wrong.error.contains("\"here\" is no address"))
            try server.martlet.stop()
        }

        @Test("What discovery shows, asked at one portal of a target at another, explain shows, too")
        func explainDiscovery() throws {
            let server = try AccessServer(
                Self.devices + """
                    portals: [{listen: "127.0.0.1:0"}, {listen: "127.0.0.2:0", tag: 2}]
                    discovery: {initiators: [{portals: [1]}]}
                    targets:
                      \(Self.target): {luns: {0: d0}, portals: [2]}
                    """, unitCount: 1)
            let status =
                try JSONSerialization.jsonObject(
                    with: Data(try server.demand(["status", "--json"]).utf8)) as? [String: Any]
            let bound = try #require(status?["portals"] as? [String])
            #expect(try Initiator.discover(portal: bound[0], name: Self.bob) == [Self.target: ["\(bound[1]),2"]])
            #expect(throws: HarnessError.self) { try Initiator.discover(portal: bound[1], name: Self.bob) }
            let words = try server.demand(["explain", Self.bob, "--from", "127.0.0.1"])
            let second = try #require(words.range(of: "\(Self.target) at \(bound[1]),2"))
            #expect(words[second.lowerBound...].contains("  discovery: shown"), "\(words)")
            try server.martlet.stop()
        }
    }
}
