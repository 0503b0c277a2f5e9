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

    /// A byte stream over a connected socket, by the poller's own means; nil when it has none but readiness.
    func openStream(_ descriptor: CInt, owner: any ByteStreamOwner) throws(SystemError) -> (any ByteStream)?

    /// Waits until something has happened or `timeoutNanoseconds` have passed (nil: without end; 0: only looks).
    /// When something has, calls `awake` once, then `ready` for each descriptor that is ready, while owners of
    /// streams are told by the streams themselves. Returns how many events there were.
    func wait(
        timeoutNanoseconds: UInt64?, awake: () -> Void, ready: (ReadyDescriptor) -> Void
    ) throws(SystemError) -> Int
}

extension Poller {
    public func openStream(_ descriptor: CInt, owner: any ByteStreamOwner) throws(SystemError) -> (any ByteStream)? {
        nil
    }
}
