// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing
import Transport

@Suite("Limit on failed authentications")
struct AuthenticationGuardTests {
    /// Knows nobody.
    private struct Refusing: Authenticator {
        var method: String { "CHAP" }
        mutating func receive(_ text: TextParameters) -> AuthenticationStep { .fail(.unexpected(method)) }
    }

    private func attempt(_ gate: AuthenticationGuard, from host: String) -> AuthenticationStep {
        var authenticator = gate.limit(Refusing(), peer: PortalAddress(host: host, port: 1))
        return authenticator.receive(TextParameters())
    }

    @Test(
        "Failures of all addresses of an IPv6 network count together, those of IPv4 each for itself",
        arguments: [
            ("2001:db8::1", "2001:db8::ffff:2", true), ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "192.0.2.2", false),
        ])
    func addresses(first: String, second: String, isSame: Bool) {
        let gate = AuthenticationGuard()
        // More than may fail at a time, even if one of them is forgiven meanwhile.
        for _ in 0..<20 { _ = attempt(gate, from: first) }
        #expect(attempt(gate, from: first) == .fail(.tooManyFailures))
        #expect(attempt(gate, from: second) == .fail(isSame ? .tooManyFailures : .unexpected("CHAP")))
    }
}
