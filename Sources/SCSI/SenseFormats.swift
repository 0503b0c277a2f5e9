// SPDX-License-Identifier: Apache-2.0

/// Writing sense data in its two formats: fixed (SPC-4 4.5.3) and descriptor (SPC-4 4.5.2).
extension SenseData {
    /// Bytes of the longest encoding: descriptor format with every descriptor.
    public static let maximumByteCount = 48

    /// Bytes of fixed format, always.
    public static let fixedByteCount = 18

    /// Writes the sense data at the start of `output`, cut off where it ends (the length inside is not changed by
    /// that), and returns the bytes written. 48 bytes are always enough.
    @discardableResult
    @_lifetime(output: copy output)
    public func encode(descriptor: Bool, into output: inout MutableRawSpan) -> Int {
        var writer = ParameterDataWriter(output)
        encode(descriptor: descriptor, to: &writer)
        let stored = writer.storedByteCount
        output = writer.takeRoom()
        return stored
    }

    /// All bytes of the sense data.
    public func encode(descriptor: Bool) -> [UInt8] {
        [UInt8](allocationLength: Self.maximumByteCount) { encode(descriptor: descriptor, to: &$0) }
    }

    /// Appends the sense data: as REQUEST SENSE does.
    public func encode(descriptor: Bool, to writer: inout ParameterDataWriter) {
        if descriptor { encodeDescriptorFormat(to: &writer) } else { encodeFixedFormat(to: &writer) }
    }

    private func encodeFixedFormat(to writer: inout ParameterDataWriter) {
        let shortInformation = information.flatMap { UInt32(exactly: $0) }
        let responseCode = isDeferred ? SenseResponseCode.fixedDeferred : .fixedCurrent
        writer.append(responseCode.rawValue | (shortInformation == nil ? 0 : SenseLayout.valid))
        writer.append(UInt8(0))  // obsolete
        writer.append(stream.rawValue | key.rawValue)
        writer.append(shortInformation ?? 0)
        let additionalLength = writer.reserveLength(.oneByte)
        writer.append(commandSpecific.flatMap { UInt32(exactly: $0) } ?? 0)
        writer.append(additional.asc)
        writer.append(additional.ascq)
        writer.append(fieldReplaceableUnit)
        writer.append24(specific?.encoded ?? 0)
        writer.fill(additionalLength)
    }

    private func encodeDescriptorFormat(to writer: inout ParameterDataWriter) {
        writer.append((isDeferred ? SenseResponseCode.descriptorDeferred : .descriptorCurrent).rawValue)
        writer.append(key.rawValue)
        writer.append(additional.asc)
        writer.append(additional.ascq)
        writer.appendZeroes(3)  // SDAT_OVFL zero: nothing is ever left out; reserved
        let additionalLength = writer.reserveLength(.oneByte)
        if let information {
            SenseDescriptorType.information.begin(&writer)
            writer.append(SenseLayout.valid)
            writer.append(UInt8(0))
            writer.append(information)
        }
        if let commandSpecific {
            SenseDescriptorType.commandSpecificInformation.begin(&writer)
            writer.appendZeroes(2)
            writer.append(commandSpecific)
        }
        if let specific {
            SenseDescriptorType.senseKeySpecific.begin(&writer)
            writer.appendZeroes(2)
            writer.append24(specific.encoded)
            writer.append(UInt8(0))
        }
        if fieldReplaceableUnit != 0 {
            SenseDescriptorType.fieldReplaceableUnit.begin(&writer)
            writer.append(UInt8(0))
            writer.append(fieldReplaceableUnit)
        }
        if !stream.isEmpty {
            // ILI alone is what the block commands descriptor says; with the others it is a tape's.
            let isBlock = stream == .incorrectLength
            (isBlock ? SenseDescriptorType.blockCommands : .streamCommands).begin(&writer)
            writer.append(UInt8(0))
            writer.append(stream.rawValue)
        }
        writer.fill(additionalLength)
    }
}

