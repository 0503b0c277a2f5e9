// SPDX-License-Identifier: Apache-2.0

/// What a mode parameter block descriptor says (SBC-4, mode parameters).
public struct ModeBlockDescriptor: Equatable, Sendable {
    public var blockCount: UInt64
    /// Bytes of one logical block.
    public var blockByteCount: UInt32

    public init(blockCount: UInt64, blockByteCount: UInt32) {
        self.blockCount = blockCount
        self.blockByteCount = blockByteCount
    }

    static let shortByteCount = 8
    static let longByteCount = 16

    /// A count that does not fit the short form is FFFFFFFFh.
    fileprivate func write(long: Bool, to writer: inout ParameterDataWriter) {
        if long {
            writer.append(blockCount)
            writer.appendZeroes(4)
            writer.append(blockByteCount)
        } else {
            writer.append(UInt32(clamping: blockCount))
            writer.append(blockByteCount & 0xFF_FFFF)
        }
    }
}

/// The CDB of MODE SENSE(6) or MODE SENSE(10) (SPC-4 6.13, 6.14).
public struct ModeSenseRequest: Equatable, Sendable {
    public var isTenByte: Bool
    /// DBD: no block descriptor.
    public var disablesBlockDescriptors: Bool
    /// LLBAA: the long block descriptor is welcome. MODE SENSE(10) only.
    public var acceptsLongLBA: Bool
    public var control: ModePageControl
    public var pageCode: UInt8
    public var subpageCode: UInt8

    /// Reads a CDB whose operation code is MODE SENSE(6) or MODE SENSE(10).
    public init(_ cdb: CommandDescriptorBlock) {
        isTenByte = cdb.opcode == OperationCode.modeSense10.rawValue
        disablesBlockDescriptors = cdb.isSet(0x08, inByte: 1)
        acceptsLongLBA = isTenByte && cdb.isSet(0x10, inByte: 1)
        control = ModePageControl(rawValue: cdb[2] >> 6) ?? .saved
        pageCode = cdb[2] & 0x3F
        subpageCode = cdb[3]
    }
}

/// Mode parameter data for the initiator (SPC-4 7.5): header, block descriptor, pages.
public struct ModeParameterData: Equatable, Sendable {
    public var pages: ModePages
    public var blockDescriptor: ModeBlockDescriptor
    /// WP: the medium cannot be written, for whatever reason.
    public var isWriteProtected: Bool
    /// DPOFUA: the DPO and FUA bits are supported.
    public var supportsDPOAndFUA: Bool

    public init(
        pages: ModePages, blockDescriptor: ModeBlockDescriptor, isWriteProtected: Bool, supportsDPOAndFUA: Bool
    ) {
        self.pages = pages
        self.blockDescriptor = blockDescriptor
        self.isWriteProtected = isWriteProtected
        self.supportsDPOAndFUA = supportsDPOAndFUA
    }

    private static let longLBA: UInt8 = 0x01

    /// Writes what `request` asks for. Throws, with nothing written, SAVING PARAMETERS NOT SUPPORTED for saved
    /// values where no page can be saved, and INVALID FIELD IN CDB for a page or subpage that is not there.
    public func write(
        _ request: ModeSenseRequest, to writer: inout ParameterDataWriter
    ) throws(SenseData) {
        guard request.control != .saved || pages.canSave else { throw .savingParametersNotSupported }
        let pages = try pages.pages(code: request.pageCode, subpage: request.subpageCode)

        let isLong = request.acceptsLongLBA && !request.disablesBlockDescriptors
        let descriptorByteCount =
            request.disablesBlockDescriptors
            ? 0 : isLong ? ModeBlockDescriptor.longByteCount : ModeBlockDescriptor.shortByteCount
        let dataLength = writer.reserveLength(request.isTenByte ? .twoBytes : .oneByte)
        writer.append(UInt8(0))  // MEDIUM TYPE
        writer.append(.bit(isWriteProtected, 7) | .bit(supportsDPOAndFUA, 4))
        if request.isTenByte {
            writer.append(isLong ? Self.longLBA : 0)
            writer.append(UInt8(0))
            writer.append(UInt16(descriptorByteCount))
        } else {
            writer.append(UInt8(descriptorByteCount))
        }
        if !request.disablesBlockDescriptors { blockDescriptor.write(long: isLong, to: &writer) }
        for page in pages { writer.append(page.bytes(request.control)) }
        writer.fill(dataLength)
    }
}
