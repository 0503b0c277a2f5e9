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
    /// The target port group through which the nexus reaches the unit.
    let portGroup: TargetPortGroup?
    unowned let nexus: ITNexus
    let taskSet = TaskSet()
    /// Third-party copies, by their list identifiers.
    var copies = CopyRecords()
    /// In the chain of units to whose devices this turn has submitted requests.
    var isTouched = false
    var nextTouched: NexusUnit?

    init(unit: LogicalUnit, nexus: ITNexus) {
        self.unit = unit
        self.nexus = nexus
        table = .directAccess
        isAbsent = false
        portGroup = unit.portGroups.group(nexus.target.portGroup)
    }

    /// Stands for the numbers that name no logical unit.
    init(absentOn nexus: ITNexus) {
        unit = nexus.target.absentUnit
        self.nexus = nexus
        table = .absentUnit
        isAbsent = true
        portGroup = nil
    }

    /// The unit attention condition to be reported now; reporting clears it. REPORTED LUNS DATA HAS CHANGED is about
    /// the target, and told once by one of its units (LUICLR one).
    func takeAttention() -> UnitAttention? {
        let attention = attentions.takeFirst()
        if attention == .reportedLUNsDataHasChanged { nexus.clearAttentions(.reportedLUNsDataHasChanged) }
        return attention
    }

    func attach() {
        let attachment = UnitAttachment(nexus: nexus, attentions: attentions, activity: activity)
        self.attachment = attachment
        unit.attach(attachment)
    }

    func detach() {
        if let attachment { unit.detach(attachment) }
        attachment = nil
    }
}
