// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// What the core asks of a store of blocks. HandlerHost implements it over a handler; tests implement it in memory.
///
/// Every member may be called from any loop at any time. Properties that a handler may change while it runs
/// (the capacity, the write cache) are read afresh for each command.
public protocol BlockDevice: AnyObject, Sendable {
    /// Bytes of one logical block: 512, 1024, 2048 or 4096. Fixed while the device is open.
    var blockByteCount: Int { get }

    /// Logical blocks of the medium. Changes when the device is resized.
    var blockCount: UInt64 { get }

    var features: BlockDeviceFeatures { get }

    /// Starts `request`. The device calls `request.complete` exactly once, from any thread,
    /// perhaps before this call returns. Never blocks.
    func submit(_ request: BlockRequest)

    /// A loop's turn has ended: wakes whoever works off what `submit` queued, with at most one wake-up.
    func submissionsEnded()

    /// Whether `mapRead` may answer. Does not change.
    var canMapReads: Bool { get }

    /// Where the bytes of a read stand in memory: readable until the device is closed; later writes show through.
    /// Nil: submit a read. The range lies on the medium. Never blocks.
    func mapRead(byteOffset: UInt64, byteCount: Int) -> UnsafeRawPointer?

    /// Whether `submit` of a write takes its data before it returns, from memory of any alignment. Does not change.
    var copiesWrites: Bool { get }

    /// The storage behind the medium, as it was when the device last looked; nil where it cannot be told. Never blocks.
    var mappingResources: MappingResources? { get }

    /// The end of `request`, which was submitted and may end at any moment, is wanted soon: its task was aborted. Best
    /// effort: it ends once, as ever, and until then its buffer is in use. In the thread of its loop. Never blocks.
    func cancel(_ request: BlockRequest)

    /// The same, if the device itself finds that `request` takes too long.
    func cancelIfOverdue(_ request: BlockRequest)
}

extension BlockDevice {
    public var canMapReads: Bool { false }
    public func mapRead(byteOffset: UInt64, byteCount: Int) -> UnsafeRawPointer? { nil }
    public var copiesWrites: Bool { false }
    public var mappingResources: MappingResources? { nil }
    public func cancel(_ request: BlockRequest) {}
    public func cancelIfOverdue(_ request: BlockRequest) {}
}

/// What a store can do by itself, and what it wants to be told. The core emulates what is absent.
public struct BlockDeviceFeatures: Sendable, Equatable {
    /// Acknowledged writes may be lost until a flush: reported as WCE, and what FUA works against.
    public var hasVolatileWriteCache = false
    /// `flush` exists. Without it and without a volatile cache SYNCHRONIZE CACHE is GOOD at once.
    public var canFlush = true
    public var canUnmap = false
    public var canWriteSame = false
    /// Zeroes of any length in one request, faster than by writing them.
    public var canWriteZeroes = false
    public var canCompareAndWrite = false
    public var canReportBlockStatus = false
    /// Unmapped blocks read as zeroes (LBPRZ 001b).
    public var unmappedReadsZero = false
    public var isReadOnly = false
    /// Not rotating (VPD B1h).
    public var isSolidState = false
    /// Blocks of the longest single transfer that the store takes.
    public var maximumTransferBlockCount: UInt32 = 16384
    public var optimalTransferBlockCount: UInt32 = 0
    public var maximumUnmapBlockCount: UInt32 = 0
    /// Blocks; 0 when the store has no preference.
    public var unmapGranularity: UInt32 = 0
    public var unmapGranularityAlignment: UInt32 = 0
    /// Whether raw CDBs go to the store (tcmu-runner's handle_cmd).
    public var passthrough = Passthrough.none
    /// PERIPHERAL DEVICE TYPE (SPC-4 6.6.2) that the store itself gives in INQUIRY, with `passthrough` `.always`; nil
    /// when it could not be learned.
    public var peripheralDeviceType: UInt8?

    public enum Passthrough: Sendable, Equatable {
        /// The store never sees a CDB as such.
        case none
        /// Each CDB is offered to the store first; `.notHandled` gives it back to the core.
        case first
        /// The store answers every CDB of the logical unit itself, apart from those the core must own
        /// (REPORT LUNS, PERSISTENT RESERVE, RESERVE, RELEASE, and REQUEST SENSE for pending attentions).
        case always
    }

    public init() {}
}

/// The storage behind a thin medium (SBC-4 4.7.3.7).
public struct MappingResources: Sendable, Equatable {
    /// Bytes of the medium that are mapped.
    public var usedByteCount: UInt64
    /// Bytes of the medium that are not mapped, and for which there is storage; nil: not known.
    public var availableByteCount: UInt64?

    public init(usedByteCount: UInt64, availableByteCount: UInt64? = nil) {
        self.usedByteCount = usedByteCount
        self.availableByteCount = availableByteCount
    }
}

/// How a block request ended.
public enum BlockOutcome: Sendable, Equatable {
    case good
    /// The store found a difference (COMPARE AND WRITE), at this byte of the compared data when it knows.
    case miscompare(atByte: UInt64?)
    /// Ended with a SAM status of its own; `sense` goes with CHECK CONDITION.
    case failed(Status, SenseData?)
    /// A passed-through CDB ended in CHECK CONDITION with sense bytes of the store's own:
    /// they stand in `BlockRequest.storeSense`.
    case failedWithStoreSense
    /// A passed-through CDB that the store leaves to the core.
    case notHandled
}

/// One extent of `BlockRequest.Operation.blockStatus`'s answer.
public struct BlockStatusExtent: Sendable, Equatable {
    public var byteCount: UInt64
    public var isMapped: Bool

    public init(byteCount: UInt64, isMapped: Bool) {
        self.byteCount = byteCount
        self.isMapped = isMapped
    }
}
