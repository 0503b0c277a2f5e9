// SPDX-License-Identifier: Apache-2.0

/// A handler whose methods return when their command has ended, and may block until then. One instance is one open
/// device.
///
/// A plugin is a dynamic library with one handler and one entry point:
///
///     @c(handler_init)
///     public func handlerInit() -> Int32 { registerHandler(MyHandler.self) }
///
/// Conform to `BlockHandler`, to `CommandHandler`, or to both.
public protocol StoreHandler: HandlerDescription {
    /// Threads that the host keeps for each device, and so the most calls that run at once; at least 1, 4 unless
    /// given.
    static var threadCount: Int { get }

    /// Opens the store, and tells `device` what it is like. May block. The host logs the reason of a refusal.
    init(_ device: HostDevice) throws(HandlerRefusal)

    /// Closes the store. Every other call has returned, and none follows. May block.
    func close()
}

extension StoreHandler {
    /// 4.
    public static var threadCount: Int { 4 }
}

/// A store of blocks, as an author of a handler writes it.
///
/// The host calls `init` once, then the other methods from `threadCount` threads of its own at the same time, and
/// `close` when all of them have returned. They may block. Offsets and lengths are bytes, multiples of the block size;
/// the kit has checked that they lie inside the medium. Spans are the host's memory for the length of the call.
/// Returning means that the command ended well; throwing, that it did not.
///
/// What a handler can do besides follows from the protocols that it conforms to: `UnmappingHandler`,
/// `WriteSameHandler`, `ZeroingHandler`, `CompareAndWriteHandler`, `BlockStatusHandler`, `CommandHandler`,
/// `ResizingHandler`, `HealthReportingHandler`, `SpaceReportingHandler`. The host does the rest with `read` and
/// `write` where it can.
public protocol BlockHandler: StoreHandler {
    /// Fills `bytes` from the medium.
    func read(into bytes: inout MutableRawSpan, at byteOffset: UInt64) throws(HandlerError)
    /// Writes `bytes` to the medium.
    func write(_ bytes: RawSpan, at byteOffset: UInt64) throws(HandlerError)
    /// Returns when everything whose `write` returned before is on stable storage.
    func flush() throws(HandlerError)
}

/// A handler that gives storage back: UNMAP.
public protocol UnmappingHandler: BlockHandler {
    /// What was unmapped reads as zeroes until it is written again; false unless given.
    static var unmappedReadsZero: Bool { get }

    /// Gives storage back. The range may be as long as the medium.
    func unmap(at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError)
}

extension UnmappingHandler {
    /// False: initiators must not rely on what they read from unmapped blocks.
    public static var unmappedReadsZero: Bool { false }
}

/// A handler with a better WRITE SAME than many writes.
public protocol WriteSameHandler: BlockHandler {
    /// Writes `block`, which is one block, over `byteCount` bytes.
    func writeSame(_ block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError)
}

/// A handler with a better way to write zeroes than many writes.
public protocol ZeroingHandler: BlockHandler {
    /// `writeZeroes` with `mayUnmap` takes storage away where it can, and what has none reads as zeroes. The host then
    /// does UNMAP with it, and never calls `unmap`. False unless given.
    static var zeroingUnmaps: Bool { get }

    /// Makes `byteCount` bytes read as zeroes. The range may be as long as the medium. With `mayUnmap` it need not have
    /// storage afterwards; without, it has.
    func writeZeroes(at byteOffset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(HandlerError)
}

extension ZeroingHandler {
    /// False: zeroes are written, whatever becomes of the storage.
    public static var zeroingUnmaps: Bool { false }
}

/// A handler whose COMPARE AND WRITE is atomic against everybody who uses the store.
///
/// Without it the host reads, compares and writes: atomic against other such commands of the device alone.
public protocol CompareAndWriteHandler: BlockHandler {
    /// Writes `new` if the medium holds `expected`, which is as long; else throws `HandlerError.miscompare`.
    func compareAndWrite(expected: RawSpan, new: RawSpan, at byteOffset: UInt64) throws(HandlerError)
}

/// A handler that knows which blocks have storage: GET LBA STATUS.
public protocol BlockStatusHandler: BlockHandler {
    /// Appends extents, the first from `byteOffset` on, until they cover `byteCount` bytes or the list is full. They
    /// may cover less than asked, but something, and the last may reach beyond.
    func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) throws(HandlerError)
}

/// A handler that takes SCSI commands as they come.
///
/// With `BlockHandler`, every command is shown here first, one at a time, and the host does what is not handled.
/// Without it, the handler is all there is of the logical unit, INQUIRY included.
public protocol CommandHandler: StoreHandler {
    /// Performs `command`, or leaves it alone. May block. CHECK CONDITION is a thrown error.
    func handleCommand(_ command: inout HandlerCommand) throws(HandlerError) -> CommandResult
}

/// What became of a command that was shown to `CommandHandler.handleCommand`.
public enum CommandResult: Sendable {
    /// It ended GOOD.
    case done
    /// The host shall do it: by the other methods, by itself, or by refusing it.
    case notHandled
}
