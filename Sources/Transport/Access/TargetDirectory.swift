// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// What the login machine asks of the server's targets.
struct TargetDirectory: LoginDirectory {
    let server: ServerState

    func lookUp(_ targetName: String) -> TargetLookup {
        server.targets[targetName] == nil ? .notFound : .found
    }
}
