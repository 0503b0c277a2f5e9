// SPDX-License-Identifier: Apache-2.0

import HandlerKit
import Synchronization

/// The handler "file": a regular file or a block device, through the page cache.
///
/// `file//srv/disk.img`; a file that is missing or empty is made when the device has a size.
final class FileHandler: BlockHandler, UnmappingHandler, WriteSameHandler, ZeroingHandler, BlockStatusHandler,
    HealthReportingHandler, SpaceReportingHandler
{
    static let subtype: StaticString = "file"
    static let name: StaticString = "File"
    static let configurationDescription: StaticString = "the absolute path of a regular file or a block device"
    /// A few commands wait for the disk while others are served from the page cache; more threads contend for the
    /// file's lock in the kernel without getting more out of it.
    static let threadCount = 4
    static let unmappedReadsZero = true

    private let device: HostDevice
    private let store: FileStore
    private let blockByteCount: Int
    /// A flush has failed. The kernel reports lost writes once and forgets them: after that no flush can be believed.
    /// Held while flushing, so that two flushes cannot share one report.
    private let hasLostWrites = Mutex(false)
    /// The same, for those who must not wait for a flush.
    private let hasFailed = Atomic(false)
    private let failureCount = Atomic(0)

    init(_ device: HostDevice) throws(HandlerRefusal) {
        self.device = device
        store = try FileStore(
            opening: try StorePath(device.configuration), byteCount: device.configuredByteCount,
            blockByteCount: device.blockByteCount, isReadOnly: device.isWriteProtected)
        blockByteCount = Int(device.blockByteCount)
        device.blockCount = store.byteCount / UInt64(blockByteCount)
        device.hasVolatileWriteCache = !store.isReadOnly
        if store.isSolidState { device.isSolidState = true }
        if !store.canDeallocate { device.isUnmapEnabled = false }
    }

    func close() { store.close() }

    var space: StorageSpace? { store.space }

    static func probe(_ configuration: StoreConfiguration) throws(HandlerRefusal) -> StoreDescription {
        try StorePath(configuration).describe()
    }

    func read(into bytes: inout MutableRawSpan, at byteOffset: UInt64) throws(HandlerError) {
        do throws(SystemError) {
            try store.read(into: &bytes, at: byteOffset)
        } catch {
            report("cannot read", error)
            throw .readError
        }
    }

    func write(_ bytes: RawSpan, at byteOffset: UInt64) throws(HandlerError) {
        try change("cannot write") { () throws(SystemError) in try store.write(bytes, at: byteOffset) }
    }

    func unmap(at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError) {
        try change("cannot unmap") { () throws(SystemError) in
            try store.deallocate(at: byteOffset, byteCount: byteCount, blockByteCount: blockByteCount)
        }
    }

    func writeSame(_ block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError) {
        try change("cannot write") { () throws(SystemError) in
            try store.write(repeating: block, at: byteOffset, byteCount: byteCount)
        }
    }

    func writeZeroes(at byteOffset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(HandlerError) {
        try change("cannot write zeroes") { () throws(SystemError) in
            if mayUnmap {
                try store.deallocate(at: byteOffset, byteCount: byteCount, blockByteCount: blockByteCount)
            } else {
                try store.zero(at: byteOffset, byteCount: byteCount, blockByteCount: blockByteCount)
            }
        }
    }

    var health: DeviceHealth {
        hasFailed.load(ordering: .relaxed)
            ? .failed("a flush failed: writes that were acknowledged may be lost") : .good
    }

    func flush() throws(HandlerError) {
        guard !store.isReadOnly else { return }
        let isDurable = hasLostWrites.withLock { hasLostWrites in
            guard !hasLostWrites else { return false }
            do throws(SystemError) {
                try store.flush()
                return true
            } catch {
                device.log(
                    .error,
                    "\(error.words("cannot flush")): writes may be lost; flushes fail until the device is opened again")
                hasLostWrites = true
                hasFailed.store(true, ordering: .relaxed)
                return false
            }
        }
        guard isDurable else { throw .writeError }
    }

    func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) throws(HandlerError) {
        do throws(SystemError) {
            try store.status(at: byteOffset, byteCount: byteCount, blockByteCount: blockByteCount, into: &extents)
        } catch {
            report("cannot look for holes", error)
            throw .readError
        }
    }

    private func change(_ what: StaticString, _ work: () throws(SystemError) -> Void) throws(HandlerError) {
        guard !store.isReadOnly else { throw .writeProtected }
        do throws(SystemError) {
            try work()
        } catch {
            report(what, error)
            throw error.isLackOfSpace ? .spaceAllocationFailed : .writeError
        }
    }

    /// The first failure is logged, then the second, the fourth and so on: a dying disk must not fill the log.
    private func report(_ what: StaticString, _ error: SystemError) {
        let count = failureCount.wrappingAdd(1, ordering: .relaxed).newValue
        guard count & (count - 1) == 0 else { return }
        device.log(.error, "\(error.words(what)) (\(count) failures so far)")
    }
}

extension HandlerError {
    /// DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT: a thin store is full, SBC-4 4.7.
    static let spaceAllocationFailed = HandlerError.sense(key: 0x07, code: 0x2707)
}
