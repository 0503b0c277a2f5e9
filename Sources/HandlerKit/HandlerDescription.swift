// SPDX-License-Identifier: Apache-2.0

/// What every handler says of itself: the part that `BlockHandler` and `AsyncBlockHandler` share.
///
/// Conform to one of those, or to `CommandHandler` or `AsyncCommandHandler`, not to this protocol alone.
public protocol HandlerDescription: AnyObject, Sendable {
    /// What stands before the first / of a configuration string; the plugin's file is `handler_SUBTYPE.so`.
    static var subtype: StaticString { get }
    /// For people.
    static var name: StaticString { get }
    /// How the rest of a configuration string reads, for people.
    static var configurationDescription: StaticString { get }

    /// Looks at a store without changing it, perhaps while a device has it open. May block; any thread.
    ///
    /// Unless it is given, nothing is known: the operator configures the size of each device.
    static func probe(_ configuration: StoreConfiguration) throws(HandlerRefusal) -> StoreDescription
}

extension HandlerDescription {
    /// Knows nothing of the store.
    public static func probe(_ configuration: StoreConfiguration) throws(HandlerRefusal) -> StoreDescription {
        StoreDescription()
    }
}

/// A handler whose stores can change their size while they are served. For handlers of every kind.
public protocol ResizingHandler: HandlerDescription {
    /// Gives the store a new size, in bytes, a multiple of the block size. May block; I/O goes on meanwhile, and
    /// `init`, `close` and other calls of `resize` do not. When it has returned, initiators are told.
    func resize(toByteCount byteCount: UInt64) throws(HandlerRefusal)
}

/// A handler that tells how its devices are. For handlers of every kind.
public protocol HealthReportingHandler: HandlerDescription {
    /// What is known now. Called from any thread while the device is open; it must not block, so it tells and does not
    /// look.
    var health: DeviceHealth { get }
}

/// A handler that tells how much storage its devices have, where they take it as they are written. For handlers of every
/// kind.
public protocol SpaceReportingHandler: HandlerDescription {
    /// Looks. Called by one thread of the host's that serves no commands, at most once a second while the device is
    /// open; may block. Nil: it cannot be told.
    var space: StorageSpace? { get }
}

/// The storage behind a device.
public struct StorageSpace: Equatable, Sendable {
    /// Bytes of the medium that have storage.
    public var usedByteCount: UInt64
    /// Bytes of the medium without storage for which there is some.
    public var availableByteCount: UInt64

    /// Both counts together are no more than the medium has.
    public init(usedByteCount: UInt64, availableByteCount: UInt64) {
        self.usedByteCount = usedByteCount
        self.availableByteCount = availableByteCount
    }
}

/// How well a device is.
public enum DeviceHealth: Equatable, Sendable {
    /// It serves every command with all that it has.
    case good
    /// It serves every command with less than its whole self, such as half of a mirror. One sentence says why.
    case degraded(String)
    /// Commands fail, or what was acknowledged may be lost. One sentence says why.
    case failed(String)
    /// Nothing is known.
    case unknown
}
