// SPDX-License-Identifier: Apache-2.0

import SCSI

/// A change of registrations and reservation that has been decided, and that nobody has seen.
struct ReservationChange: Sendable {
    let state: PersistentReservation
    let effects: PersistentReservation.Effects
    /// PREEMPT AND ABORT: the commands of preempted nexuses end.
    let aborts: Bool
}

extension ITNexus {
    /// Makes `change`: durable first, if it is to be, then seen, then its unit attentions and aborts. When it cannot be
    /// saved nothing of it happens, and `task.hasFailedToSave` says so. `task`, which has the unit's turn, is called
    /// again with `step` 1, unless it is finished at once.
    ///
    /// An abort of `task` meanwhile stops none of this: what is on stable storage is what is seen.
    func make(_ change: ReservationChange, for task: SCSITask, on unit: LogicalUnit) -> CommandDescriptor.Step {
        let wanted = DurableReservations(change.state, ports: unit.ports)
        guard wanted != unit.durable.current.reservations else { return publish(change, for: task, on: unit) }
        task.step = 1
        let waiter = LoopBound((self, task))
        let loop = loop
        unit.durable.save(
            { $0.reservations = wanted },
            completion: { isSaved in
                loop.perform {
                    let (nexus, task) = waiter.value
                    task.hasFailedToSave = !isSaved
                    if isSaved, case .wait = nexus.publish(change, for: task, on: unit) { return }
                    nexus.resume(task)
                }
            })
        return .wait
    }

    /// `.wait`: `task` is called again when the tasks of preempted nexuses have ended.
    private func publish(
        _ change: ReservationChange, for task: SCSITask, on unit: LogicalUnit
    ) -> CommandDescriptor.Step {
        unit.reservations.publish(change.state)
        let attached = unit.attached
        for other in attached {
            if let attention = change.effects.attentions[other.nexusIdentity] { other.attentions.post(attention) }
        }
        guard change.aborts else { return .finished(toInitiator: 0) }
        let victims = attached.filter { change.effects.preempted.contains($0.nexusIdentity) }
        for victim in victims { unit.removal.allow(for: victim) }
        return abortPreempted(victims, on: unit, for: task)
    }

    /// Ends the tasks of `victims` for `unit`, each on its own loop, and then calls `task` again with `step` 1
    /// (SPC-4 5.12.11.5).
    private func abortPreempted(
        _ victims: [UnitAttachment], on unit: LogicalUnit, for task: SCSITask
    ) -> CommandDescriptor.Step {
        guard !victims.isEmpty else { return .finished(toInitiator: 0) }
        task.step = 1
        let group = QuietGroup(count: victims.count, loop: loop) { [self] in resume(task) }
        for victim in victims where victim.nexus.value !== self {
            victim.loop.perform {
                victim.nexus.value.abortCleared(for: unit, except: nil) { group.leave() }
            }
        }
        for victim in victims where victim.nexus.value === self {
            abortCleared(for: unit, except: task) { group.leave() }
        }
        return .wait
    }
}
