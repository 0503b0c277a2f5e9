// SPDX-License-Identifier: Apache-2.0

/// The tags of attributes that a target uses (RFC 4171 6.1).
public enum ISNSTag {
    public static let delimiter: UInt32 = 0
    public static let entityIdentifier: UInt32 = 1
    public static let entityProtocol: UInt32 = 2
    public static let timestamp: UInt32 = 4
    public static let registrationPeriod: UInt32 = 6
    public static let portalAddress: UInt32 = 16
    public static let portalPort: UInt32 = 17
    public static let esiInterval: UInt32 = 19
    public static let esiPort: UInt32 = 20
    public static let scnPort: UInt32 = 23
    public static let iscsiName: UInt32 = 32
    public static let iscsiNodeType: UInt32 = 33
    public static let iscsiSCNBitmap: UInt32 = 35
    public static let portalGroupAddress: UInt32 = 49
    public static let portalGroupPort: UInt32 = 50
    public static let portalGroupTag: UInt32 = 51
}

/// One attribute: a tag of four bytes, a length of four bytes, and so many bytes of value, a multiple of four
/// (RFC 4171 5.3).
public struct ISNSAttribute: Equatable, Sendable {
    public var tag: UInt32
    public var value: [UInt8]

    /// Separates the Message Key from the Operating Attributes (5.6.3).
    public static let delimiter = ISNSAttribute(tag: ISNSTag.delimiter)

    /// A value that has its length already. Without one: a zero-length TLV, which asks for the attribute in a query.
    public init(tag: UInt32, value: [UInt8] = []) {
        self.tag = tag
        self.value = value
    }

    public init(tag: UInt32, number: UInt32) {
        self.tag = tag
        value = []
        value.append(field: number)
    }

    /// Text in UTF-8 with a zero byte at its end, and as many more as the alignment needs (5.3.1).
    public init(tag: UInt32, text: String) {
        self.tag = tag
        value = Array(text.utf8.prefix { $0 != 0 })
        repeat { value.append(0) } while value.count % 4 != 0
    }

    /// The value as a number of four bytes.
    public var number: UInt32? {
        guard value.count == 4 else { return nil }
        return value.reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The value as text, without the zero bytes at its end; nil when it is no UTF-8.
    public var text: String? { String(validating: value.prefix { $0 != 0 }, as: UTF8.self) }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + value.count)
        bytes.append(field: tag)
        bytes.append(field: UInt32(clamping: value.count))
        return bytes + value
    }

    /// The attributes that `bytes` hold, which end with the last of them.
    public static func list(_ bytes: ArraySlice<UInt8>) throws(ISNSError) -> [ISNSAttribute] {
        var reader = ByteReader(bytes)
        var attributes: [ISNSAttribute] = []
        while !reader.rest.isEmpty {
            guard let tag = reader.uint32(), let length = reader.uint32() else { throw .truncated }
            guard length % 4 == 0 else { throw .misaligned }
            guard let value = reader.bytes(Int(length)) else { throw .truncated }
            try check(tag, valueByteCount: value.count)
            attributes.append(ISNSAttribute(tag: tag, value: Array(value)))
        }
        return attributes
    }

    /// What is shorter or longer than its kind would be misread. A value that is absent is allowed for every one.
    private static func check(_ tag: UInt32, valueByteCount: Int) throws(ISNSError) {
        let isRight: Bool
        switch tag {
        case ISNSTag.delimiter: isRight = valueByteCount == 0
        case ISNSTag.entityIdentifier: isRight = valueByteCount <= 256
        case ISNSTag.iscsiName: isRight = valueByteCount <= 224
        case ISNSTag.timestamp: isRight = [0, 8].contains(valueByteCount)
        case ISNSTag.portalAddress, ISNSTag.portalGroupAddress: isRight = [0, 16].contains(valueByteCount)
        case ISNSTag.entityProtocol, ISNSTag.registrationPeriod, ISNSTag.portalPort, ISNSTag.esiInterval,
            ISNSTag.esiPort, ISNSTag.scnPort, ISNSTag.iscsiNodeType, ISNSTag.iscsiSCNBitmap, ISNSTag.portalGroupPort,
            ISNSTag.portalGroupTag:
            isRight = [0, 4].contains(valueByteCount)
        default: isRight = true
        }
        if !isRight { throw .attributeLength(tag) }
    }
}

/// The iSCSI Node SCN Bitmap (RFC 4171 6.4.4).
public struct ISNSChanges: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let initiatorAndSelfOnly = ISNSChanges(rawValue: 0x80)
    public static let targetAndSelfOnly = ISNSChanges(rawValue: 0x40)
    public static let management = ISNSChanges(rawValue: 0x20)
    public static let objectRemoved = ISNSChanges(rawValue: 0x10)
    public static let objectAdded = ISNSChanges(rawValue: 0x08)
    public static let objectUpdated = ISNSChanges(rawValue: 0x04)
    public static let memberRemoved = ISNSChanges(rawValue: 0x02)
    public static let memberAdded = ISNSChanges(rawValue: 0x01)
}
