// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Registration with a real iSNS server.
    @Suite("iSNS: Debian's open-isns-server", .needs(.isnsd, .isnsadm))
    struct ISNSServerTests {
        private static func configuration(_ daemon: ISNSDaemon, portal: String = "", isns: String = "") -> String {
            """
            portals:
              - {listen: "127.0.0.1:0"\(portal), tag: 7}
            devices:
              disk0: {backstore: ram/1M}
            targets:
              iqn.2026-11.org.martlet:registered:
                luns: {0: disk0}
            isns: {server: "127.0.0.1:\(daemon.port)"\(isns)}
            """
        }

        private static let target = "iqn.2026-11.org.martlet:registered"

        @Test("What is served is registered, and gone after an orderly stop")
        func registration() throws {
            let daemon = try ISNSDaemon()
            let server = try MartletServer(configuration: Self.configuration(daemon, isns: ", entity: the-store"))
            let nodes = try daemon.wait(for: "nodes") { $0.contains(Self.target) }
            #expect(nodes.contains("iSCSI node type = Target"))
            #expect(try daemon.administer("--list", "entities").contains("\"the-store\""))
            #expect(try daemon.administer("--list", "portals").contains("= \(server.url.port)/tcp"))
            let groups = try daemon.administer("--list", "portal-groups")
            #expect(groups.contains("Portal group tag = 7"))
            try server.stop()
            #expect(!(try daemon.administer("--list", "nodes").contains(Self.target)))
            #expect(!(try daemon.administer("--list", "entities").contains("the-store")))
            #expect(server.standardError.contains("deregistered from the iSNS server"))
        }

        @Test("A target that is added while the server runs is registered, on the portals that show it alone")
        func liveChange() throws {
            let daemon = try ISNSDaemon()
            let folder = try TemporaryFolder()
            let before = Self.configuration(daemon) + "\n"
            let portals = "portals:\n  - {listen: \"127.0.0.2:0\", tag: 8}\n"
            let first = before.replacingOccurrences(of: "portals:\n", with: portals)
            let path = try folder.write(first.utf8, to: "martlet.yaml")
            let server = try MartletServer(configurationPath: path, unitCount: 1)
            try daemon.wait(for: "nodes") { $0.contains(Self.target) }
            let added = "targets:\n  \(Self.target).added: {luns: {0: disk0}, portals: [8]}\n"
            try folder.write(first.replacingOccurrences(of: "targets:\n", with: added).utf8, to: "martlet.yaml")
            server.send(SIGHUP)
            try daemon.wait(for: "nodes") { $0.contains(Self.target + ".added") }
            // The first target has both portals, the other one.
            let groups = try daemon.administer("--list", "portal-groups").components(separatedBy: "Object ")
            let tags = groups.filter { $0.contains(Self.target + ".added") && $0.contains("Portal group tag = ") }
            #expect(tags.count == 1 && tags[0].contains("Portal group tag = 8"), "\(groups)")
            try server.stop()
            #expect(!(try daemon.administer("--list", "nodes").contains(Self.target)))
        }

        @Test("The address that a portal advertises is registered, not the one that it has")
        func advertised() throws {
            let daemon = try ISNSDaemon()
            let server = try MartletServer(
                configuration: Self.configuration(daemon, portal: ", advertise: \"192.0.2.1:3260\""))
            try daemon.wait(for: "nodes") { $0.contains(Self.target) }
            let portals = try daemon.administer("--list", "portals")
            #expect(portals.contains("= 192.0.2.1") && portals.contains("= 3260/tcp"))
            // Besides it only isnsadm's.
            #expect(portals.components(separatedBy: "Portal TCP/UDP port").count == 3)
            try server.stop()
        }

        @Test("A server that starts again, and has forgotten all, is told again; meanwhile sessions work")
        func restart() throws {
            let daemon = try ISNSDaemon()
            let server = try MartletServer(configuration: Self.configuration(daemon))
            try daemon.wait(for: "nodes") { $0.contains(Self.target) }
            try daemon.stop()
            try expectServes(server.url)
            try daemon.start()
            try daemon.administer("--register", "initiator", "portal=127.0.0.1:1")
            try daemon.wait(for: "nodes") { $0.contains(Self.target) }
            try server.stop()
        }

        @Test("A registration outlives its period, since it is refreshed; one whose server was killed does not")
        func period() throws {
            let daemon = try ISNSDaemon(periodSeconds: 4)
            let server = try MartletServer(configuration: Self.configuration(daemon, isns: ", period: 4, esi: 1"))
            try daemon.wait(for: "nodes") { $0.contains(Self.target) }
            let end = Date(timeIntervalSinceNow: 10)
            while end.timeIntervalSinceNow > 0 {
                try daemon.administer("--register", "initiator", "portal=127.0.0.1:1")
                #expect(try daemon.administer("--list", "nodes").contains(Self.target))
                _ = poll(nil, 0, 500)
            }
            try server.kill()
            try daemon.wait(for: "nodes", limitSeconds: 30) { !$0.contains(Self.target) }
        }
    }
}
