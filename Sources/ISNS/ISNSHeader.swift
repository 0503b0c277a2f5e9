// SPDX-License-Identifier: Apache-2.0

/// What an iSNSP message is (RFC 4171 4.1.3). A response has the number of its request with the leading bit set.
public enum ISNSFunction: UInt16, CaseIterable, Sendable {
    case devAttrReg = 0x0001
    case devAttrQry = 0x0002
    case devGetNext = 0x0003
    case devDereg = 0x0004
    case scnReg = 0x0005
    case scnDereg = 0x0006
    case scnEvent = 0x0007
    case scn = 0x0008
    case ddReg = 0x0009
    case ddDereg = 0x000A
    case ddsReg = 0x000B
    case ddsDereg = 0x000C
    case esi = 0x000D
    case heartbeat = 0x000E
    case devAttrRegRsp = 0x8001
    case devAttrQryRsp = 0x8002
    case devGetNextRsp = 0x8003
    case devDeregRsp = 0x8004
    case scnRegRsp = 0x8005
    case scnDeregRsp = 0x8006
    case scnEventRsp = 0x8007
    case scnRsp = 0x8008
    case ddRegRsp = 0x8009
    case ddDeregRsp = 0x800A
    case ddsRegRsp = 0x800B
    case ddsDeregRsp = 0x800C
    case esiRsp = 0x800D

    static let responseBit: UInt16 = 0x8000

    public var isResponse: Bool { rawValue & Self.responseBit != 0 }

    /// Nil for a response, and for the heartbeat, which has none.
    public var response: ISNSFunction? { isResponse ? nil : ISNSFunction(rawValue: rawValue | Self.responseBit) }

    /// The RFC's abbreviation.
    public var name: String {
        switch self {
        case .devAttrReg: "DevAttrReg"
        case .devAttrQry: "DevAttrQry"
        case .devGetNext: "DevGetNext"
        case .devDereg: "DevDereg"
        case .scnReg: "SCNReg"
        case .scnDereg: "SCNDereg"
        case .scnEvent: "SCNEvent"
        case .scn: "SCN"
        case .ddReg: "DDReg"
        case .ddDereg: "DDDereg"
        case .ddsReg: "DDSReg"
        case .ddsDereg: "DDSDereg"
        case .esi: "ESI"
        case .heartbeat: "Heartbeat"
        default: (ISNSFunction(rawValue: rawValue & ~Self.responseBit)?.name ?? "") + "Rsp"
        }
    }
}

/// The FLAGS field (RFC 4171 5.1.4).
public struct ISNSFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let client = ISNSFlags(rawValue: 0x8000)
    public static let server = ISNSFlags(rawValue: 0x4000)
    public static let authenticationBlock = ISNSFlags(rawValue: 0x2000)
    /// Of DevAttrReg: what is registered takes the place of the object that the Message Key names.
    public static let replace = ISNSFlags(rawValue: 0x1000)
    public static let lastPDU = ISNSFlags(rawValue: 0x0800)
    public static let firstPDU = ISNSFlags(rawValue: 0x0400)
}

/// The 12 bytes before the payload of an iSNSP PDU (RFC 4171 5.1): version, function, length, flags, transaction and
/// sequence, two bytes each.
public struct ISNSHeader: Equatable, Sendable {
    public static let byteCount = 12
    public static let version: UInt16 = 1
    /// PDU LENGTH has 16 bits and is a multiple of four.
    public static let maximumPayloadByteCount = 65_532

    public var function: UInt16
    /// Bytes of the payload.
    public var payloadByteCount: Int
    public var flags: ISNSFlags
    public var transaction: UInt16
    public var sequence: UInt16

    public init(function: UInt16, payloadByteCount: Int, flags: ISNSFlags, transaction: UInt16, sequence: UInt16) {
        self.function = function
        self.payloadByteCount = payloadByteCount
        self.flags = flags
        self.transaction = transaction
        self.sequence = sequence
    }

    /// Reads the first 12 of `bytes`, which must be there.
    public init(_ bytes: ArraySlice<UInt8>) throws(ISNSError) {
        var reader = ByteReader(bytes)
        guard let version = reader.uint16(), let function = reader.uint16(), let length = reader.uint16(),
            let flags = reader.uint16(), let transaction = reader.uint16(), let sequence = reader.uint16()
        else { throw .truncated }
        guard version == Self.version else { throw .version(version) }
        guard length % 4 == 0 else { throw .misaligned }
        self.init(
            function: function, payloadByteCount: Int(length), flags: ISNSFlags(rawValue: flags),
            transaction: transaction, sequence: sequence)
    }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for field in [
            Self.version, function, UInt16(clamping: payloadByteCount), flags.rawValue, transaction, sequence,
        ] {
            bytes.append(field: field)
        }
        return bytes
    }
}
