// SPDX-License-Identifier: Apache-2.0

/// A handler whose methods are asynchronous. One instance is one open device; an actor will do.
///
/// Conform to `AsyncBlockHandler`, and to `AsyncCommandHandler` for commands that the host does not know.
///
/// Every command is a task of its own. The tasks of a device run in `threadCount` threads that belong to the device, so
/// one that blocks, against the rules of Swift's concurrency, holds up its own device and nothing else.
public protocol AsyncStoreHandler: HandlerDescription {
    /// Threads of the device's own that its tasks run in; at least 1, and 1 unless given. More help where tasks
    /// compute.
    static var threadCount: Int { get }
    /// Commands of one device that have a task at the same time; at least 1, 128 unless given. Others wait in line.
    static var commandLimit: Int { get }

    /// Opens the store, and tells `device` what it is like. The host logs the reason of a refusal.
    init(_ device: HostDevice) async throws(HandlerRefusal)

    /// Closes the store. Every task has ended, and none follows.
    func close() async
}

extension AsyncStoreHandler {
    /// 1.
    public static var threadCount: Int { 1 }
    /// 128, which is the window of commands that an initiator is given.
    public static var commandLimit: Int { 128 }
}

/// A store of blocks whose methods are asynchronous.
///
/// Offsets and lengths are bytes, multiples of the block size; the kit has checked that they lie inside the medium. A
/// buffer is the command's memory until the method has ended. Returning ends the command well, throwing ends it with the
/// error; either happens once, so a command ends exactly once. A command whose initiator has aborted it has its task
/// cancelled: throw `HandlerError.timeout` early, or go on and return if it was done all the same.
///
/// What a handler can do besides follows from the protocols that it conforms to: `AsyncUnmappingHandler`,
/// `AsyncWriteSameHandler`, `AsyncZeroingHandler`, `AsyncCompareAndWriteHandler`, `AsyncBlockStatusHandler`,
/// `AsyncCommandHandler`, `ResizingHandler`, `HealthReportingHandler`, `SpaceReportingHandler`.
public protocol AsyncBlockHandler: AsyncStoreHandler {
    /// Fills `buffer` from the medium.
    func read(into buffer: inout CommandBuffer, at byteOffset: UInt64) async throws(HandlerError)
    /// Writes the bytes of `buffer` to the medium.
    func write(_ buffer: borrowing CommandBuffer, at byteOffset: UInt64) async throws(HandlerError)
    /// Returns when everything whose `write` returned before is on stable storage.
    func flush() async throws(HandlerError)
}

/// An asynchronous handler that gives storage back: UNMAP.
public protocol AsyncUnmappingHandler: AsyncBlockHandler {
    /// What was unmapped reads as zeroes until it is written again; false unless given.
    static var unmappedReadsZero: Bool { get }

    /// Gives storage back. The range may be as long as the medium.
    func unmap(at byteOffset: UInt64, byteCount: UInt64) async throws(HandlerError)
}

extension AsyncUnmappingHandler {
    /// False: initiators must not rely on what they read from unmapped blocks.
    public static var unmappedReadsZero: Bool { false }
}

/// An asynchronous handler with a better WRITE SAME than many writes.
public protocol AsyncWriteSameHandler: AsyncBlockHandler {
    /// Writes `block`, which is one block, over `byteCount` bytes.
    func writeSame(
        _ block: borrowing CommandBuffer, at byteOffset: UInt64, byteCount: UInt64
    ) async throws(HandlerError)
}

/// An asynchronous handler with a better way to write zeroes than many writes.
public protocol AsyncZeroingHandler: AsyncBlockHandler {
    /// As `ZeroingHandler.zeroingUnmaps`.
    static var zeroingUnmaps: Bool { get }

    /// Makes `byteCount` bytes read as zeroes. The range may be as long as the medium. With `mayUnmap` it need not have
    /// storage afterwards; without, it has.
    func writeZeroes(at byteOffset: UInt64, byteCount: UInt64, mayUnmap: Bool) async throws(HandlerError)
}

extension AsyncZeroingHandler {
    /// False: zeroes are written, whatever becomes of the storage.
    public static var zeroingUnmaps: Bool { false }
}

/// An asynchronous handler whose COMPARE AND WRITE is atomic against everybody who uses the store.
public protocol AsyncCompareAndWriteHandler: AsyncBlockHandler {
    /// Writes `new` if the medium holds `expected`, which is as long; else throws `HandlerError.miscompare`.
    func compareAndWrite(
        expected: borrowing CommandBuffer, new: borrowing CommandBuffer, at byteOffset: UInt64
    ) async throws(HandlerError)
}

/// An asynchronous handler that knows which blocks have storage: GET LBA STATUS.
///
/// The host waits for the answer in a thread, so a device of such a handler has one that all its commands pass through;
/// without this protocol the server's event loops start the tasks themselves.
public protocol AsyncBlockStatusHandler: AsyncBlockHandler {
    /// Appends extents, the first from `byteOffset` on, until they cover `byteCount` bytes or the list is full. They
    /// may cover less than asked, but something, and the last may reach beyond.
    func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) async throws(HandlerError)
}

/// An asynchronous handler that takes SCSI commands as they come.
public protocol AsyncCommandHandler: AsyncStoreHandler {
    /// Whether `handleCommand` performs this command. Called for every one, in a thread that has other work to do: it
    /// decides by `cdb` alone and at once.
    func handles(_ cdb: Span<UInt8>) -> Bool

    /// Performs `command`. CHECK CONDITION is a thrown error.
    func handleCommand(_ command: inout HandlerCommand) async throws(HandlerError)
}
