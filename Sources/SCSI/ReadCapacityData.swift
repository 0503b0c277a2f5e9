// SPDX-License-Identifier: Apache-2.0

/// Parameter data of READ CAPACITY(10) (8 bytes) and READ CAPACITY(16) (32 bytes), SBC-4.
public struct ReadCapacityData: Equatable, Sendable {
    public static let tenByteCount = 8
    public static let sixteenByteCount = 32

    /// Logical blocks of the medium: at least one.
    public var blockCount: UInt64
    /// Bytes of one logical block.
    public var blockByteCount: UInt32
    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, 0 to 15.
    public var physicalBlockExponent: UInt8 = 0
    /// LBPME: logical blocks can be unmapped.
    public var isProvisioned = false
    /// LBPRZ: unmapped blocks read as zeroes.
    public var unmappedReadsZero = false
    /// PROT_EN and P_TYPE; nil: no protection information.
    public var protection: ProtectionType?
    /// LOWEST ALIGNED LOGICAL BLOCK ADDRESS, 14 bits.
    public var lowestAlignedLBA: UInt16 = 0

    public init(blockCount: UInt64, blockByteCount: UInt32) {
        self.blockCount = blockCount
        self.blockByteCount = blockByteCount
    }

    /// RETURNED LOGICAL BLOCK ADDRESS: of the last block.
    private var lastLBA: UInt64 { blockCount == 0 ? 0 : blockCount - 1 }

    /// A last address that does not fit is FFFFFFFFh: the initiator then asks with READ CAPACITY(16).
    public func write10(to writer: inout ParameterDataWriter) {
        writer.append(UInt32(clamping: lastLBA))
        writer.append(blockByteCount)
    }

    public func write16(to writer: inout ParameterDataWriter) {
        writer.append(lastLBA)
        writer.append(blockByteCount)
        // RC_BASIS 00b: no zones. P_TYPE in bits 3 to 1, PROT_EN in bit 0.
        writer.append(protection.map { $0.protectionTypeField << 1 | 0x01 } ?? 0)
        writer.append(physicalBlockExponent & 0x0F)  // P_I_EXPONENT 0: one tuple for each block
        let provisioning: UInt16 = (isProvisioned ? 0x8000 : 0) | (unmappedReadsZero ? 0x4000 : 0)
        writer.append(provisioning | lowestAlignedLBA & 0x3FFF)
        writer.appendZeroes(16)
    }
}
