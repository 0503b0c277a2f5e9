// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing
import Transport

@Suite("The section isns")
struct ISNSSettingsTests {
    private static func parse(_ section: String) throws -> ISNSSettings? {
        try ConfigurationFile.parse("isns: \(section)", file: "m.yaml").isns
    }

    @Test(
        "The server's port is that of iSNS unless another is named",
        arguments: [
            ("127.0.0.1", "127.0.0.1", 3205), ("127.0.0.1:4000", "127.0.0.1", 4000), ("[::1]", "::1", 3205),
            ("[::1]:3260", "::1", 3260), ("192.0.2.1:3260", "192.0.2.1", 3260),
        ] as [(String, String, UInt16)])
    func server(text: String, host: String, port: UInt16) throws {
        #expect(try Self.parse("{server: \"\(text)\"}") == ISNSSettings(server: PortalAddress(host: host, port: port)))
    }

    @Test("Every key is understood")
    func everyKey() throws {
        var settings = ISNSSettings(server: PortalAddress(host: "192.0.2.1", port: 3205))
        settings.entity = "store.example.org"
        settings.wantsChanges = false
        settings.periodSeconds = 60
        settings.inquirySeconds = 30
        let section = "{server: 192.0.2.1, entity: store.example.org, scn: no, period: 60, esi: 30s}"
        #expect(try Self.parse(section) == settings)
        settings.inquirySeconds = nil
        settings.wantsChanges = true
        #expect(
            try Self.parse("{server: 192.0.2.1, entity: store.example.org, scn: true, period: 60s, esi: off}")
                == settings)
        #expect(try ConfigurationFile.parse("portals: []", file: "m.yaml").isns == nil)
    }

    @Test(
        "What is wrong is named with its line",
        arguments: [
            ("{}", "m.yaml:1: isns needs server"),
            ("{entity: a}", "m.yaml:1: isns needs server"),
            ("{server: isns.example.org}", "server cannot be \"isns.example.org\": write a numeric address"),
            ("{server: 0.0.0.0}", "server cannot be \"0.0.0.0\""),
            ("{server: \"127.0.0.1:0\"}", "server cannot be"),
            ("{server: 127.0.0.1, entity: \"a b\"}", "entity cannot be \"a b\""),
            ("{server: 127.0.0.1, scn: maybe}", "scn cannot be \"maybe\": write yes or no"),
            ("{server: 127.0.0.1, period: 2}", "isns.period cannot be \"2\": write seconds from 3 to 86400"),
            ("{server: 127.0.0.1, period: 5m}", "isns.period cannot be \"5m\""),
            ("{server: 127.0.0.1, esi: 0}", "isns.esi cannot be \"0\": write seconds from 1 to 86400"),
            ("{server: 127.0.0.1, entitty: a}", "unknown key \"entitty\" in isns: did you mean entity?"),
            ("127.0.0.1", "isns must be a mapping"),
        ])
    func mistakes(section: String, words: String) {
        let failure = #expect(throws: Failure.self) { try Self.parse(section) }
        #expect(failure?.description.contains(words) == true, "\(failure?.description ?? "")")
    }
}
