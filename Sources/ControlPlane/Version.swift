// SPDX-License-Identifier: Apache-2.0

/// What this program calls itself.
public enum Version {
    public static let text = "0.1.0"

    /// PRODUCT REVISION LEVEL of INQUIRY: four characters (SPC-5 6.7.2).
    static let productRevision = "0010"
}
