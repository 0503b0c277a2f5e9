// SPDX-License-Identifier: Apache-2.0

internal import CLinux
package import ISCSI
internal import Synchronization

/// Counts by address which authentications fail. All loops share it. An address is what admission takes for one: a
/// network of IPv6, which one machine may have to itself, is one address.
package final class AuthenticationGuard: Sendable {
    private let limiter = Mutex(FailureLimiter<AdmissionAddress>())

    package init() {}

    /// For one login of `peer`: `base`, which is asked only while the peer's address may try.
    package func limit(_ base: any Authenticator, peer: PortalAddress?) -> any Authenticator {
        let address = AdmissionAddress(peer)
        return LimitedAuthenticator(
            base,
            mayTry: { [self] in limiter.withLock { $0.admits(address, now: Self.milliseconds) } },
            failed: { [self] in limiter.withLock { $0.failed(address, now: Self.milliseconds) } })
    }

    private static var milliseconds: UInt64 { clinux_monotonic_nanoseconds() / 1_000_000 }
}
