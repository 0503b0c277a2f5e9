// SPDX-License-Identifier: Apache-2.0

/// READ DEFECT DATA(10) and (12) (SBC-4 5.18, 5.19): which lists, in which format.
public struct DefectDataRequest: Equatable, Sendable {
    /// REQ_PLIST
    public let wantsPrimaryList: Bool
    /// REQ_GLIST
    public let wantsGrownList: Bool
    /// DEFECT LIST FORMAT: 0 to 5.
    public let format: UInt8
    /// Bytes.
    public let allocationLength: Int
    let isTenByte: Bool

    private static let lastFormat: UInt8 = 5
    private static let formatBit = 2

    /// Throws for the vendor specific and the reserved format.
    public init(_ cdb: CommandDescriptorBlock) throws(SenseData) {
        isTenByte = cdb.opcode == OperationCode.readDefectData10.rawValue
        let flagByte = isTenByte ? 2 : 1
        let flags = cdb[flagByte]
        wantsPrimaryList = flags & 0x10 != 0
        wantsGrownList = flags & 0x08 != 0
        format = flags & 0x07
        allocationLength = isTenByte ? Int(cdb.uint16(at: 7)) : Int(cdb.uint32(at: 6))
        guard format <= Self.lastFormat else { throw .invalidFieldInCDB(byte: flagByte, bit: Self.formatBit) }
    }

    /// Both lists are there, and empty, in every format: the header of four (10) or eight (12) bytes, whose PLISTV and
    /// GLISTV say which lists were asked for.
    public func writeEmptyLists(to writer: inout ParameterDataWriter) {
        writer.append(UInt8(0))
        writer.append(.bit(wantsPrimaryList, 4) | .bit(wantsGrownList, 3) | format)
        writer.append(UInt16(0))  // DEFECT LIST LENGTH; with 12 bytes GENERATION CODE, zero: not supported
        if !isTenByte { writer.append(UInt32(0)) }
    }
}
