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
              connections-per-session: 4
              error-recovery-level: 0
              login-timeout: 7s
              keepalive-interval: 9
              keepalive-timeout: 8s
              logout-wait: 0
            """
        let limits = try ConfigurationFile.parse(text, file: "m.yaml").limits
        #expect([limits.connections, limits.connectionsPerAddress, limits.halfOpen] == [100, 50, 20])
        #expect([limits.halfOpenPerAddress, limits.sessionsPerTarget, limits.loginSeconds] == [10, 5, 7])
        #expect([limits.connectionsPerSession, limits.errorRecoveryLevel] == [4, 0])
        #expect([limits.keepaliveSeconds, limits.keepaliveAnswerSeconds, limits.logoutSeconds] == [9, 8, 0])
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
            ("connections-per-session: 0", "connections-per-session cannot be \"0\": write a number from 1 to 8"),
            ("connections-per-session: 9", "connections-per-session cannot be \"9\": write a number from 1 to 8"),
            ("error-recovery-level: 3", "error-recovery-level cannot be \"3\": write a number from 0 to 2"),
            ("error-recovery-level: 1s", "error-recovery-level cannot be \"1s\""),
            ("keepalive-interval: 3601", "keepalive-interval cannot be \"3601\": write seconds from 0 to 3600"),
            ("keepalive-interval: off", "keepalive-interval cannot be \"off\": write seconds from 0 to 3600"),
            ("keepalive-interval: 100ms", "keepalive-interval cannot be \"100ms\""),
            ("keepalive-timeout: 0", "keepalive-timeout cannot be \"0\": write seconds from 1 to 3600"),
            ("logout-wait: 61s", "logout-wait cannot be \"61s\": write seconds from 0 to 60"),
            (
                "error-recovery-levels: 1",
                "unknown key \"error-recovery-levels\" in limits: did you mean error-recovery-level?"
            ),
            ("keepalive: 5", "unknown key \"keepalive\" in limits"),
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
