// SPDX-License-Identifier: Apache-2.0

/// A store of blocks, as an author of a handler writes it. One instance is one open device.
///
/// A plugin is a dynamic library with one such type and one entry point:
///
///     @c(handler_init)
///     public func handlerInit() -> Int32 { registerHandler(MyHandler.self) }
///
/// The host calls `init` once, then the other methods from `threadCount` threads of its own at the same time, and
/// `close` when all of them have returned. They may block. Offsets and lengths are bytes; the kit has checked that they
/// lie inside the medium. Returning means that the command ended well; throwing, that it did not.
public protocol BlockHandler: AnyObject, Sendable {
    /// What stands before the first / of a configuration string; the plugin's file is `handler_SUBTYPE.so`.
    static var subtype: StaticString { get }
    /// For people.
    static var name: StaticString { get }
    /// How the rest of a configuration string reads, for people.
    static var configurationDescription: StaticString { get }
    /// Threads that the host keeps for each device; at least 1.
    static var threadCount: Int { get }
    static var capabilities: HandlerCapabilities { get }

    /// Looks at a store without changing it, perhaps while a device has it open.
    static func probe(_ configuration: StoreConfiguration) throws(HandlerRefusal) -> StoreDescription

    /// Opens the store, and tells `device` what it is like. The host logs the reason of a refusal.
    init(_ device: HostDevice) throws(HandlerRefusal)
    func close()

    /// Fills `bytes` from the medium.
    func read(into bytes: inout MutableRawSpan, at byteOffset: UInt64) throws(HandlerError)
    func write(_ bytes: RawSpan, at byteOffset: UInt64) throws(HandlerError)
    /// Returns when everything whose `write` returned before is on stable storage.
    func flush() throws(HandlerError)

    /// With `HandlerCapabilities.unmap`: gives storage back.
    func unmap(at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError)
    /// With `HandlerCapabilities.writeSame`: writes `block`, which is one block, over `byteCount` bytes.
    func writeSame(_ block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError)
    /// With `HandlerCapabilities.blockStatus`: appends extents, the first from `byteOffset` on, until they cover
    /// `byteCount` bytes or the list is full.
    func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) throws(HandlerError)
}

extension BlockHandler {
    public static var capabilities: HandlerCapabilities { [] }

    public func unmap(at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError) { throw .notSupported }

    public func writeSame(_ block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError) {
        throw .notSupported
    }

    public func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) throws(HandlerError) {
        throw .notSupported
    }
}

/// What a handler does by itself. The host emulates the rest where it can.
public struct HandlerCapabilities: OptionSet, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let unmap = HandlerCapabilities(rawValue: 1 << 0)
    public static let writeSame = HandlerCapabilities(rawValue: 1 << 1)
    public static let blockStatus = HandlerCapabilities(rawValue: 1 << 2)
    /// What was unmapped reads as zeroes until it is written again.
    public static let unmappedReadsZero = HandlerCapabilities(rawValue: 1 << 3)
}
