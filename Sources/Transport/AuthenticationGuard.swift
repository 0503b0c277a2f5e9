// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import ISCSI
internal import Synchronization

/// Makes authenticators, and counts by address what fails. All loops share it.
final class AuthenticationGuard: Sendable {
    private let limiter = Mutex(FailureLimiter<String>())

    /// An authenticator for one login of a peer, which is asked only while the peer's address may try.
    func authenticator(_ policy: CHAPPolicy, peer: PortalAddress?) -> any Authenticator {
        let host = peer?.host ?? ""
        return LimitedAuthenticator(
            policy.makeAuthenticator(),
            mayTry: { [self] in limiter.withLock { $0.admits(host, now: Self.milliseconds) } },
            failed: { [self] in limiter.withLock { $0.failed(host, now: Self.milliseconds) } })
    }

    private static var milliseconds: UInt64 { clinux_monotonic_nanoseconds() / 1_000_000 }
}
