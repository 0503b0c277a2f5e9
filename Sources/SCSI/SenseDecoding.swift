// SPDX-License-Identifier: Apache-2.0

/// Reading sense data: from a store that answers CDBs itself, or in tests.
extension SenseData {
    /// Reads sense data of either format from the start of `bytes`, as far as they and their ADDITIONAL SENSE LENGTH
    /// go. Nil when they are no sense data: an unknown response code, or too short to hold a sense key.
    /// Descriptors of unknown type, or cut short, are passed over.
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount > 0, let code = SenseResponseCode(rawValue: bytes.uint8(at: 0) & 0x7F) else {
            return nil
        }
        switch code {
        case .fixedCurrent, .fixedDeferred: self.init(fixed: bytes)
        case .descriptorCurrent, .descriptorDeferred: self.init(descriptors: bytes)
        }
        isDeferred = code.isDeferred
    }

    /// As `init(_: RawSpan)`.
    public init?(_ bytes: [UInt8]) {
        // Safe: UInt8 has no padding.
        unsafe self.init(bytes.span.bytes)
    }

    /// Fields behind the end of a short answer are absent, that is zero.
    private init?(fixed bytes: RawSpan) {
        guard bytes.byteCount >= 3, let key = SenseKey(rawValue: bytes.uint8(at: 2) & 0x0F) else { return nil }
        var count = bytes.byteCount
        if count >= 8 { count = min(count, 8 + Int(bytes.uint8(at: 7))) }
        func byte(_ offset: Int) -> UInt8 { offset < count ? bytes.uint8(at: offset) : 0 }

        self.init(key, AdditionalSense(byte(12), byte(13)))
        if bytes.uint8(at: 0) & SenseLayout.valid != 0, count >= 7 {
            information = UInt64(bytes.uint32(at: 3))
        }
        if count >= 12, bytes.uint32(at: 8) != 0 { commandSpecific = UInt64(bytes.uint32(at: 8)) }
        fieldReplaceableUnit = byte(14)
        if count >= 18 { specific = SenseKeySpecific(bytes.uint24(at: 15), key: key) }
        stream = StreamIndications(rawValue: byte(2) & 0xE0)
    }

    private init?(descriptors bytes: RawSpan) {
        guard bytes.byteCount >= 4, let key = SenseKey(rawValue: bytes.uint8(at: 1) & 0x0F) else { return nil }
        self.init(key, AdditionalSense(bytes.uint8(at: 2), bytes.uint8(at: 3)))
        guard bytes.byteCount >= SenseLayout.headerByteCount else { return }
        let end = min(bytes.byteCount, SenseLayout.headerByteCount + Int(bytes.uint8(at: 7)))
        var offset = SenseLayout.headerByteCount
        while offset + 2 <= end {
            let byteCount = 2 + Int(bytes.uint8(at: offset + 1))
            guard offset + byteCount <= end else { return }
            read(descriptor: bytes.extracting(offset..<offset + byteCount))
            offset += byteCount
        }
    }

    private mutating func read(descriptor: RawSpan) {
        guard let type = SenseDescriptorType(rawValue: descriptor.uint8(at: 0)),
            descriptor.byteCount >= 2 + Int(type.additionalLength)
        else { return }
        switch type {
        case .information:
            if descriptor.uint8(at: 2) & SenseLayout.valid != 0 { information = descriptor.uint64(at: 4) }
        case .commandSpecificInformation:
            commandSpecific = descriptor.uint64(at: 4)
        case .senseKeySpecific:
            specific = SenseKeySpecific(descriptor.uint24(at: 4), key: key)
        case .fieldReplaceableUnit:
            fieldReplaceableUnit = descriptor.uint8(at: 3)
        case .streamCommands:
            stream = StreamIndications(rawValue: descriptor.uint8(at: 3) & 0xE0)
        case .blockCommands:
            if descriptor.uint8(at: 3) & StreamIndications.incorrectLength.rawValue != 0 {
                stream.insert(.incorrectLength)
            }
        }
    }
}
