// SPDX-License-Identifier: Apache-2.0

/// An iSCSI PDU as bytes, written from RFC 7143 11 and apart from the server's sources, so that the two check each other.
struct WirePDU {
    static let headerByteCount = 48
    static let noTag: UInt32 = 0xFFFF_FFFF

    enum Opcode {
        static let nopOut: UInt8 = 0x00
        static let scsiCommand: UInt8 = 0x01
        static let taskManagementRequest: UInt8 = 0x02
        static let loginRequest: UInt8 = 0x03
        static let textRequest: UInt8 = 0x04
        static let dataOut: UInt8 = 0x05
        static let logoutRequest: UInt8 = 0x06
        static let snack: UInt8 = 0x10
        static let nopIn: UInt8 = 0x20
        static let scsiResponse: UInt8 = 0x21
        static let loginResponse: UInt8 = 0x23
        static let dataIn: UInt8 = 0x25
        static let logoutResponse: UInt8 = 0x26
        static let r2t: UInt8 = 0x31
        static let reject: UInt8 = 0x3F
    }

    static let immediate: UInt8 = 0x40
    static let final: UInt8 = 0x80

    var header: [UInt8]
    var additionalHeader: [UInt8] = []
    var data: [UInt8] = []

    init(opcode: UInt8, flags: UInt8 = WirePDU.final, data: [UInt8] = []) {
        header = [UInt8](repeating: 0, count: Self.headerByteCount)
        header[0] = opcode
        header[1] = flags
        self.data = data
    }

    init(header: [UInt8]) { self.header = header }

    var opcode: UInt8 { header[0] & 0x3F }
    var flags: UInt8 { header[1] }
    var isFinal: Bool { flags & Self.final != 0 }
    var dataSegmentLength: Int { Int(header.bigEndian(at: 5, count: 3)) }

    var lun: Int {
        get { Int(header.bigEndian(at: 8, count: 2) & 0x3FFF) }
        set { header.replaceSubrange(8..<10, with: bigEndian(UInt64(newValue), count: 2)) }
    }

    // Fields with the same place in all PDUs that have them.
    var initiatorTaskTag: UInt32 {
        get { self[16] }
        set { self[16] = newValue }
    }
    var targetTransferTag: UInt32 {
        get { self[20] }
        set { self[20] = newValue }
    }
    var expectedLength: UInt32 {
        get { self[20] }
        set { self[20] = newValue }
    }
    var cmdSN: UInt32 {
        get { self[24] }
        set { self[24] = newValue }
    }
    var statSN: UInt32 {
        get { self[24] }
        set { self[24] = newValue }
    }
    var expStatSN: UInt32 {
        get { self[28] }
        set { self[28] = newValue }
    }
    var expCmdSN: UInt32 { self[28] }
    var maxCmdSN: UInt32 { self[32] }
    var dataSN: UInt32 {
        get { self[36] }
        set { self[36] = newValue }
    }
    var bufferOffset: UInt32 {
        get { self[40] }
        set { self[40] = newValue }
    }
    var desiredLength: UInt32 { self[44] }
    var residual: UInt32 { self[44] }

    /// The 32-bit big-endian field that begins at byte `offset`.
    subscript(offset: Int) -> UInt32 {
        get { UInt32(header.bigEndian(at: offset, count: 4)) }
        set { header.replaceSubrange(offset..<offset + 4, with: bigEndian(UInt64(newValue), count: 4)) }
    }

    /// The whole PDU; its lengths are filled in, and segments padded to four bytes.
    func encoded(headerDigest: Bool = false, dataDigest: Bool = false) -> [UInt8] {
        var bytes = header
        bytes[4] = UInt8(additionalHeader.count / 4)
        bytes.replaceSubrange(5..<8, with: bigEndian(UInt64(data.count), count: 3))
        bytes += additionalHeader
        if headerDigest { bytes += WireDigest.crc32c(bytes) }
        guard !data.isEmpty else { return bytes }
        let padded = data + [UInt8](repeating: 0, count: -data.count & 3)
        return bytes + padded + (dataDigest ? WireDigest.crc32c(padded) : [])
    }
}

/// CRC32C as RFC 7143 13.1 puts it on the wire: one bit at a time, once, into a table.
enum WireDigest {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78 }
    }

    static func crc32c(_ bytes: [UInt8]) -> [UInt8] {
        let value = ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
        return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

extension [UInt8] {
    /// `key=value` pairs as a text segment, in this order.
    static func text(_ pairs: [(String, String)]) -> [UInt8] {
        pairs.flatMap { "\($0)=\($1)".utf8 + [0] }
    }

    /// The `key=value` pairs of a text segment.
    var textPairs: [String: String] {
        split(separator: 0).reduce(into: [:]) { pairs, item in
            let parts = String(decoding: item, as: UTF8.self).split(separator: "=", maxSplits: 1)
            pairs[String(parts.first ?? "")] = parts.count > 1 ? String(parts[1]) : ""
        }
    }
}
