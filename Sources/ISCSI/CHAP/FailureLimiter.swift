// SPDX-License-Identifier: Apache-2.0

/// Counts failed authentications by address, and says which address must wait. Each failure is forgiven after a time
/// of its own, so that an address may try again at a slow, steady pace. Addresses are independent of one another:
/// nobody can lock out a peer elsewhere.
public struct FailureLimiter<Address: Hashable & Sendable>: Sendable {
    public struct Limits: Equatable, Sendable {
        /// Failures that an address may have at a time.
        public var failures: Int
        /// After which one of them is forgiven.
        public var forgivenessMilliseconds: UInt64
        /// Addresses that are remembered. Beyond it the one with the fewest failures is forgotten: a table that is
        /// full hinders nobody.
        public var addresses: Int

        /// - Parameters:
        ///   - failures: at least 1.
        ///   - forgivenessMilliseconds: at least 1.
        ///   - addresses: at least 1.
        public init(failures: Int = 10, forgivenessMilliseconds: UInt64 = 6_000, addresses: Int = 1_024) {
            self.failures = max(1, failures)
            self.forgivenessMilliseconds = max(1, forgivenessMilliseconds)
            self.addresses = max(1, addresses)
        }
    }

    private struct Entry {
        var failureCount: Int
        /// When the oldest failure that still counts began to be forgiven, in milliseconds.
        var since: UInt64
    }

    private let limits: Limits
    private var entries: [Address: Entry] = [:]

    public init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Addresses remembered.
    public var count: Int { entries.count }

    /// Whether `address` may try now. `now`: milliseconds of a clock that does not go back.
    public func admits(_ address: Address, now: UInt64) -> Bool {
        guard let entry = entries[address] else { return true }
        return forgive(entry, now).failureCount < limits.failures
    }

    /// One more authentication from there has failed.
    public mutating func failed(_ address: Address, now: UInt64) {
        var entry = Entry(failureCount: 0, since: now)
        if let known = entries[address] { entry = forgive(known, now) } else { makeRoom(now) }
        if entry.failureCount == 0 { entry.since = now }
        // Whoever is refused anyway cannot make it worse.
        entry.failureCount = min(entry.failureCount + 1, limits.failures)
        entries[address] = entry
    }

    private func forgive(_ entry: Entry, _ now: UInt64) -> Entry {
        guard now > entry.since else { return entry }
        let forgiven = (now - entry.since) / limits.forgivenessMilliseconds
        guard forgiven < UInt64(entry.failureCount) else { return Entry(failureCount: 0, since: now) }
        return Entry(
            failureCount: entry.failureCount - Int(forgiven),
            since: entry.since + forgiven * limits.forgivenessMilliseconds)
    }

    private mutating func makeRoom(_ now: UInt64) {
        guard entries.count >= limits.addresses else { return }
        entries = entries.filter { forgive($0.value, now).failureCount > 0 }
        while entries.count >= limits.addresses {
            guard let least = entries.min(by: { $0.value.failureCount < $1.value.failureCount }) else { return }
            entries[least.key] = nil
        }
    }
}

/// An authenticator that is asked only while the peer's address may try, and that tells of failures. Whether it may is
/// asked at every step: many logins at a time are no way around the limit.
public struct LimitedAuthenticator: Authenticator {
    private var base: any Authenticator
    private let mayTry: @Sendable () -> Bool
    private let failed: @Sendable () -> Void

    /// - Parameters:
    ///   - mayTry: whether the address may try now.
    ///   - failed: called for a failure that may have been an attempt to get in.
    public init(
        _ base: any Authenticator, mayTry: @escaping @Sendable () -> Bool, failed: @escaping @Sendable () -> Void
    ) {
        self.base = base
        self.mayTry = mayTry
        self.failed = failed
    }

    public var method: String { base.method }
    public var authenticatedName: String? { base.authenticatedName }

    public mutating func receive(_ text: TextParameters) -> AuthenticationStep {
        guard mayTry() else { return .fail(.tooManyFailures) }
        let step = base.receive(text)
        if case .fail(let fault) = step, fault.isAttempt { failed() }
        return step
    }
}
