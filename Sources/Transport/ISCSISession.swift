// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// A normal iSCSI session: an I_T nexus with its tasks and their memory, and one connection or several. All of it lives
/// on one loop; it outlives its connections until no handler holds a command of it. The files beside this one hold its
/// parts: connections, memory, recovery, what the core tells it.
@safe final class ISCSISession {
    let name: SessionName
    let handle: SessionHandle
    let target: SCSITarget
    /// The logical units that its initiator is to see.
    private(set) var view: LUNView
    /// Of the session: what each connection negotiated for itself is in the connection.
    let parameters: SessionParameters
    let context: LoopContext
    /// CmdSN order over all connections.
    let order: CommandOrder
    /// In the full feature phase.
    var connections: [ISCSIConnection] = []
    /// Connections that have gone and whose tasks are not settled yet.
    var departures: [Departure] = []
    /// Who has logged in, also while no connection is there.
    var visitor: Visitor?
    /// Connections that have gone so far.
    var departureCount: UInt64 = 0
    var machine = SessionStateMachine()
    /// Connections that are about to join: their logins are good.
    var joining: [ISCSIConnection] = []
    /// Response fences, the first of them in force.
    var fences: [ResponseFence] = []
    /// All of it ends: no connection joins any more.
    var isEnding = false
    private var nexusHolder: ITNexus!
    /// Lives as long as the session.
    private(set) var nexus: Borrowed<ITNexus>!

    private(set) var tasks: [ISCSITask] = []
    /// Of `tasks`.
    private var freeTasks: [Borrowed<ISCSITask>] = []
    /// Of the tasks that are not free.
    private var tags = TaskTags()
    /// Requests that wait for commands to end in their handlers.
    private var waitCount = 0
    var leasedByteCount = 0
    var memoryWaiters: [ISCSITask] = []
    private var isTurnPlanned = false
    private var idleActions: [() -> Void] = []
    private(set) var isQuiet = false
    /// Commands that have come.
    var commandCount: UInt64 = 0
    var quietActions: [() -> Void] = []
    private var hasLostNexus = false
    /// Names the session in samples.
    let statisticsNumber: UInt64
    /// The commands of the session that have ended.
    private(set) var ended = UnitCounters()
    /// By flat logical unit number: what is counted there, once it has been sought.
    private var countedUnits: [UnsafeMutablePointer<CountedUnit>?] = unsafe []

    /// Immediate commands beyond the window that a session may have under way (RFC 7143 4.2.2.1).
    static let immediateCommandLimit = 16

    init(
        name: SessionName, handle: SessionHandle, grant: AccessGrant, parameters: SessionParameters,
        order: CommandOrder, context: LoopContext
    ) {
        self.name = name
        self.handle = handle
        target = grant.target
        view = grant.view
        self.parameters = parameters
        self.order = order
        self.context = context
        statisticsNumber = context.server.nextSessionNumber()
        let depth = Int(context.server.configuration.commandWindowDepth)
        tasks.reserveCapacity(depth + Self.immediateCommandLimit)
        freeTasks.reserveCapacity(depth + Self.immediateCommandLimit)
        nexusHolder = ITNexus(
            target: target, initiatorPortName: Self.portName(name), targetPort: grant.port, loop: context.mailbox,
            port: self, map: grant.map)
        nexus = Borrowed(nexusHolder)
        nonisolated(unsafe) let session = self
        handle.attach { reason, done in
            unsafe session.terminate(reason: reason, done)
        } join: { handover in
            unsafe session.join(handover)
        }
    }

    /// The SCSI port name of the initiator port, as RFC 7143 forms it from the iSCSI name and the ISID.
    private static func portName(_ name: SessionName) -> String {
        "\(name.initiatorName),i,0x\(hexadecimal(name.isid, digits: 12))"
    }

