// SPDX-License-Identifier: Apache-2.0

/// The CDB of MODE SELECT(6) or MODE SELECT(10) (SPC-4 6.11, 6.12).
public struct ModeSelectRequest: Equatable, Sendable {
    public var isTenByte: Bool
    /// PF: the list holds pages as the standards define them.
    public var isPageFormat: Bool
    /// SP: save the pages.
    public var savesPages: Bool
    /// PARAMETER LIST LENGTH, bytes.
    public var parameterListLength: Int

    /// Reads a CDB whose operation code is MODE SELECT(6) or MODE SELECT(10).
    public init(_ cdb: CommandDescriptorBlock) {
        isTenByte = cdb.opcode == OperationCode.modeSelect10.rawValue
        isPageFormat = cdb.isSet(0x10, inByte: 1)
        savesPages = cdb.isSet(0x01, inByte: 1)
        parameterListLength = isTenByte ? Int(cdb.uint16(at: 7)) : Int(cdb[4])
    }

    /// Throws INVALID FIELD IN CDB for SP where nothing can be saved, and for a list in a vendor's own format.
    public func check(canSave: Bool) throws(SenseData) {
        guard canSave || !savesPages else { throw .invalidFieldInCDB(byte: 1, bit: 0) }
        guard isPageFormat || parameterListLength == 0 else { throw .invalidFieldInCDB(byte: 1, bit: 4) }
    }
}

extension ModePages {
    /// Takes a mode parameter list (SPC-4 7.5): either all of its values, or, when it throws, none.
    ///
    /// - `list`: all PARAMETER LIST LENGTH bytes; an empty one changes nothing.
    /// - `medium`: what a block descriptor must agree with: neither the block length nor the capacity changes.
    ///
    /// Returns whether a value is another one now. Throws PARAMETER LIST LENGTH ERROR when the header, a descriptor
    /// or a page is cut off; INVALID FIELD IN PARAMETER LIST, pointing at the field, for all else.
    public mutating func select(
        _ list: RawSpan, isTenByte: Bool, medium: ModeBlockDescriptor
    ) throws(SenseData) -> Bool {
        guard list.byteCount > 0 else { return false }
        var offset = try Self.checkHeader(of: list, isTenByte: isTenByte, medium: medium)
        var selected = self
        while offset < list.byteCount {
            offset += try selected.selectPage(in: list, at: offset)
        }
        let hasChanged = selected != self
        self = selected
        return hasChanged
    }

    /// Checks the header and the block descriptor; returns the offset of the first page. MODE DATA LENGTH and the
    /// DEVICE-SPECIFIC PARAMETER mean nothing here: initiators send back what MODE SENSE gave them.
    private static func checkHeader(
        of list: RawSpan, isTenByte: Bool, medium: ModeBlockDescriptor
    ) throws(SenseData) -> Int {
        let headerByteCount = isTenByte ? 8 : 4
        guard list.byteCount >= headerByteCount else { throw .parameterListLengthError }
        let mediumTypeOffset = isTenByte ? 2 : 1
        guard list.uint8(at: mediumTypeOffset) == 0 else {
            throw .invalidFieldInParameterList(byte: mediumTypeOffset)
        }
        let isLong = isTenByte && list.uint8(at: 4) & 0x01 != 0
        let lengthOffset = isTenByte ? 6 : 3
        let descriptorByteCount = isTenByte ? Int(list.uint16(at: 6)) : Int(list.uint8(at: 3))
        if descriptorByteCount == 0 { return headerByteCount }
        guard
            descriptorByteCount
                == (isLong ? ModeBlockDescriptor.longByteCount : ModeBlockDescriptor.shortByteCount)
        else { throw .invalidFieldInParameterList(byte: lengthOffset) }
        let end = headerByteCount + descriptorByteCount
        guard list.byteCount >= end else { throw .parameterListLengthError }
        try medium.check(list, at: headerByteCount, isLong: isLong)
        return end
    }

    /// Checks and takes the page at `offset`; returns its bytes.
    private mutating func selectPage(in list: RawSpan, at offset: Int) throws(SenseData) -> Int {
        let first = list.uint8(at: offset)
        guard first & 0x80 == 0 else { throw .invalidFieldInParameterList(byte: offset, bit: 7) }  // PS
        let isSubpageFormat = first & 0x40 != 0
        let headerByteCount = isSubpageFormat ? 4 : 2
        guard offset + headerByteCount <= list.byteCount else { throw .parameterListLengthError }

        let subpage = isSubpageFormat ? list.uint8(at: offset + 1) : 0
        let ofCode = pages.contains { $0.code == first & 0x3F }
        guard ofCode else { throw .invalidFieldInParameterList(byte: offset, bit: 5) }
        guard let index = index(code: first & 0x3F, subpage: subpage),
            pages[index].headerByteCount == headerByteCount
        else { throw .invalidFieldInParameterList(byte: offset + (isSubpageFormat ? 1 : 0)) }

        let lengthOffset = offset + (isSubpageFormat ? 2 : 1)
        let length = isSubpageFormat ? Int(list.uint16(at: lengthOffset)) : Int(list.uint8(at: lengthOffset))
        let byteCount = pages[index].byteCount
        guard headerByteCount + length == byteCount else {
            throw .invalidFieldInParameterList(byte: lengthOffset)
        }
        guard offset + byteCount <= list.byteCount else { throw .parameterListLengthError }
        let page = list.extracting(offset..<offset + byteCount)
        if let difference = pages[index].firstUnchangeableDifference(in: page) {
            throw .invalidFieldInParameterList(byte: offset + difference.byte, bit: difference.bit)
        }
        pages[index].select(page)
        return byteCount
    }
}

extension ModeBlockDescriptor {
    /// A NUMBER OF LOGICAL BLOCKS of zero, of the present count, or of all ones (as many as there are) changes
    /// nothing; the block length must be the present one.
    fileprivate func check(_ list: RawSpan, at offset: Int, isLong: Bool) throws(SenseData) {
        let count: UInt64
        let present: UInt64
        let all: UInt64
        let length: UInt32
        let lengthOffset: Int
        if isLong {
            (count, present, all) = (list.uint64(at: offset), blockCount, .max)
            lengthOffset = offset + 12
            length = list.uint32(at: lengthOffset)
        } else {
            (count, present, all) = (UInt64(list.uint32(at: offset)), UInt64(UInt32(clamping: blockCount)), 0xFFFF_FFFF)
            lengthOffset = offset + 5
            length = list.uint24(at: lengthOffset)
        }
        guard count == 0 || count == present || count == all else {
            throw .invalidFieldInParameterList(byte: offset)
        }
        guard length == blockByteCount else { throw .invalidFieldInParameterList(byte: lengthOffset) }
    }
}
