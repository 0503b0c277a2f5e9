// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost

extension FilterError {
    /// The end of a sentence about a device: what is wrong, what was probably meant, and where it stands.
    var words: String {
        let advice = unknown.map { ": \(NearestKey.advice($0, among: known))" } ?? ""
        return sentence + advice + (column.map { " (column \($0))" } ?? "")
    }
}
