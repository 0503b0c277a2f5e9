// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// An I_T nexus: an initiator port and a target port that have logged in to each other.
///
/// Lives on one loop, and is called in its thread only. The transport brings each command twice: `accept` checks it
/// and says what memory and data it needs, `execute` runs it.
public final class ITNexus {
    public let target: SCSITarget
    /// The target's port of the nexus.
    public let targetPort: TargetPortDescription
    public let identity: NexusIdentity
    /// SCSI target port name as the transport gives it; with iSCSI `iqn,t,0xTPGT`.
    public let targetPortName: String
    public let protocolIdentifier: ProtocolIdentifier
    public let loop: any OwnerLoop

    /// Nil once the nexus is closed and quiet.
    private var portHolder: PortHolder?
    /// The same: `portHolder` keeps it alive.
    private(set) var port: Borrowed<PortHolder>?
    /// What the nexus sees now, by flat logical unit number. Changed by `ITNexus.change` alone.
    var units: [NexusUnit?] = [] {
        didSet { links = units.map { Borrowed($0 ?? absentUnit) } }
    }
    /// The same, without counting and without holes.
    private var links: [Borrowed<NexusUnit>] = []
    /// What it sees no more, until the last command there has ended.
    var departing: [NexusUnit] = []
    private(set) var absentUnit: NexusUnit!
    let ready = ReadyQueue()
    var isDraining = false
    /// Waits of task management for aborted tasks.
    var quietWaits: [QuietWait] = []
    /// Waits of atomic commands for those that began before them.
    var drains: [ExtentDrain] = []
    private var otherTouched: [any BlockDevice] = []
    private(set) var isClosed = false
    private var firstTouched: NexusUnit?

    /// `initiatorPortName`: with iSCSI `name,i,0xISID`. `map`: what the nexus sees; nil: the target's own map.
    /// `targetPort`: which of the target's ports it came through; nil: the first. `targetPortName`: nil: the port's.
    public init(
        target: SCSITarget, initiatorPortName: String, targetPortName: String? = nil,
        targetPort: TargetPortDescription? = nil, protocolIdentifier: ProtocolIdentifier = .iSCSI,
        loop: any OwnerLoop, port: any TargetPort, map: LUNMap? = nil
    ) {
        self.target = target
        self.protocolIdentifier = protocolIdentifier
        let targetPort = targetPort ?? target.ports[0]
        self.targetPort = targetPort
        identity = NexusIdentity(
            initiatorPortName: initiatorPortName, relativeTargetPort: targetPort.relativeIdentifier)
        self.targetPortName = targetPortName ?? targetPort.name
        self.loop = loop
        let holder = PortHolder(port)
        portHolder = holder
        self.port = Borrowed(holder)
        absentUnit = NexusUnit(absentOn: self)
        let map = map ?? target.map
        target.leads(to: map)
        var units = [NexusUnit?](repeating: nil, count: map.endNumber)
        for (number, entry) in map.entries { units[number] = newUnit(entry) }
        self.units = units
        links = units.map { Borrowed($0 ?? absentUnit) }
    }

    /// The I_T_L nexus for what appears in the map; nil when the unit is to go.
    func newUnit(_ entry: LUNMap.Entry) -> NexusUnit? {
        let unit = NexusUnit(entry, nexus: self)
        guard unit.attach() else { return nil }
        if target.postsPowerOnAttention { unit.attentions.post(.powerOnResetOrBusDeviceReset) }
        return unit
    }

    // MARK: - Commands

    /// A command has come. The task is in its task set from now on, unless it has `.ended`.
    public func accept(_ task: SCSITask) -> Acceptance {
        task.begin(on: self)
        guard !isClosed else {
            task.status = .taskAborted
            task.state = .free
            return .ended
        }
        do {
            let isReserved = try admit(task) == .reservationConflict
            if !isReserved { return .accepted }
            task.status = .reservationConflict
        } catch {
            task.status = .checkCondition
            task.sense = error
        }
        task.state = .free
        return .ended
    }

