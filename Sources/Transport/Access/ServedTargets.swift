// SPDX-License-Identifier: Apache-2.0

public import TargetCore

/// What is served, and to whom: immutable, and replaced as a whole by a live change.
public final class ServedTargets: Sendable {
    public let policy: AccessPolicy
    let targets: [String: SCSITarget]

    public init(policy: AccessPolicy, targets: [SCSITarget]) {
        self.policy = policy
        self.targets = Dictionary(targets.map { ($0.name, $0) }) { first, _ in first }
    }

    /// All logical units of all targets, for everybody.
    public convenience init(openTargets targets: [SCSITarget]) {
        self.init(policy: AccessPolicy(openTargets: targets.map(\.name)), targets: targets)
    }
}
