// SPDX-License-Identifier: Apache-2.0

import SCSI

extension ITNexus {
    /// The nexus sees what `map` says, from now on. In the loop's thread.
    ///
    /// - A unit that is gone answers as a number without one. Its commands of this nexus end with CHECK CONDITION and
    ///   LOGICAL UNIT NOT SUPPORTED, those whose request is in the device when that has ended, and a RESERVE of the nexus
    ///   ends; registrations stay.
    /// - A unit that appears is as after a login. A number that leads to another unit is one gone and one that appears,
    ///   and besides tells INQUIRY DATA HAS CHANGED.
    /// - When the inventory is another one, each unit has REPORTED LUNS DATA HAS CHANGED pending, until one has told of it
    ///   or REPORT LUNS was answered (SPC-4 6.33).
    /// - Where a unit becomes read-only or is so no more, WP of its mode parameters does: MODE PARAMETERS CHANGED. Commands
    ///   that write and have not begun end with WRITE PROTECTED; format and sanitize operations go on.
    /// - Units that stay as they are notice nothing else.
    ///
    /// `completion` is called once, in the loop's thread, perhaps before this returns, when no command can touch the medium
    /// of a unit that is gone and the nexus is detached from it, and when the writes to those that became read-only have
    /// ended.
    public func change(to map: LUNMap, completion: @escaping () -> Void) {
        guard !isClosed else { return completion() }
        target.leads(to: map)
        let old = units
        var new = [NexusUnit?](repeating: nil, count: map.endNumber)
        var appeared: [NexusUnit] = []
        var protected: [NexusUnit] = []
        for (number, entry) in map.entries {
            let present = old.indices.contains(number) ? old[number] : nil
            if let present, present.unit === entry.unit {
                new[number] = present
                if setReadOnlyView(entry.isReadOnly, of: present) { protected.append(present) }
            } else if let unit = newUnit(entry) {
                new[number] = unit
                appeared.append(unit)
                if present != nil { unit.attentions.post(.inquiryDataHasChanged) }
            }
        }
        let gone = old.indices.compactMap { number in
            let stays = number < new.count && new[number] === old[number]
            return stays ? nil : old[number]
        }
        departing += gone
        units = new
        if !gone.isEmpty || !appeared.isEmpty {
            for unit in presentUnits { unit.attentions.post(.reportedLUNsDataHasChanged) }
        }
        var remaining = 2
        let part = {
            remaining -= 1
            if remaining == 0 { completion() }
        }
        refuseWrites(to: protected, completion: part)
        guard !gone.isEmpty else { return part() }
        abortWithCopies(.all, of: gone, notice: .logicalUnitNotSupported) { [self] in
            depart(gone)
            part()
        }
    }

    /// True when the unit has become read-only. The initiator is told when WP is another.
    private func setReadOnlyView(_ isReadOnlyView: Bool, of unit: NexusUnit) -> Bool {
        guard isReadOnlyView != unit.isReadOnlyView else { return false }
        if unit.setReadOnlyView(isReadOnlyView) { unit.attentions.post(.modeParametersChanged) }
        return isReadOnlyView
    }

    /// No command of `gone` is left. Devices hear of the turn's requests before any may be closed.
    private func depart(_ gone: [NexusUnit]) {
        turnEnded()
        for unit in gone { unit.detach() }
        departing.removeAll { $0.attachment == nil }
        // Whoever called may still be in one of them.
        let kept = LoopBound(gone)
        loop.perform { withExtendedLifetime(kept) {} }
    }

    /// Ends the writes to `units` that have not begun, each as it would begin, and calls `completion`, perhaps before this
    /// returns, when those that have begun have ended. Copies look at the unit before each piece.
    private func refuseWrites(to units: [NexusUnit], completion: @escaping () -> Void) {
        var begun: [SCSITask] = []
        for unit in units {
            for task in unit.taskSet.tasks where Self.writes(task) {
                if task.hasBegun {
                    if task.operation == nil { begun.append(task) }
                } else {
                    task.isOffered = false
                    task.refusal = .writeProtected
                }
            }
        }
        guard !begun.isEmpty else { return completion() }
        drains.append(ExtentDrain(tasks: begun, completion: completion))
    }

    private static func writes(_ task: SCSITask) -> Bool {
        task.isOffered ? mayWrite(task.cdb) : task.descriptor?.object.traits.contains(.writesMedium) ?? false
    }
}
