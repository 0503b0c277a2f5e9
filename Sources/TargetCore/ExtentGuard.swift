// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// Keeps apart the commands of a logical unit that must not see each other half done: COMPARE AND WRITE and WRITE ATOMIC
/// against everything on the same blocks (SBC-4 4.27, 5.3).
///
/// Ordinary commands do not come here while there is no exclusive one: whoever is granted an exclusive extent waits for
/// those that began before (`ITNexus.drain(_:for:)`), and those that begin afterwards find
/// `UnitConditions.extentsGuarded` and queue here. Nobody blocks: who must wait is posted to its own loop when its turn
/// has come.
final class ExtentGuard: Sendable {
    enum Access: Sendable { case shared, exclusive }

    private struct Claim {
        let request: BlockRequest
        let range: BlockRange
        let access: Access

        func conflicts(with other: Claim) -> Bool {
            (access == .exclusive || other.access == .exclusive) && range.overlaps(other.range)
        }
    }

    private struct State {
        var held: [Claim] = []
        /// Oldest first: none passes an older one that it conflicts with.
        var waiting: [Claim] = []

        var hasExclusive: Bool { (held + waiting).contains { $0.access == .exclusive } }
    }

    private let state = Mutex(State())
    private let conditions: UnitConditions

    /// `conditions` has `.extentsGuarded` while an exclusive extent is held or waited for.
    init(conditions: UnitConditions) {
        self.conditions = conditions
    }

    /// True when `range` is the caller's. Otherwise `request` is posted to its loop once it is.
    func acquire(_ range: BlockRange, _ access: Access, for request: BlockRequest) -> Bool {
        state.withLock { state in
            let claim = Claim(request: request, range: range, access: access)
            defer { conditions.set(.extentsGuarded, state.hasExclusive) }
            guard !state.held.contains(where: claim.conflicts), !state.waiting.contains(where: claim.conflicts) else {
                state.waiting.append(claim)
                return false
            }
            state.held.append(claim)
            return true
        }
    }

    /// Gives back what `request` holds, and tells those whose turn it is now.
    func release(_ request: BlockRequest) {
        let granted = state.withLock { state in
            state.held.removeAll { $0.request === request }
            return grant(&state)
        }
        for next in granted { next.loop.post(next) }
    }

    /// True when `request` waited and waits no more. False when it holds its extent, or is about to be told so.
    func withdraw(_ request: BlockRequest) -> Bool {
        let (isWithdrawn, granted): (Bool, [BlockRequest]) = state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.request === request }) else { return (false, []) }
            state.waiting.remove(at: index)
            return (true, grant(&state))
        }
        for next in granted { next.loop.post(next) }
        return isWithdrawn
    }

    private func grant(_ state: inout State) -> [BlockRequest] {
        var granted: [BlockRequest] = []
        var stillWaiting: [Claim] = []
        for claim in state.waiting {
            if state.held.contains(where: claim.conflicts) || stillWaiting.contains(where: claim.conflicts) {
                stillWaiting.append(claim)
            } else {
                state.held.append(claim)
                granted.append(claim.request)
            }
        }
        state.waiting = stillWaiting
        conditions.set(.extentsGuarded, state.hasExclusive)
        return granted
    }
}

extension BlockRange {
    /// The whole of a medium, however large.
    static let wholeMedium = BlockRange(lba: 0, count: .max)

    /// Whether some block is in both. Cannot overflow.
    func overlaps(_ other: BlockRange) -> Bool {
        guard count > 0, other.count > 0 else { return false }
        return lba <= other.lba ? other.lba - lba < count : lba - other.lba < other.count
    }
}
