// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// Who keeps the medium from being ejected (SPC-4 6.15): I_T nexuses, until each has allowed it again or is lost.
final class MediumRemoval: Sendable {
    private let preventing = Mutex<Set<ObjectIdentifier>>([])

    var isPrevented: Bool { preventing.withLock { !$0.isEmpty } }

    /// Runs `body` if nobody prevents, and nobody can before it has ended.
    func unlessPrevented(_ body: () -> Void) -> Bool {
        preventing.withLock { preventing in
            guard preventing.isEmpty else { return false }
            body()
            return true
        }
    }

    func prevent(for attachment: UnitAttachment) {
        preventing.withLock { _ = $0.insert(ObjectIdentifier(attachment)) }
    }

    func allow(for attachment: UnitAttachment) {
        preventing.withLock { _ = $0.remove(ObjectIdentifier(attachment)) }
    }

    func allowForAll() {
        preventing.withLock { $0 = [] }
    }
}

/// The idle or standby power condition that START STOP UNIT has asked for. `UnitConditions.lowPower` says whether there
/// is one: there is nothing to save, so that a unit at rest does all that an active one does, and any command for the
/// medium makes it active again (SBC-4 4.20).
final class RestingState: Sendable {
    private let told = Mutex<SenseData?>(nil)

    /// What REQUEST SENSE tells of it.
    var sense: SenseData? { told.withLock { $0 } }

    func set(_ new: SenseData?) { told.withLock { $0 = new } }
}

extension LogicalUnit {
    /// Into the power condition, which is not START_VALID; out of the stopped one.
    func enter(_ condition: PowerCondition) {
        isStopped = false
        guard let sense = condition.restingSense else { return wake() }
        rest.set(sense)
        conditions.set(.lowPower, true)
    }

    func wake() {
        conditions.set(.lowPower, false)
        rest.set(nil)
    }

    /// Why a command cannot be done in the state that `now` tells of; nil: it can. Wakes a unit at rest.
    func notReadySense(for row: CommandDescriptor, _ now: UnitConditions.Set) -> SenseData? {
        let traits = row.traits
        if let sense = operationSense(now, for: row) { return sense }
        if now.contains(.noMedium), !traits.isDisjoint(with: [.needsMedium, .namesMedium]) { return .mediumNotPresent }
        guard traits.contains(.needsMedium) else { return nil }
        if now.contains(.stopped) { return .initializingCommandRequired }
        if now.contains(.formatCorrupt), !traits.contains(.rewritesMedium) { return .mediumFormatCorrupted }
        if now.contains(.lowPower), row.opcode != OperationCode.testUnitReady.rawValue { wake() }
        return nil
    }

    /// Why the medium cannot be accessed now, for what is no command of this unit's own; nil: it can.
    var notReadySense: SenseData? {
        let now = conditions.now
        return now.isDisjoint(with: .notReady) ? nil : notReadySense(for: TestUnitReady.row, now)
    }

    /// Of an operation that keeps commands out, or of a sanitize operation that has failed. `row`: nil for REQUEST SENSE.
    private func operationSense(_ now: UnitConditions.Set, for row: CommandDescriptor?) -> SenseData? {
        guard !now.isDisjoint(with: [.sanitizing, .formatting, .selfTesting]) else { return nil }
        if let row, !row.traits.isDisjoint(with: [.passesUnitAttention, .duringOperations]) { return nil }
        if now.contains(.sanitizing) {
            if operations.isSanitizing { return .sanitizeInProgress(progress: operations.progress) }
            return row?.opcode == OperationCode.sanitize.rawValue ? nil : .sanitizeCommandFailed
        }
        if now.contains(.formatting) { return .formatInProgress(progress: operations.progress) }
        return .selfTestInProgress(progress: operations.progress)
    }

    /// What REQUEST SENSE tells when no unit attention is pending (SPC-4 6.39, SBC-4 4.19): what is going on, or why the
    /// unit is not ready.
    var senseOfState: SenseData {
        let now = conditions.now
        if let sense = operationSense(now, for: nil) { return sense }
        if now.contains(.noMedium) { return .mediumNotPresent }
        if now.contains(.stopped) { return .initializingCommandRequired }
        if now.contains(.formatCorrupt) { return .mediumFormatCorrupted }
        if let current = operations.current { return .selfTestInProgress(progress: current.progress) }
        if now.contains(.lowPower), let sense = rest.sense { return sense }
        return .noSense
    }
}
