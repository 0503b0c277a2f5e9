// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import Transport

/// Who gets in without proof, for the warning at the start.
enum Exposure: Int, Comparable {
    /// Only who proves who it is.
    case authenticated
    /// Who claims a name, or comes from an address, that a rule allows.
    case claimed
    /// Everybody.
    case open

    static func < (left: Exposure, right: Exposure) -> Bool { left.rawValue < right.rawValue }

    init(of target: TargetAccess) {
        var worst = Exposure.authenticated
        for rule in target.list.rules where rule.verdict == .allow {
            guard (rule.authentication ?? target.authentication).policy == nil else { continue }
            worst = max(worst, rule.name == .any && rule.addresses.isEmpty ? .open : .claimed)
        }
        if target.list.verdictForOthers == .allow, target.authentication.policy == nil { worst = .open }
        self = worst
    }

    /// Sentences for each kind of exposure that there is at portals which other machines reach.
    static func warnings(_ policy: AccessPolicy, portals: [ServedPortal]) -> [String] {
        let reachable = portals.filter { !$0.bound.isLoopback }
        guard !reachable.isEmpty else { return [] }
        let names = reachable.map(\.bound.description).joined(separator: ", ")
        let shown = policy.targets.filter { target in
            reachable.contains { target.isShown(atTag: $0.settings.portalGroupTag) }
        }
        func targets(_ exposure: Exposure) -> String {
            shown.filter { Exposure(of: $0) == exposure }.map(\.targetName).joined(separator: ", ")
        }
        var warnings: [String] = []
        if !shown.isEmpty, shown.count == policy.targets.count, shown.allSatisfy({ Exposure(of: $0) == .open }) {
            warnings.append("there is no authentication: whoever reaches it can read and write every LUN")
        } else if !targets(.open).isEmpty {
            warnings.append(
                "\(targets(.open)) asks for no authentication: whoever reaches it can read and write its LUNs")
        }
        if !targets(.claimed).isEmpty {
            warnings.append(
                "\(targets(.claimed)) goes by names and addresses alone, which anybody can claim: ask for "
                    + "authentication (auth)")
        }
        return warnings.map { "portal \(names) can be reached from other machines, and \($0)" }
    }
}
