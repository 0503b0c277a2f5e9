// SPDX-License-Identifier: Apache-2.0

/// What a descriptor is watched for, or has become.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let readable = Readiness(rawValue: 1)
    public static let writable = Readiness(rawValue: 2)
    /// The other side has closed, or the descriptor has an error: reported whether asked for or not.
    public static let hangup = Readiness(rawValue: 4)
}

/// One descriptor that became ready.
public struct ReadyDescriptor: Sendable {
    public let token: UInt64
    public let readiness: Readiness

    public init(token: UInt64, readiness: Readiness) {
        self.token = token
        self.readiness = readiness
    }
}

/// The kernel's way of telling which descriptors are ready. Level-triggered: what is not worked off is told again.
///
/// A poller belongs to one thread. Tokens are the caller's own and come back untouched, so a caller that reuses
/// descriptors puts a generation into its tokens.
public protocol Poller: AnyObject {
    func add(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError)

    func modify(_ descriptor: CInt, interest: Readiness, token: UInt64) throws(SystemError)

    /// Before the descriptor is closed.
    func remove(_ descriptor: CInt)

    /// Waits until a descriptor is ready or `timeoutMilliseconds` have passed (-1: without end), then calls `body`
    /// for each that is ready. Returns how many there were.
    func wait(timeoutMilliseconds: CInt, _ body: (ReadyDescriptor) -> Void) throws(SystemError) -> Int
}
