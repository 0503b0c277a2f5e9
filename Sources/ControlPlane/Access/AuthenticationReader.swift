// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Reads `auth`. Its form is checked and then it is refused: to leave it unheard would open to everybody what the
/// operator wanted closed.
enum AuthenticationReader {
    private static let keys = ["method", "user", "secret-file", "mutual"]
    private static let mutualKeys = ["user", "secret-file"]

    static func read(_ value: YAMLValue) throws(Failure) -> AuthenticationDemand {
        let entries = try value.entries(known: keys)
        for name in keys.dropLast() { _ = try entries[name]?.text() }
        if let mutual = entries["mutual"] {
            for each in try mutual.entries(known: mutualKeys).values { _ = try each.text() }
        }
        throw value.failure(
            "authentication is not there yet, so auth cannot be obeyed: take the section out, and name the hosts that "
                + "you trust under initiators")
    }
}
