// SPDX-License-Identifier: Apache-2.0

extension ISCSIServer {
    private static let tagDigitCount = 4

    /// The SCSI port name of a target's port, as RFC 7143 10.2 forms it from the iSCSI name and the target portal
    /// group tag: `iqn,t,0x0001`.
    public static func targetPortName(_ targetName: String, portalGroupTag: UInt16) -> String {
        let digits = String(portalGroupTag, radix: 16)
        return "\(targetName),t,0x" + String(repeating: "0", count: tagDigitCount - digits.count) + digits
    }
}
