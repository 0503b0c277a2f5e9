// SPDX-License-Identifier: Apache-2.0

/// An I_T_L nexus: one logical unit as one initiator port knows it. Belongs to the loop of its nexus.
///
/// A nexus has one more of these for all logical unit numbers behind which there is nothing; `isAbsent` tells.
final class NexusUnit {
    let unit: LogicalUnit
    let table: CommandTable
    /// Unit attention conditions pending for this nexus, posted by any thread.
    let attentions = PendingUnitAttentions()
    /// What the logical unit knows of this nexus; nil while it is not attached.
    private(set) var attachment: UnitAttachment?
    /// What the commands of this nexus have done, for the log pages.
    let activity = UnitActivity()
    /// What WRITE BUFFER has put into the echo buffer; nil: nothing yet.
    var echoBuffer: [UInt8]?
    let isAbsent: Bool
    /// The medium is not written through here, by the nexus's map or because the store cannot be; what an initiator has
    /// asked for besides, the unit's mode parameters say.
    private(set) var isReadOnly: Bool
    /// By the nexus's map.
    private(set) var isReadOnlyView: Bool
    /// The target port group through which the nexus reaches the unit.
    let portGroup: TargetPortGroup?
    unowned let nexus: ITNexus
    let taskSet = TaskSet()
    /// Third-party copies, by their list identifiers.
    var copies = CopyRecords()
    /// In the chain of units to whose devices this turn has submitted requests.
    var isTouched = false
    var nextTouched: NexusUnit?

    init(_ entry: LUNMap.Entry, nexus: ITNexus) {
        unit = entry.unit
        isReadOnlyView = entry.isReadOnly
        isReadOnly = entry.isReadOnly || entry.unit.features.isReadOnly
        self.nexus = nexus
        table = .directAccess
        isAbsent = false
        portGroup = unit.ports.group(nexus.targetPort.group)
    }

    /// Stands for the numbers that name no logical unit.
    init(absentOn nexus: ITNexus) {
        unit = nexus.target.absentUnit
        self.nexus = nexus
        table = .absentUnit
        isAbsent = true
        isReadOnlyView = false
        isReadOnly = false
        portGroup = nil
    }

    /// The unit attention condition to be reported now; reporting clears it. REPORTED LUNS DATA HAS CHANGED is about
    /// the target, and told once by one of its units (LUICLR one).
    func takeAttention() -> UnitAttention? {
        let attention = attentions.takeFirst()
        if attention == .reportedLUNsDataHasChanged { nexus.clearAttentions(.reportedLUNsDataHasChanged) }
        return attention
    }

    /// WP: why a command that writes the medium is refused.
    var isWriteProtected: Bool { isReadOnly || unit.modes.isSoftwareWriteProtected }

    /// The nexus's map says something else. False when that changes nothing for the initiator.
    func setReadOnlyView(_ isReadOnlyView: Bool) -> Bool {
        self.isReadOnlyView = isReadOnlyView
        let old = isReadOnly
        isReadOnly = isReadOnlyView || unit.features.isReadOnly
        return isReadOnly != old
    }

    /// False: the unit is to go, and is not there for the nexus.
    func attach() -> Bool {
        let attachment = UnitAttachment(nexus: nexus, attentions: attentions, activity: activity)
        guard unit.attach(attachment) else { return false }
        self.attachment = attachment
        return true
    }

    /// What the nexus holds of the unit but its registrations is given up.
    func detach() {
        guard let attachment else { return }
        unit.reservations.releaseReserve(of: attachment)
        unit.detach(attachment)
        self.attachment = nil
    }
}
