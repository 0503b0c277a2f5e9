// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Logins that are sent elsewhere (RFC 7143 11.13.5, Status-Class 1): where they end up.
    @Suite("Sessions: redirection")
    struct RedirectionTests {
        static let target = "iqn.2026-11.org.martlet:moving"

        /// One disk, whose size tells the server; `redirect` of the target or of the portal.
        private static func configuration(
            blockCount: Int, tag: Int = 1, target: String = "", portal: String = ""
        ) -> String {
            """
            portals: [{listen: "127.0.0.1:0", tag: \(tag)\(portal.isEmpty ? "" : ", redirect: {\(portal)}")}]
            devices: {d: {backstore: ram/\(blockCount / 2)K}}
            targets:
              \(Self.target):
                luns: {0: d}
            \(target.isEmpty ? "" : "    redirect: {\(target)}")

            """
        }

        @Test(
            "A login is sent on by the target or by the portal, for now or for good, and ends up there",
            arguments: [true, false], [true, false])
        func followed(isOfPortal: Bool, isPermanent: Bool) throws {
            let there = try MartletServer(configuration: Self.configuration(blockCount: 4096, tag: 7))
            let redirect = "to: [\"\(there.url.portal),7\", \"192.0.2.1:3260,8\"], permanent: \(isPermanent)"
            let here = try MartletServer(
                configuration: Self.configuration(
                    blockCount: 2048, target: isOfPortal ? "" : redirect, portal: isOfPortal ? redirect : ""))
            let refusal = #expect(throws: LoginRefusal.self) { _ = try here.url.session() }
            #expect(refusal?.status == (isPermanent ? 0x0102 : 0x0101))
            #expect(refusal?.addresses == ["\(there.url.portal),7", "192.0.2.1:3260,8"])
            let session = try here.url.session {
                $0.redirectionLimit = 1
                $0.maxConnections = 2
            }
            #expect(session.loginKeys.first { $0.key == "TargetPortalGroupTag" }?.value == "7")
            #expect(try session.lastBlock() == 4095)
            // The session is there, and so are its other connections.
            try session.addConnection(cid: 1)
            #expect(try session.lastBlock(on: 1) == 4095)
            try session.expectData(lba: 0, blockCount: 8)
            #expect(try session.logout().response == 0)
            try here.stop()
            try there.stop()
        }

        @Test("A redirection is the same in a login that begins with the security stage, and comes before it")
        func beforeAuthentication() throws {
            let there = try MartletServer(configuration: Self.configuration(blockCount: 4096))
            let here = try MartletServer(
                configuration: Self.configuration(blockCount: 2048, target: "to: \"\(there.url.portal)\""))
            let session = try here.url.session {
                $0.beginsWithSecurity = true
                $0.redirectionLimit = 1
            }
            #expect(try session.lastBlock() == 4095)
            // Discovery asks for no target: nobody is sent away.
            let discovery = try InitiatorSession.login(here.url.address, SessionOptions(targetName: nil))
            #expect(try discovery.sendTargets().map(\.name) == [Self.target])
            try here.stop()
            try there.stop()
        }

        @Test("Two servers that redirect to each other do so until the initiator has had enough, and no longer")
        func loop() throws {
            let one = try AccessServer(Self.configuration(blockCount: 2048), unitCount: 1)
            let back = "to: \"\(one.url.portal)\""
            let other = try MartletServer(configuration: Self.configuration(blockCount: 4096, target: back))
            let session = try one.url.session()
            let away = "to: \"\(other.url.portal)\", permanent: yes"
            let applied = try one.apply(Self.configuration(blockCount: 2048, target: away))
            try #require(applied.succeeded, "\(applied.summary)")
            for limit in [0, 1, 2, 5, 32] {
                let refusal = #expect(throws: LoginRefusal.self) {
                    _ = try one.url.session {
                        $0.isid = 0x8000_0000_0B0B
                        $0.redirectionLimit = limit
                    }
                }
                #expect(refusal?.status == (limit % 2 == 0 ? 0x0102 : 0x0101))
                #expect(refusal?.addresses == [limit % 2 == 0 ? other.url.portal : one.url.portal])
            }
            // Who is logged in stays, until he logs in again.
            try session.expectData(lba: 0, blockCount: 8)
            // The circle is opened: the login ends up where nobody sends it on.
            try #require(try one.apply(Self.configuration(blockCount: 2048)).succeeded)
            let settled = try InitiatorSession.login(
                other.url.address,
                other.url.options {
                    $0.isid = 0x8000_0000_0B0B
                    $0.redirectionLimit = 1
                })
            try settled.becomeReady()
            #expect(try settled.lastBlock() == 2047)
            try other.stop()
            try one.martlet.stop()
        }
    }
}