/// RESPONSE CODE (SPC-4 4.5).
enum SenseResponseCode: UInt8 {
    case fixedCurrent = 0x70
    case fixedDeferred = 0x71
    case descriptorCurrent = 0x72
    case descriptorDeferred = 0x73

    var isDeferred: Bool { self == .fixedDeferred || self == .descriptorDeferred }
}

/// Bits that several fields of sense data share.
enum SenseLayout {
    /// VALID of the INFORMATION field.
    static let valid: UInt8 = 0x80
    /// Bytes before the first descriptor.
    static let headerByteCount = 8
}

/// Sense data descriptors (SPC-4 4.5.2) that this type keeps.
enum SenseDescriptorType: UInt8 {
    case information = 0x00
    case commandSpecificInformation = 0x01
    case senseKeySpecific = 0x02
    case fieldReplaceableUnit = 0x03
    case streamCommands = 0x04
    case blockCommands = 0x05

    /// ADDITIONAL LENGTH of the descriptor.
    var additionalLength: UInt8 {
        switch self {
        case .information, .commandSpecificInformation: 0x0A
        case .senseKeySpecific: 0x06
        case .fieldReplaceableUnit, .streamCommands, .blockCommands: 0x02
        }
    }

    fileprivate func begin(_ writer: inout ParameterDataWriter) {
        writer.append(rawValue)
        writer.append(additionalLength)
    }
}

extension SenseKeySpecific {
    private static let sksv: UInt32 = 0x80_0000
    private static let commandData: UInt32 = 0x40_0000
    private static let segmentDescriptor: UInt32 = 0x20_0000
    private static let bitPointerValid: UInt32 = 0x08_0000
    private static let overflow: UInt32 = 0x01_0000

    /// The three bytes as a 24-bit integer, SKSV set.
    var encoded: UInt32 {
        switch self {
        case .fieldPointer(let pointer):
            Self.sksv | (pointer.isInCDB ? Self.commandData : 0) | Self.encode(pointer.bit, pointer.byte)
        case .segmentPointer(let pointer):
            Self.sksv | (pointer.isInSegmentDescriptor ? Self.segmentDescriptor : 0)
                | Self.encode(pointer.bit, pointer.byte)
        case .actualRetryCount(let count), .progress(let count):
            Self.sksv | UInt32(count)
        case .unitAttentionQueueOverflow(let isSet):
            Self.sksv | (isSet ? Self.overflow : 0)
        }
    }

    private static func encode(_ bit: UInt8?, _ byte: UInt16) -> UInt32 {
        guard let bit else { return UInt32(byte) }
        return bitPointerValid | UInt32(bit & 0x07) << 16 | UInt32(byte)
    }

    /// What the three bytes mean with `key` (SPC-4 4.5); nil with SKSV zero or a key that gives them no meaning.
    init?(_ field: UInt32, key: SenseKey) {
        guard field & Self.sksv != 0 else { return nil }
        let value = UInt16(truncatingIfNeeded: field)
        let bit = field & Self.bitPointerValid == 0 ? nil : UInt8(truncatingIfNeeded: field >> 16) & 0x07
        switch key {
        case .illegalRequest:
            self = .fieldPointer(FieldPointer(isInCDB: field & Self.commandData != 0, byte: value, bit: bit))
        case .recoveredError, .mediumError, .hardwareError:
            self = .actualRetryCount(value)
        case .noSense, .notReady:
            self = .progress(value)
        case .copyAborted:
            let isInDescriptor = field & Self.segmentDescriptor != 0
            self = .segmentPointer(
                SegmentPointer(isInSegmentDescriptor: isInDescriptor, byte: value, bit: bit))
        case .unitAttention:
            self = .unitAttentionQueueOverflow(field & Self.overflow != 0)
        case .dataProtect, .blankCheck, .vendorSpecific, .abortedCommand, .reserved, .volumeOverflow, .miscompare,
            .completed:
            return nil
        }
    }
}
