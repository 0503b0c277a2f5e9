// SPDX-License-Identifier: Apache-2.0

/// Who a logical unit says it is: INQUIRY and its vital product data pages. The same configuration gives the same
/// identity, always.
public struct LogicalUnitIdentity: Sendable, Equatable {
    /// T10 VENDOR IDENTIFICATION: up to 8 printable ASCII characters.
    public var vendor: String
    /// PRODUCT IDENTIFICATION: up to 16 printable ASCII characters.
    public var product: String
    /// PRODUCT REVISION LEVEL: up to 4 printable ASCII characters.
    public var revision: String
    /// VPD page 80h.
    public var serial: String
    /// An NAA 3h (locally assigned) designator of 64 bits for VPD page 83h.
    public var naa: UInt64

    public static let defaultVendor = "MARTLET"
    public static let defaultProduct = "VIRTUAL-DISK"
    public static let defaultRevision = "0001"

    /// The NAA designator follows from the serial number.
    public init(
        serial: String, vendor: String = defaultVendor, product: String = defaultProduct,
        revision: String = defaultRevision
    ) {
        self.vendor = vendor
        self.product = product
        self.revision = revision
        self.serial = serial
        naa = Self.locallyAssigned(from: serial)
    }

    private static let naaLocallyAssigned: UInt64 = 0x3 << 60
    private static let naaValueMask: UInt64 = ~(0xF << 60)

    /// FNV-1a of the serial number: well spread, and the same on every machine.
    private static func locallyAssigned(from serial: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in serial.utf8 {
            hash ^= UInt64(byte)
            hash &*= 0x100_0000_01B3
        }
        return naaLocallyAssigned | hash & naaValueMask
    }
}
