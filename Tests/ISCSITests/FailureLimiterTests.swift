// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("The limit on failed authentications")
struct FailureLimiterTests {
    private func limiter(failures: Int = 3, addresses: Int = 4) -> FailureLimiter<String> {
        FailureLimiter(.init(failures: failures, forgivenessMilliseconds: 1_000, addresses: addresses))
    }

    @Test("An address may fail so often, then it waits, and every second forgives one failure")
    func oneAddress() {
        var limiter = limiter()
        for _ in 0..<3 {
            #expect(limiter.admits("a", now: 5_000))
            limiter.failed("a", now: 5_000)
        }
        #expect(!limiter.admits("a", now: 5_000))
        #expect(!limiter.admits("a", now: 5_999))
        #expect(limiter.admits("a", now: 6_000))
        limiter.failed("a", now: 6_000)
        #expect(!limiter.admits("a", now: 6_999))
        #expect(limiter.admits("a", now: 7_000))
        // All is forgiven in the end, and the account does not go below nothing.
        for _ in 0..<3 {
            #expect(limiter.admits("a", now: 1_000_000))
            limiter.failed("a", now: 1_000_000)
        }
        #expect(!limiter.admits("a", now: 1_000_000))
    }

    @Test("Failures while it waits make the wait no longer")
    func noEscalation() {
        var limiter = limiter()
        for _ in 0..<1_000 { limiter.failed("a", now: 0) }
        #expect(!limiter.admits("a", now: 999))
        #expect(limiter.admits("a", now: 1_000))
    }

    @Test("No address suffers from another")
    func others() {
        var limiter = limiter()
        for _ in 0..<1_000 { limiter.failed("a", now: 0) }
        #expect(limiter.admits("b", now: 0))
    }

    @Test("The table is bounded, and a full one hinders nobody")
    func bounded() {
        var limiter = limiter()
        for _ in 0..<3 { limiter.failed("worst", now: 0) }
        for index in 0..<10_000 {
            limiter.failed("\(index)", now: 0)
            #expect(limiter.count <= 4)
        }
        #expect(limiter.admits("good", now: 0))
        #expect(!limiter.admits("worst", now: 0), "who failed most is kept")
        limiter.failed("later", now: 100_000)
        #expect(limiter.count == 1, "what is forgiven goes first")
    }

    @Test("A clock that goes back harms nothing, nor does its end")
    func oddClocks() {
        var limiter = limiter()
        for _ in 0..<3 { limiter.failed("a", now: 10_000) }
        #expect(!limiter.admits("a", now: 0))
        limiter.failed("a", now: 0)
        #expect(limiter.admits("a", now: .max))
        for _ in 0..<3 { limiter.failed("b", now: .max) }
        #expect(!limiter.admits("b", now: .max))
    }

    @Test("Limits of nothing are of one")
    func leastLimits() {
        let limits = FailureLimiter<String>.Limits(failures: 0, forgivenessMilliseconds: 0, addresses: -1)
        #expect(limits == .init(failures: 1, forgivenessMilliseconds: 1, addresses: 1))
    }

    // MARK: Before an authenticator

    @Test("An address that must wait is told that the service is unavailable, in the middle of a login too")
    func limited() throws {
        final class Gate: @unchecked Sendable {
            var isOpen = true
            var failures = 0
        }
        let gate = Gate()
        let policy = try CHAPPolicy(
            users: [CHAPTalk.credential("alice", CHAPTalk.secret)], algorithms: [.md5], cryptography: CHAPTalk.known)
        func authenticator() -> LimitedAuthenticator {
            LimitedAuthenticator(
                policy.makeAuthenticator(), mayTry: { gate.isOpen }, failed: { gate.failures += 1 })
        }
        let right = TextParameters([
            .init("CHAP_N", "alice"), .init("CHAP_R", "0x" + CHAPVector.of(.md5).response),
        ])
        var good = authenticator()
        #expect(good.method == "CHAP")
        _ = good.receive(TextParameters([.init("CHAP_A", "5")]))
        #expect(good.authenticatedName == nil)
        #expect(good.receive(right) == .succeed(TextParameters()))
        #expect(good.authenticatedName == "alice")
        #expect(gate.failures == 0)

        var wrong = authenticator()
        _ = wrong.receive(TextParameters([.init("CHAP_A", "5")]))
        _ = wrong.receive(TextParameters([.init("CHAP_N", "bob"), right.pairs[1]]))
        #expect(gate.failures == 1)
        var misfit = authenticator()
        #expect(misfit.receive(TextParameters([.init("CHAP_A", "8")])) == .fail(.noCommonAlgorithm))
        #expect(gate.failures == 1)

        var caught = authenticator()
        _ = caught.receive(TextParameters([.init("CHAP_A", "5")]))
        gate.isOpen = false
        #expect(caught.receive(right) == .fail(.tooManyFailures))
        #expect(gate.failures == 1)
    }
}
