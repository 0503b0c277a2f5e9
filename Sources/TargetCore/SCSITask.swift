// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// SAM-5 task attributes.
public enum TaskAttribute: UInt8, Sendable {
    case simple, ordered, headOfQueue, aca
}

/// Bytes that a command moves, known once its CDB has been checked.
public struct TransferPlan: Sendable, Equatable {
    /// Bytes that the command takes from the initiator (by its CDB, not by what the transport announced).
    public var fromInitiator = 0
    /// At most so many bytes will go to the initiator.
    public var toInitiator = 0
    /// Bytes of working memory that the core needs besides.
    public var work = 0
    /// Data for the initiator go from where the device keeps them (`SCSITask.mappedData`): no memory is needed.
    public var isMapped = false
    /// Data from the initiator are not needed any more when `ITNexus.execute` has run the task: until then `buffer`
    /// may be the memory in which they were received, of any alignment.
    public var takesDataAtOnce = false

    public init(fromInitiator: Int = 0, toInitiator: Int = 0, work: Int = 0) {
        self.fromInitiator = fromInitiator
        self.toInitiator = toInitiator
        self.work = work
    }

    /// Where the working memory begins in the task's buffer: page-aligned.
    public var workOffset: Int { (max(fromInitiator, toInitiator) + 4095) & ~4095 }

    /// Bytes of the one buffer that the transport leases for the task.
    public var bufferByteCount: Int {
        isMapped ? 0 : work == 0 ? max(fromInitiator, toInitiator) : workOffset + work
    }
}

/// A command in the target: SAM-5's task, named by I_T_L_Q.
///
/// A transport makes its tasks at start-up or as its window grows, and uses them again. All of it belongs to the
/// loop of its nexus; only `request` ever leaves that thread.
@safe
public final class SCSITask {
    // The name, and what the initiator said. Set by the transport before `ITNexus.accept`.
    public var tag: UInt64 = 0
    public var lun = LogicalUnitNumber(rawValue: 0)
    public var attribute = TaskAttribute.simple
    public var cdb = CommandDescriptorBlock()
    /// Bytes that the transport expects to move from the initiator (iSCSI: EDTL with the W bit).
    public var expectedFromInitiator = 0
    public var expectedToInitiator = 0

    /// The transport can send data that may change while they are on their way: later writes show through. It cannot
    /// where it computes a digest of them beforehand.
    public var allowsMappedData = false

    /// Set by `ITNexus.accept`.
    public internal(set) var plan = TransferPlan()
    /// With a plan that is mapped: all bytes for the initiator, in the device's memory.
    public internal(set) var mappedData = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

    /// Page-aligned memory of at least `plan.bufferByteCount` bytes, leased by the transport between `accept` and
    /// `execute`; the core never frees it. Data from the initiator stand at its start when `execute` is called, and
    /// data for the initiator stand there when the task is finished.
    public var buffer = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// Bytes at the start of `buffer` that really came from the initiator: less than `plan.fromInitiator` when the
    /// transport expected less.
    public var receivedByteCount = 0

    // The end. Valid when the port is told that the task is finished.
    public internal(set) var status = Status.good
    /// Goes with CHECK CONDITION.
    public internal(set) var sense: SenseData?
    /// Goes with CHECK CONDITION instead of `sense` where a store gave sense bytes of its own.
    public internal(set) var storeSense: [UInt8] = []
    /// Valid bytes for the initiator at the start of `dataToInitiator`.
    public internal(set) var toInitiatorByteCount = 0

    /// Where the data for the initiator stand.
    public var dataToInitiator: UnsafeRawBufferPointer {
        unsafe plan.isMapped ? mappedData : UnsafeRawBufferPointer(buffer)
    }

    /// The transport's own object for the task.
    public var transportContext: Borrowed<AnyObject>?

    public let request: BlockRequest

