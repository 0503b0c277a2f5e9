// SPDX-License-Identifier: Apache-2.0

public import SCSI
import Synchronization

/// The thread that owns a nexus and its tasks. A transport implements it over its event loop; all members are safe
/// from any thread.
public protocol OwnerLoop: AnyObject, Sendable {
    /// `request` has ended elsewhere: the loop calls `request.resume()` in its own thread, soon.
    func post(_ request: BlockRequest)

    /// Runs `work` in the loop's thread, soon. For rare things: task management, nexus loss.
    func perform(_ work: @escaping @Sendable () -> Void)
}

/// One request to a block device: the record that crosses from a loop to a handler's thread and back.
///
/// It is made once, with its task, and used again for every block operation that the task needs.
/// Between `start` and the end it belongs to the device; otherwise to the loop.
@safe
public final class BlockRequest: @unchecked Sendable {
    public enum Operation: UInt8, Sendable {
        /// Fill `buffer` from the medium.
        case read
        /// Write `buffer` to the medium.
        case write
        /// All writes that ended before this began are on stable storage when it ends.
        case flush
        /// Deallocate `extentByteCount` bytes at `byteOffset`. No buffer.
        case unmap
        /// Write the block in `buffer` over `extentByteCount` bytes.
        case writeSame
        /// `buffer` holds the data to compare, then as many bytes to write; `extentByteCount` is one half.
        case compareAndWrite
        /// Fill `extents` with the state of `extentByteCount` bytes at `byteOffset`, as far as it goes.
        case blockStatus
        /// `extentByteCount` bytes at `byteOffset` read as zeroes when it has ended, with storage behind them unless
        /// `mayUnmap`. No buffer.
        case writeZeroes
        /// `cdb` as it came; `buffer` holds what came from, or takes what goes to, the initiator.
        case passthrough
    }

    /// Bytes of `deviceRoom`.
    public static let deviceRoomByteCount = 1024

    // The question: set by the core before `start`.
    public var operation = Operation.flush
    /// Bytes from the start of the medium.
    public var byteOffset: UInt64 = 0
    /// Bytes of the medium that the operation touches.
    public var extentByteCount: UInt64 = 0
    /// One contiguous, page-aligned piece of memory, or empty.
    public var buffer = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// The command that caused the request, for handlers that look at it.
    public var cdb = CommandDescriptorBlock()
    public var extents: [BlockStatusExtent] = []
    /// Of `writeZeroes`.
    public var mayUnmap = false

    // The answer.
    public internal(set) var outcome = BlockOutcome.good
    /// Sense bytes of a passed-through command, set by the device before it completes.
    public var storeSense: [UInt8] = []
    /// Bytes moved by a passed-through command, where the store tells.
    public var transferredByteCount: Int?

    /// The device's own room for this request, 16-byte aligned, zeroed when the request is made.
    public let deviceRoom: UnsafeMutableRawPointer

    /// Whether the transport times the command: `TargetPort.requestBegan` and `requestEnded` are called. Set by the
    /// transport before `ITNexus.accept`.
    public var isTimed = false
    /// The transport's note of when a timed request was posted; 0 when it ended within its submission.
    public var postedNanoseconds: UInt64 = 0

    /// For queues of devices and loops: a link that costs no memory. Its holder keeps the request alive.
    public var next: Unmanaged<BlockRequest>?

    /// Who is told of the end; never changes while the request is under way.
    private(set) var loop: any OwnerLoop
    var task: Borrowed<SCSITask>?
    /// Instead of a task: what goes on when the request has ended. In the thread of `loop`.
    var resumption: (@Sendable () -> Void)?
    private let stage = Atomic<UInt8>(Stage.idle)
    private let isClaimed = Atomic<Bool>(true)
    private let cancelWish = Atomic<Bool>(false)

    private enum Stage {
        static let idle: UInt8 = 0
        static let submitting: UInt8 = 1
        static let pending: UInt8 = 2
        static let ended: UInt8 = 3
    }

    public init(loop: any OwnerLoop) {
        self.loop = loop
        unsafe deviceRoom = .allocate(byteCount: Self.deviceRoomByteCount, alignment: 16)
        unsafe deviceRoom.initializeMemory(as: UInt8.self, repeating: 0, count: Self.deviceRoomByteCount)
    }

    deinit {
        unsafe deviceRoom.deallocate()
    }

    /// Hands the request to `device`. True when it ended before this returned: then nobody else will tell.
    public func start(on device: any BlockDevice) -> Bool {
        stage.store(Stage.submitting, ordering: .relaxed)
        cancelWish.store(false, ordering: .relaxed)
        isClaimed.store(false, ordering: .releasing)
        device.submit(self)
        return stage.exchange(Stage.pending, ordering: .acquiringAndReleasing) == Stage.ended
    }

    /// It was started, and has not ended.
    var isUnderWay: Bool { !isClaimed.load(ordering: .acquiring) }

    /// Nobody waits for the outcome any more: a device that has not begun the request need not. From any thread.
    public var isCancelled: Bool { cancelWish.load(ordering: .relaxed) }

    /// The request's task has been aborted: has `device` end it soon, if it can. In the loop's thread.
    public func cancel(on device: any BlockDevice) {
        guard isUnderWay else { return }
        cancelWish.store(true, ordering: .sequentiallyConsistent)
        device.cancel(self)
    }

    /// Belongs to `loop` from now on. Not while it is under way.
    func move(to loop: any OwnerLoop) {
        precondition(!isUnderWay, "a request under way has its loop")
        self.loop = loop
    }

    /// The owner's loop has been told by `OwnerLoop.post`: the task goes on. In the loop's thread.
    public func resume() {
        if let resumption { return resumption() }
        // Safe: the transport keeps the task and its nexus until the task has ended.
        task?.use { task in
            task.nexus?.use { $0.resume(task) }
        }
    }

    /// Fills the question but for its memory, and forgets the answer before.
    func prepare(_ operation: Operation, byteOffset: UInt64 = 0, extentByteCount: UInt64 = 0) {
        self.operation = operation
        self.byteOffset = byteOffset
        self.extentByteCount = extentByteCount
        if !storeSense.isEmpty { storeSense = [] }
        transferredByteCount = nil
    }

    /// The device's report, from any thread, exactly once for each submission. False when the request had already
    /// ended: the caller is a handler that completes twice, and nothing has changed.
    @discardableResult
    public func complete(_ outcome: BlockOutcome) -> Bool {
        // Only the one who ends the request may write the outcome.
        guard !isClaimed.exchange(true, ordering: .acquiringAndReleasing) else { return false }
        self.outcome = outcome
        if stage.exchange(Stage.ended, ordering: .acquiringAndReleasing) == Stage.pending { loop.post(self) }
        return true
    }
}
