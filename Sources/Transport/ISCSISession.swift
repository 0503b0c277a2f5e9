// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// A normal iSCSI session: an I_T nexus with its tasks and their memory. Lives on the loop of its one connection, and
/// outlives the connection until no handler holds a command of it.
@safe final class ISCSISession {
    let name: SessionName
    let handle: SessionHandle
    let target: SCSITarget
    /// The logical units that its initiator is to see.
    private(set) var view: LUNView
    let parameters: NegotiatedParameters
    let context: LoopContext
    /// Nil once the connection has closed.
    private(set) var connection: ISCSIConnection? {
        didSet { link = connection.map { Borrowed($0) } }
    }
    /// The connection, uncounted.
    private(set) var link: Borrowed<ISCSIConnection>?
    private var nexusHolder: ITNexus!
    /// Lives as long as the session.
    private(set) var nexus: Borrowed<ITNexus>!

    private var tasks: [ISCSITask] = []
    /// Of `tasks`.
    private var freeTasks: [Borrowed<ISCSITask>] = []
    private(set) var leasedByteCount = 0
    private var memoryWaiters: [ISCSITask] = []
    private var isTurnPlanned = false
    private var idleActions: [() -> Void] = []
    private var isQuiet = false
    private var quietActions: [() -> Void] = []
    /// Names the session in samples, and its target by its position.
    let statisticsNumber: UInt64
    let statisticsTarget: UInt32
    /// The commands of the session that have ended.
    private(set) var ended = UnitCounters()
    private var unitCounters: [UnsafeMutablePointer<UnitCounters>?] = unsafe []

    /// Immediate commands beyond the window that a session may have under way (RFC 7143 4.2.2.1).
    static let immediateCommandLimit = 16

    init(
        name: SessionName, handle: SessionHandle, grant: AccessGrant, parameters: NegotiatedParameters,
        connection: ISCSIConnection
    ) {
        self.name = name
        self.handle = handle
        target = grant.target
        view = grant.view
        self.parameters = parameters
        self.connection = connection
        context = connection.context
        statisticsNumber = context.server.nextSessionNumber()
        statisticsTarget = UInt32(context.server.statisticsPosition(ofTarget: name.targetName))
        let depth = Int(context.server.configuration.commandWindowDepth)
        tasks.reserveCapacity(depth + Self.immediateCommandLimit)
        freeTasks.reserveCapacity(depth + Self.immediateCommandLimit)
        link = Borrowed(connection)
        nexusHolder = ITNexus(
            target: target, initiatorPortName: Self.portName(name), targetPort: grant.port, loop: context.mailbox,
            port: self, map: grant.map)
        nexus = Borrowed(nexusHolder)
        nonisolated(unsafe) let session = self
        handle.attach { reason, done in unsafe session.terminate(reason: reason, done) }
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
        view = grant.view
        nexus.object.change(to: grant.map) {}
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
        guard tasks.count < limit else { return nil }
        let task = context.takeSpareTask(for: self, index: UInt32(tasks.count))
        tasks.append(task)
        return Borrowed(task)
    }

    func task(targetTransferTag: UInt32) -> Borrowed<ISCSITask>? {
        let index = Int(targetTransferTag & 0xFFFF)
        guard index < tasks.count, tasks[index].targetTransferTag == targetTransferTag else { return nil }
        return Borrowed(tasks[index])
    }

    /// The task that still takes unsolicited data under this tag. Few are in that state at a time.
    func task(unsolicitedFor initiatorTaskTag: UInt32) -> Borrowed<ISCSITask>? {
        for task in tasks where task.initiatorTaskTag == initiatorTaskTag {
            if task.phase == .gathering || task.phase == .draining { return Borrowed(task) }
        }
        return nil
    }

    /// The response has gone, or will never be sent: everything is given back.
    func release(_ task: ISCSITask) {
        forgetMemoryWait(of: task)
        giveBackLease(of: task)
        task.phase = .free
        task.write = nil
        freeTasks.append(Borrowed(task))
        if freeTasks.count == tasks.count { becameIdle() }
    }

    /// `task` does not wait for memory any more.
    func forgetMemoryWait(of task: ISCSITask) {
        guard task.waitsForMemory else { return }
        task.waitsForMemory = false
        memoryWaiters.removeAll { $0 === task }
    }

    // MARK: Memory

    /// Leases the buffer of an accepted command, as far as the session's share allows. Early data always find room.
    func leaseBuffer(for task: ISCSITask, earlyByteCount: Int) {
        let need = task.scsi.plan.bufferByteCount
        if fits(need) {
            lease(need, for: task)
        } else {
            task.hasShortLease = true
            if earlyByteCount > 0 { lease(min(need, earlyByteCount), for: task) }
        }
    }

    private func fits(_ byteCount: Int) -> Bool {
        leasedByteCount == 0 || leasedByteCount + byteCount <= context.server.configuration.sessionBufferByteCount
    }

    private func lease(_ byteCount: Int, for task: ISCSITask) {
        task.lease = context.pool.lease(byteCount: byteCount)
        leasedByteCount += task.lease.byteCount
        unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(
            start: task.lease.base, count: task.lease.byteCount)
    }

