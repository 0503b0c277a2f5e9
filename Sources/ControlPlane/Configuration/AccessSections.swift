// SPDX-License-Identifier: Apache-2.0

internal import Yams

/// The sections of a target that restrict who may use it. Their form is checked and then they are refused: to leave
/// them unheard would open to everybody what the operator wanted closed.
enum AccessSections {
    private static let initiatorKeys = ["name", "luns"]
    private static let mappingKeys = ["device", "readonly"]

    private static let remedy =
        "take the section out, and let only hosts that you trust reach the portal"

    /// An empty list names nobody, which lets everybody in: that is what happens.
    static func refuseInitiators(_ value: YAMLValue) throws(Failure) {
        let initiators = try value.list()
        for initiator in initiators {
            let keys = try initiator.entries(known: initiatorKeys)
            guard let name = keys["name"] else { throw initiator.failure("an initiator needs a name") }
            _ = try name.text()
            guard let luns = keys["luns"] else { continue }
            for (_, _, lun) in try luns.entries() {
                if case .mapping(_) = lun.node { _ = try lun.entries(known: mappingKeys) } else { _ = try lun.text() }
            }
        }
        guard initiators.isEmpty else {
            throw value.failure("access control is not there yet, so initiators cannot be obeyed: \(remedy)")
        }
    }
}