    // The core's own. Where the task is, and the state of a command of several steps.
    // The references are borrowed: the nexus and the table outlive every task in a task set, and the transport keeps
    // a task alive from `accept` until it is told of its end.
    var nexus: Borrowed<ITNexus>?
    var unit: Borrowed<NexusUnit>?
    var descriptor: Borrowed<CommandDescriptor>?
    var olderInTaskSet: Borrowed<SCSITask>?
    var youngerInTaskSet: Borrowed<SCSITask>?
    var nextReady: Borrowed<SCSITask>?
    var ordering = TaskOrdering.simple
    var state = State.free
    var isAborted = false
    /// With what it ends then.
    var abortNotice = AbortNotice.none
    /// `request` has ended, and its outcome has not been looked at.
    var hasUnsettledRequest = false
    /// Its first step has been called, or is about to be: it found no claim of others.
    var hasBegun = false
    /// What the task has of its unit's extent guard.
    var extentClaim = ExtentClaim.none
    /// What the task has of its unit's turns.
    var turn = Turn.none
    /// The device of a request that does not go to the unit's own.
    var otherDevice: (any BlockDevice)?
    /// The background operation that the command has begun, and whose end it may wait for.
    var operation: BackgroundOperation?
    /// A third-party copy, with all that it is about.
    var copy: CopyOperation?
    /// The row waited for a save, which did not come about.
    var hasFailedToSave = false
    /// Raw CDBs of a pass-through store: whether the command is to be offered as it came before `descriptor` runs it,
    /// and with what it ends when the store leaves it to the core and there is no row for it.
    var isOffered = false
    var refusal: SenseData?
    /// Counts the steps of a command that needs several block requests; each command gives the numbers a meaning.
    var step = 0
    /// Bytes or blocks done so far, for commands that work in pieces.
    var progress: UInt64 = 0
    var descriptorIndex = 0
    /// Of a unit with protection information: how far the piece is, and that the tuples follow the data in a flush.
    var phase = ProtectionPhase.start
    var flushesTuples = false

    enum ExtentClaim: UInt8 {
        case none
        case waiting
        /// Granted; an exclusive one may still wait for those that began before.
        case held
        /// Exclusive, and nobody else touches the blocks.
        case quiet
    }

    enum Turn: UInt8 {
        case none, waiting, held
    }

    enum State: UInt8 {
        case free
        /// Accepted; the transport gathers its data.
        case awaitingData
        /// Waits for earlier tasks of its task set (SAM-5: dormant, or blocked).
        case blocked
        /// Waits for something outside its task set: another's COMPARE AND WRITE, the end of preempted tasks.
        case waiting
        /// Runs on the loop, or in the device.
        case enabled
        case finished
    }

    public init(loop: any OwnerLoop) {
        request = BlockRequest(loop: loop)
        request.task = Borrowed(self)
    }

    /// The transport has copied the mapped data to the start of `buffer`, and sends them from there.
    public func settleMappedData() {
        unsafe mappedData = UnsafeRawBufferPointer(rebasing: buffer[..<mappedData.count])
    }

    /// Forgets the command before.
    func begin(on nexus: ITNexus) {
        self.nexus = Borrowed(nexus)
        unit = nil
        plan = TransferPlan()
        descriptor = nil
        status = .good
        sense = nil
        if !storeSense.isEmpty { storeSense = [] }
        toInitiatorByteCount = 0
        receivedByteCount = 0
        isAborted = false
        abortNotice = .none
        hasUnsettledRequest = false
        hasBegun = false
        extentClaim = .none
        turn = .none
        if otherDevice != nil { otherDevice = nil }
        if operation != nil { operation = nil }
        if copy != nil { copy = nil }
        hasFailedToSave = false
        isOffered = false
        refusal = nil
        step = 0
        progress = 0
        descriptorIndex = 0
        phase = .start
        flushesTuples = false
    }
}

/// What the core needs of the transport that carries a nexus. All calls come in the loop's thread.
public protocol TargetPort: AnyObject {
    /// The first request since `ITNexus.turnEnded` has gone to a device: the transport calls that before its loop
    /// sleeps, whatever made the request, because a device may wait for it.
    func submissionsBegan()

    /// `task` has ended with `status`: the transport sends its data and status, and gives the task back for use by a
    /// later command. May be called from within `execute`. Not called for a task that was aborted before its status
    /// was determined: that is `taskAborted`.
    func taskFinished(_ task: SCSITask)

    /// The request of a timed task is about to go to its device; more than one may follow each other.
    func requestBegan(_ task: SCSITask)

    /// It has ended, within its submission or as the loop took it up.
    func requestEnded(_ task: SCSITask)

    /// Data that stand in devices' memory and have not been sent are about to change together: the transport copies
    /// them now (`SCSITask.settleMappedData`).
    func settleMappedData()

    /// `task` was aborted by task management: no status goes to the initiator (SAM-5 5.6), nothing touches its buffer
    /// any more, and the transport takes the task back.
    func taskAborted(_ task: SCSITask)
}

extension TargetPort {
    public func requestBegan(_ task: SCSITask) {}

    public func requestEnded(_ task: SCSITask) {}

    public func settleMappedData() {}
}

/// What became of a command when it arrived.
public enum Acceptance: Sendable {
    /// It has ended already; `status` and `sense` of the task are set. `taskFinished` is not called.
    case ended
    /// It may run once its buffer is leased and the data of `task.plan` have come: then `execute` is called.
    case accepted
}