    /// The data of an accepted task have come, and its buffer is leased.
    public func execute(_ task: SCSITask) {
        guard task.state == .awaitingData, let unit = task.unit else { return }
        task.request.cdb = task.cdb
        unit.use { unit in
            if unit.taskSet.holdsBack(task) { return unit.taskSet.block(task) }
            task.state = .enabled
            start(task)
        }
    }

    /// Runs a task that is enabled: at once, unless another one runs.
    private func start(_ task: SCSITask) {
        guard !isDraining else { return ready.append(task) }
        isDraining = true
        run(task)
        runReady()
        isDraining = false
    }

    /// The transport gives up an accepted task whose data will not come. The task is free when this returns; no
    /// callback follows. Does nothing to a task that has been executed: it ends by itself.
    public func cancel(_ task: SCSITask) {
        guard task.state == .awaitingData, let unit = task.unit?.object else { return }
        unit.taskSet.remove(task)
        task.state = .free
        unblock(unit)
        drain()
    }

    /// An accepted task whose data are unusable ends with CHECK CONDITION, told by `taskFinished`.
    public func fail(_ task: SCSITask, _ sense: SenseData) {
        guard task.state == .awaitingData else { return }
        finish(task, .checkCondition, sense: sense)
        drain()
    }

    /// The loop's turn is over: devices that took requests are told so.
    public func turnEnded() {
        while let unit = firstTouched {
            firstTouched = unit.nextTouched
            unit.nextTouched = nil
            unit.isTouched = false
            unit.unit.device.submissionsEnded()
        }
        if otherTouched.isEmpty { return }
        let others = otherTouched
        otherTouched.removeAll(keepingCapacity: true)
        for device in others { device.submissionsEnded() }
    }

    /// The same for a device that is not a unit's own.
    func touch(_ device: any BlockDevice) {
        if firstTouched == nil, otherTouched.isEmpty { port?.use { $0.port.submissionsBegan() } }
        if !otherTouched.contains(where: { $0 === device }) { otherTouched.append(device) }
    }

    func touch(_ unit: NexusUnit) {
        guard !unit.isTouched else { return }
        unit.isTouched = true
        if firstTouched == nil, otherTouched.isEmpty { port?.use { $0.port.submissionsBegan() } }
        unit.nextTouched = firstTouched
        firstTouched = unit
    }

    /// The unit that `lun` names; the stand-in when it names none.
    func unit(for lun: LogicalUnitNumber) -> NexusUnit {
        link(for: lun).object
    }

    func link(for lun: LogicalUnitNumber) -> Borrowed<NexusUnit> {
        guard let index = lun.flatIndex, index < links.count else { return Borrowed(absentUnit) }
        return links[index]
    }

    /// Takes back a condition that all units of the target have been told of, or that is true no more.
    func clearAttentions(_ attention: UnitAttention) {
        for unit in presentUnits { unit.attentions.clear(attention) }
    }

    var presentUnits: [NexusUnit] { units.compactMap { $0 } }

    /// Those, too, that are gone from the map and still have commands under way.
    var attachedUnits: [NexusUnit] { presentUnits + departing }

    /// The flat numbers behind which the nexus finds a logical unit, ascending.
    public var logicalUnitNumbers: [Int] { units.indices.filter { units[$0] != nil } }

    /// Whether the nexus finds a logical unit behind a flat number.
    public func sees(_ number: Int) -> Bool { units.indices.contains(number) && units[number] != nil }

    // MARK: - The end

    /// Nexus loss (SAM-5 6.3.4): all tasks are aborted. `completion` is called in the loop's thread, perhaps before
    /// this returns, when none of them can touch a medium any more; after that no callback comes.
    public func close(completion: @escaping () -> Void) {
        isClosed = true
        abort(.all, of: attachedUnits + [absentUnit]) { [self] in
            turnEnded()
            for unit in attachedUnits { unit.detach() }
            port = nil
            portHolder = nil
            completion()
        }
    }
}

/// Holds the transport's end of a nexus: a constant in an object is used without being counted.
final class PortHolder {
    let port: any TargetPort

    init(_ port: any TargetPort) { self.port = port }
}