    private static func hexadecimal(_ value: UInt64, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// The configuration shows its initiator other logical units from now on.
    func change(to grant: AccessGrant) {
        nexus.object.change(to: grant.map) {}
        view = grant.view
        // A number may lead elsewhere now. What was in a device meanwhile ends as the number's.
        unsafe countedUnits.removeAll()
        connections.first?.sendSCSIEvent(.reportedLUNsDataHasChanged)
    }

    // MARK: Tasks

    /// Commands under way.
    var activeTaskCount: Int { tasks.count - freeTasks.count }

    /// Commands that may be under way: the window's, and some immediate ones.
    var taskLimit: Int { Int(context.server.configuration.commandWindowDepth) + Self.immediateCommandLimit }

    /// A free task; nil when the session has all that it may have.
    func takeTask() -> Borrowed<ISCSITask>? {
        if let task = freeTasks.popLast() { return task }
        // Twice the window: those under way, and those whose response the peer has not taken yet.
        let limit = 2 * Int(context.server.configuration.commandWindowDepth) + Self.immediateCommandLimit
        guard tasks.count < limit else { return takeRetainedTask() }
        let task = context.takeSpareTask(for: self, index: UInt32(tasks.count))
        tasks.append(task)
        return Borrowed(task)
    }

    /// All tasks are in use, some of them only so that their responses can be sent again: the oldest of these goes.
    private func takeRetainedTask() -> Borrowed<ISCSITask>? {
        for connection in connections {
            while freeTasks.isEmpty, connection.shedRetained() {}
        }
        let departed = tasks.filter { $0.connection == nil && $0.phase == .responding }
        if freeTasks.isEmpty, let oldest = departed.min(by: { $0.sequence < $1.sequence }) { dropResponse(of: oldest) }
        return freeTasks.popLast()
    }

    /// The newest command of this tag: an older one may still wait for the acknowledgement of its status.
    func task(initiatorTaskTag: UInt32, where matches: (ISCSITask) -> Bool) -> ISCSITask? {
        var position = tags.newest(of: initiatorTaskTag)
        while let found = position {
            if matches(tasks[found]) { return tasks[found] }
            position = tags.older(than: found)
        }
        return nil
    }

    /// Whether a command of this tag is still to be answered (RFC 7143 11.2.1.8). One whose connection has gone, and that
    /// nobody can reassign, is not.
    func isInUse(initiatorTaskTag: UInt32) -> Bool {
        task(initiatorTaskTag: initiatorTaskTag) { task in
            !task.isStatusSent && (task.connection != nil || keepsTasks(ofDeparture: task.departure))
        } != nil
    }

    /// `task` carries out a command of this tag from now on.
    func enter(_ task: ISCSITask, initiatorTaskTag: UInt32) {
        tags.insert(initiatorTaskTag, position: task.position)
    }

    func task(targetTransferTag: UInt32) -> Borrowed<ISCSITask>? {
        let index = Int(targetTransferTag & (1 << ISCSITask.positionBitCount - 1))
        guard index < tasks.count, tasks[index].targetTransferTag == targetTransferTag else { return nil }
        return Borrowed(tasks[index])
    }

    /// The task that still takes unsolicited data under this tag.
    func task(unsolicitedFor initiatorTaskTag: UInt32) -> Borrowed<ISCSITask>? {
        task(initiatorTaskTag: initiatorTaskTag) { $0.phase == .gathering || $0.phase == .draining }
            .map { Borrowed($0) }
    }

    /// The response has gone, or will never be sent: everything is given back.
    func release(_ task: ISCSITask) {
        forgetMemoryWait(of: task)
        giveBackLease(of: task)
        tags.remove(position: task.position)
        task.phase = .free
        freeTasks.append(Borrowed(task))
        if freeTasks.count == tasks.count { becameIdle() }
    }

    /// A task that the core does not know any more ends without an answer.
    func drop(_ task: ISCSITask) {
        task.connection?.use { $0.forget(task) }
        dropResponse(of: task)
    }

    /// `task` has ended for the core, and is not answered.
    func dropResponse(of task: ISCSITask) {
        if !task.isResponseBegun { window.commandEnded() }
        release(task)
    }

    /// No more data will be taken: the commands that wait for some never were.
    func dropIncompleteTasks() {
        for task in tasks where task.phase == .gathering || task.phase == .draining {
            if task.phase == .gathering { nexus.object.cancel(task.scsi) }
            drop(task)
        }
    }

    var window: CommandWindow {
        get { unsafe order.contents.pointee.window }
        _modify { yield unsafe &order.contents.pointee.window }
    }

    /// Task management and logouts that may wait for commands to end. One that has been answered in vain still counts:
    /// while a handler keeps its commands, a peer cannot make us remember ever more requests about them.
    private static let waitLimit = 64

    /// A request is about to wait for commands to end; `endWait` follows. False when too many wait already.
    func beginWait() -> Bool {
        guard waitCount < Self.waitLimit else { return false }
        waitCount += 1
        return true
    }

    func endWait() { waitCount -= 1 }

    // MARK: Turns

    func planTurn() {
        guard !isTurnPlanned else { return }
        isTurnPlanned = true
        context.willEndTurn(self)
    }

    func turnEnded() {
        isTurnPlanned = false
        serveMemoryWaiters()
        nexus.use { $0.turnEnded() }
    }

    // MARK: Counting

    /// Where the commands to `lun` are counted; nil where there is no logical unit for this session.
    func counted(_ lun: LogicalUnitNumber) -> UnsafeMutablePointer<CountedUnit>? {
        guard let index = lun.flatIndex, index < Self.countedUnitLimit else { return nil }
        let count = unsafe countedUnits.count
        if index < count, let unit = unsafe countedUnits[index] { return unsafe unit }
        guard nexus.use({ $0.sees(index) }), let device = view.units[index]?.device else { return nil }
        if count <= index { unsafe countedUnits += Array(repeating: nil, count: index + 1 - count) }
        let unit = unsafe context.counted(UnitName(targetName: name.targetName, lun: index, device: device))
        unsafe countedUnits[index] = unsafe unit
        return unsafe unit
    }

    /// Logical units that are counted apart: as many as flat addressing names at most.
    private static let countedUnitLimit = 16384

    func count(_ task: ISCSITask) {
        let isGood = task.scsi.status == .good || task.scsi.status == .conditionMet
        let readByteCount = UInt64(min(task.scsi.toInitiatorByteCount, task.expectedToInitiator))
        let writtenByteCount = UInt64(task.receivedByteCount)
        ended.count(isGood: isGood, readByteCount: readByteCount, writtenByteCount: writtenByteCount)
        guard let unit = unsafe counted(task.scsi.lun) else { return }
        unsafe unit.pointee.counters.count(
            isGood: isGood, readByteCount: readByteCount, writtenByteCount: writtenByteCount)
    }

    /// Tasks that have ended for the core and wait for the end of their unsolicited data.
    func drainingTasks(where matches: (ISCSITask) -> Bool) -> [ISCSITask] {
        tasks.filter { $0.phase == .draining && matches($0) }
    }

    // MARK: The end

    /// Calls `action` when no command is under way, at once if that is so.
    func whenIdle(_ action: @escaping () -> Void) {
        if activeTaskCount == 0 { action() } else { idleActions.append(action) }
    }

    private func becameIdle() {
        guard !idleActions.isEmpty else { return }
        let actions = idleActions
        idleActions = []
        for action in actions { action() }
    }

    /// All commands of the nexus end, and it with them: `becameQuiet` follows.
    func loseNexus() {
        guard !hasLostNexus else { return }
        hasLostNexus = true
        isEnding = true
        _ = machine.handle(.sessionClosed)
        idleActions = []
        memoryWaiters = []
        order.forgetWaits()
        context.keepUntilQuiet(self)
        for task in tasks where task.phase == .responding || task.phase == .draining {
            giveBackLease(of: task)
            tags.remove(position: task.position)
            task.phase = .free
        }
        nexus.object.close { [self] in becameQuiet() }
    }

    private func becameQuiet() {
        isQuiet = true
        for task in tasks { giveBackLease(of: task) }
        context.keepSpare(tasks)
        tasks = []
        freeTasks = []
        handle.detach()
        context.server.directory.release(name, handle)
        context.becameQuiet(self)
        let actions = quietActions
        quietActions = []
        for action in actions { action() }
    }
}
