// SPDX-License-Identifier: Apache-2.0

public import TargetCore

/// What is served, and to whom: immutable, and replaced as a whole by a live change.
public final class ServedTargets: Sendable {
    public let policy: AccessPolicy
    let targets: [String: SCSITarget]
    /// By the names that the policy's LUNs have for them.
    private let units: [String: LogicalUnit]

    /// Devices that `policy` names and `units` has not are seen by nobody.
    public init(policy: AccessPolicy, targets: [SCSITarget], units: [String: LogicalUnit]) {
        self.policy = policy
        self.targets = Dictionary(targets.map { ($0.name, $0) }) { first, _ in first }
        self.units = units
    }

    /// All logical units of all targets, for everybody.
    public convenience init(openTargets targets: [SCSITarget]) {
        var open: [TargetAccess] = []
        var units: [String: LogicalUnit] = [:]
        for target in targets {
            var access = TargetAccess(targetName: target.name)
            for number in target.map.logicalUnitNumbers {
                guard let entry = target.map[number] else { continue }
                let name = "\(target.name)/\(number)"
                units[name] = entry.unit
                access.luns.units[number] = LUNView.Unit(device: name, isReadOnly: entry.isReadOnly)
            }
            open.append(access)
        }
        self.init(policy: AccessPolicy(targets: open), targets: targets, units: units)
    }

    /// The logical units of a view, by number.
    public func map(of view: LUNView) -> LUNMap { Self.map(of: view, units: units) }

    public static func map(of view: LUNView, units: [String: LogicalUnit]) -> LUNMap {
        LUNMap(
            view.units.compactMapValues { seen in
                units[seen.device].map { LUNMap.Entry(unit: $0, isReadOnly: seen.isReadOnly) }
            })
    }

    /// What a visitor may use of a target; nil: nothing.
    func grant(_ visitor: Visitor, targetName: String) -> AccessGrant? {
        guard let access = policy.target(targetName), let target = targets[targetName] else { return nil }
        let decision = access.decision(for: visitor)
        guard decision.isAllowed else { return nil }
        let port = target.port(
            named: ISCSIServer.targetPortName(targetName, portalGroupTag: visitor.portalGroupTag))
        let view = access.luns(by: decision)
        return AccessGrant(target: target, port: port ?? target.ports[0], view: view, map: map(of: view))
    }
}

/// What one session may use.
struct AccessGrant {
    let target: SCSITarget
    let port: TargetPortDescription
    let view: LUNView
    let map: LUNMap
}
