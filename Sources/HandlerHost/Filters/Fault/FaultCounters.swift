// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// What a filter `fault` has done.
struct FaultCounters: ~Copyable {
    let delays = Atomic<UInt64>(0)
    let errors = Atomic<UInt64>(0)
    let shorts = Atomic<UInt64>(0)
    let corruptions = Atomic<UInt64>(0)
    let lostFlushes = Atomic<UInt64>(0)
    let hangs = Atomic<UInt64>(0)
    let lates = Atomic<UInt64>(0)
    let reorders = Atomic<UInt64>(0)

    var byName: [String: UInt64] {
        [
            "faultDelays": delays.load(ordering: .relaxed), "faultErrors": errors.load(ordering: .relaxed),
            "faultShorts": shorts.load(ordering: .relaxed),
            "faultCorruptions": corruptions.load(ordering: .relaxed),
            "faultLostFlushes": lostFlushes.load(ordering: .relaxed), "faultHangs": hangs.load(ordering: .relaxed),
            "faultLates": lates.load(ordering: .relaxed), "faultReorders": reorders.load(ordering: .relaxed),
        ]
    }

    func count(_ decision: FaultDecision) {
        if decision.delayNanoseconds > 0 || decision.ordinaryEndDelayNanoseconds > 0 { Self.add(delays) }
        if decision.isLate { Self.add(lates) }
        switch decision.ending {
        case .own: break
        case .hang: Self.add(hangs)
        case .error: Self.add(errors)
        case .short: Self.add(shorts)
        // Only data that come can be changed, and only an order that changes counts: they are counted then.
        case .corrupt: break
        case .loseFlush: Self.add(lostFlushes)
        }
    }

    static func add(_ counter: borrowing Atomic<UInt64>) { counter.add(1, ordering: .relaxed) }
}
