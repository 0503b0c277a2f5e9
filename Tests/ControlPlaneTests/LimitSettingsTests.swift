// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing

@Suite("The section limits")
struct LimitSettingsTests {
    @Test("Every key is understood")
    func everyKey() throws {
        let text = """
            limits:
              connections: 100
              connections-per-address: 50
              half-open: 20
              half-open-per-address: 10
              sessions-per-target: 5
              login-timeout: 7s
            """
        let limits = try ConfigurationFile.parse(text, file: "m.yaml").limits
        #expect([limits.connections, limits.connectionsPerAddress, limits.halfOpen] == [100, 50, 20])
        #expect([limits.halfOpenPerAddress, limits.sessionsPerTarget, limits.loginSeconds] == [10, 5, 7])
        #expect(try ConfigurationFile.parse("portals: []", file: "m.yaml").limits == LimitSettings())
    }

    @Test(
        "What is wrong is named with its line",
        arguments: [
            ("connections: 0", "connections cannot be \"0\": write a number from 1 to 1048576"),
            ("half-open: -1", "half-open cannot be \"-1\""),
            ("sessions-per-target: 65536", "write a number from 1 to 65535"),
            ("login-timeout: 0", "login-timeout cannot be \"0\": write seconds from 1 to 3600"),
            ("login-timeout: 1m", "login-timeout cannot be \"1m\""),
            ("half-opened: 1", "unknown key \"half-opened\" in limits: did you mean half-open?"),
        ])
    func mistakes(line: String, words: String) {
        let failure = #expect(throws: Failure.self) {
            try ConfigurationFile.parse("limits:\n  \(line)", file: "m.yaml")
        }
        #expect(failure?.description.hasPrefix("m.yaml:2: ") == true)
        #expect(failure?.description.contains(words) == true, "\(failure?.description ?? "")")
    }
}
