// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The end of an I_T_L nexus that other loops may touch.
final class UnitAttachment: Sendable {
    let nexusIdentity: NexusIdentity
    let attentions: PendingUnitAttentions
    let activity: UnitActivity
    let loop: any OwnerLoop
    /// The I_T nexus, for work that `loop` performs. The attachment goes when the nexus is closed.
    let nexus: LoopBound<ITNexus>

    init(nexus: ITNexus, attentions: PendingUnitAttentions, activity: UnitActivity) {
        self.activity = activity
        nexusIdentity = nexus.identity
        loop = nexus.loop
        self.attentions = attentions
        self.nexus = LoopBound(nexus)
    }
}

/// The I_T nexuses that know a logical unit now.
struct UnitAttachments {
    fileprivate(set) var all: [UnitAttachment] = []
    /// The unit is to go: nobody is attached any more.
    fileprivate var isLeaving = false
    fileprivate var waiters: [@Sendable () -> Void] = []
}

extension LogicalUnit {
    /// The unit is in `target`, whose ports lead here. Nexuses that are there learn that INQUIRY tells of more ports.
    func isReached(through ports: [TargetPortDescription], of target: String) {
        for each in self.ports.join(ports, of: target) { reservations.renumber(port: each.old, as: each.new) }
        post(.inquiryDataHasChanged)
    }

    /// `target` has the unit no more.
    func isLeft(by target: String) {
        let named = Set(reservations.snapshot.registrations.map(\.nexus.relativeTargetPort))
        for each in ports.leave(target, named: named) { reservations.renumber(port: each.old, as: each.new) }
        post(.inquiryDataHasChanged)
    }

    /// False: the unit is to go.
    func attach(_ attachment: UnitAttachment) -> Bool {
        attachments.withLock { state in
            if !state.isLeaving { state.all.append(attachment) }
            return !state.isLeaving
        }
    }

    /// In the thread of the nexus's loop, when no command of it can touch the medium any more.
    func detach(_ attachment: UnitAttachment) {
        let isLast = attachments.withLock { state in
            guard state.all.contains(where: { $0 === attachment }) else { return false }
            state.all.removeAll { $0 === attachment }
            logs.retire(attachment.activity.counts)
            return state.all.isEmpty
        }
        removal.allow(for: attachment)
        if isLast { tellUnattached() }
    }

    /// The unit is to go: no nexus is attached from now on, whatever its map says, and `completion` is called once, from
    /// any thread, perhaps before this returns, when none is attached any more and no format, sanitize or self-test
    /// operation is at work: then nothing of the core uses the device. Those that are attached leave by
    /// `ITNexus.change` and `ITNexus.close`. An operation is cut off as by the end of the process. From any thread.
    public func whenUnattached(_ completion: @escaping @Sendable () -> Void) {
        let isAny = attachments.withLock { state in
            state.isLeaving = true
            state.waiters.append(completion)
            return !state.all.isEmpty
        }
        if !isAny { tellUnattached() }
    }

    private func tellUnattached() {
        let waiters = attachments.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        guard !waiters.isEmpty else { return }
        operations.stop { for waiter in waiters { waiter() } }
    }

    /// Calls `body` with what the commands of the nexuses that are there have done.
    func withCounts<Result>(_ body: (ActivityCounts) -> Result) -> Result {
        attachments.withLock { state in
            body(state.all.reduce(ActivityCounts()) { $0 + $1.activity.counts })
        }
    }

    /// Every I_T nexus that knows the unit now.
    var attached: [UnitAttachment] { attachments.withLock { $0.all } }

    /// Establishes `attention` for every nexus but `exempt`.
    func post(_ attention: UnitAttention, except exempt: UnitAttachment? = nil) {
        for attachment in attached where attachment !== exempt { attachment.attentions.post(attention) }
    }
}