    /// `task` still waits, and its data are about to go with the batch in which they came.
    func keepLentBuffer(of task: ISCSITask) {
        let data = unsafe UnsafeRawBufferPointer(task.scsi.buffer)
        lease(data.count, for: task)
        task.hasLentBuffer = false
        // The lease holds at least as much.
        unsafe task.scsi.buffer.copyMemory(from: data)
    }

    /// Data that are still to be sent from a device's memory stay as they are: they are copied.
    func settleMappedReads() {
        for task in tasks where task.phase == .responding && task.scsi.plan.isMapped && task.lease.isEmpty {
            let data = unsafe task.scsi.mappedData
            lease(data.count, for: task)
            unsafe task.scsi.buffer.copyMemory(from: data)
            task.scsi.settleMappedData()
            link?.use { unsafe $0.coalescer.move(vectorsOf: task, from: data, to: task.scsi.buffer.baseAddress) }
        }
    }

    private func giveBackLease(of task: ISCSITask) {
        if task.hasLentBuffer {
            task.hasLentBuffer = false
            unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        guard !task.lease.isEmpty else { return }
        leasedByteCount -= task.lease.byteCount
        context.pool.giveBack(task.lease)
        task.lease = .none
        unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        if !memoryWaiters.isEmpty { planTurn() }
    }

    func waitForMemory(_ task: ISCSITask) {
        guard !task.waitsForMemory else { return }
        task.waitsForMemory = true
        memoryWaiters.append(task)
        planTurn()
    }

    /// The first in line go on as far as there is memory again.
    private func serveMemoryWaiters() {
        while let task = memoryWaiters.first {
            guard task.waitsForMemory, task.phase == .gathering, task.hasShortLease else {
                memoryWaiters.removeFirst()
                continue
            }
            let need = task.scsi.plan.bufferByteCount
            guard leasedByteCount == task.lease.byteCount || fits(need - task.lease.byteCount) else { return }
            memoryWaiters.removeFirst()
            task.waitsForMemory = false
            widenLease(of: task, to: need)
            connection?.proceed(task)
        }
    }

    private func widenLease(of task: ISCSITask, to byteCount: Int) {
        let early = task.lease
        leasedByteCount -= early.byteCount
        lease(byteCount, for: task)
        if let source = unsafe early.base, let target = unsafe task.lease.base {
            unsafe connection?.moveSegment(of: task, from: source, to: target)
            unsafe target.copyMemory(from: source, byteCount: min(early.byteCount, task.lease.byteCount))
        }
        context.pool.giveBack(early)
        task.hasShortLease = false
    }

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

    func counters(of lun: LogicalUnitNumber) -> UnsafeMutablePointer<UnitCounters>? {
        guard let index = lun.flatIndex, index < Self.countedUnits else { return nil }
        let count = unsafe unitCounters.count
        if index < count, let counters = unsafe unitCounters[index] { return unsafe counters }
        if count <= index { unsafe unitCounters += Array(repeating: nil, count: index + 1 - count) }
        guard nexus.use({ $0.sees(index) }) else { return nil }
        let counters = unsafe context.counters(of: UnitName(targetName: name.targetName, lun: index))
        unsafe unitCounters[index] = unsafe counters
        return unsafe counters
    }

    /// Logical units that are counted apart: as many as flat addressing names at most.
    private static let countedUnits = 16384

    func count(_ task: ISCSITask) {
        let isGood = task.scsi.status == .good || task.scsi.status == .conditionMet
        let readByteCount = UInt64(min(task.scsi.toInitiatorByteCount, task.expectedToInitiator))
        let writtenByteCount = UInt64(task.write?.receivedByteCount ?? 0)
        ended.count(isGood: isGood, readByteCount: readByteCount, writtenByteCount: writtenByteCount)
        guard let counters = unsafe counters(of: task.scsi.lun) else { return }
        unsafe counters.pointee.count(
            isGood: isGood, readByteCount: readByteCount, writtenByteCount: writtenByteCount)
    }

    /// Tasks that have ended for the core and wait for the end of their unsolicited data.
    func drainingTasks(where matches: (ISCSITask) -> Bool) -> [ISCSITask] {
        tasks.filter { $0.phase == .draining && matches($0) }
    }

    /// No more data will be taken: the commands that wait for some never were.
    func dropIncompleteTasks() {
        for task in tasks where task.phase == .gathering || task.phase == .draining {
            if task.phase == .gathering { nexus.object.cancel(task.scsi) }
            connection?.drop(task)
        }
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

    /// Ends all commands; `done` is called when none of them can touch a medium any more. The connection stays.
    func endTasks(_ done: @escaping () -> Void) {
        memoryWaiters = []
        nexus.object.close(completion: done)
    }

    /// The connection has gone: the nexus is lost. When everything of it is quiet the session ends.
    func connectionClosed() {
        connection = nil
        idleActions = []
        memoryWaiters = []
        for task in tasks where task.phase == .responding || task.phase == .draining {
            giveBackLease(of: task)
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

    /// Ends the session for a successor of the same name (RFC 7143 6.3.5). In its own loop.
    private func terminate(reason: String, _ done: @escaping @Sendable () -> Void) {
        if isQuiet { return done() }
        quietActions.append(done)
        connection?.close(reason: reason)
    }
}
