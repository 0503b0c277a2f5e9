// SPDX-License-Identifier: Apache-2.0

/// An iSCSI PDU as bytes, written from RFC 7143 11 and apart from the server's sources, so that the two check each other.
package struct WirePDU: Equatable {
    package static let headerByteCount = 48
    package static let noTag: UInt32 = 0xFFFF_FFFF

    package enum Opcode {
        package static let nopOut: UInt8 = 0x00
        package static let scsiCommand: UInt8 = 0x01
        package static let taskManagementRequest: UInt8 = 0x02
        package static let loginRequest: UInt8 = 0x03
        package static let textRequest: UInt8 = 0x04
        package static let dataOut: UInt8 = 0x05
        package static let logoutRequest: UInt8 = 0x06
        package static let snack: UInt8 = 0x10
        package static let nopIn: UInt8 = 0x20
        package static let scsiResponse: UInt8 = 0x21
        package static let taskManagementResponse: UInt8 = 0x22
        package static let loginResponse: UInt8 = 0x23
        package static let textResponse: UInt8 = 0x24
        package static let dataIn: UInt8 = 0x25
        package static let logoutResponse: UInt8 = 0x26
        package static let r2t: UInt8 = 0x31
        package static let asyncMessage: UInt8 = 0x32
        package static let reject: UInt8 = 0x3F
    }

    package static let immediate: UInt8 = 0x40
    package static let final: UInt8 = 0x80

    package var header: [UInt8]
    package var additionalHeader: [UInt8] = []
    package var data: [UInt8] = []

    package init(opcode: UInt8, flags: UInt8 = WirePDU.final, data: [UInt8] = []) {
        header = [UInt8](repeating: 0, count: Self.headerByteCount)
        header[0] = opcode
        header[1] = flags
        self.data = data
    }

    package init(header: [UInt8]) { self.header = header }

    package var opcode: UInt8 { header[0] & 0x3F }
    package var flags: UInt8 { header[1] }
    package var isFinal: Bool { flags & Self.final != 0 }
    package var dataSegmentLength: Int { Int(header.bigEndian(at: 5, count: 3)) }

    package var lun: Int {
        get { Int(header.bigEndian(at: 8, count: 2) & 0x3FFF) }
        set { header.replaceSubrange(8..<10, with: bigEndian(UInt64(newValue), count: 2)) }
    }

    // Fields with the same place in all PDUs that have them.
    package var initiatorTaskTag: UInt32 {
        get { self[16] }
        set { self[16] = newValue }
    }
    package var targetTransferTag: UInt32 {
        get { self[20] }
        set { self[20] = newValue }
    }
    package var expectedLength: UInt32 {
        get { self[20] }
        set { self[20] = newValue }
    }
    package var cmdSN: UInt32 {
        get { self[24] }
        set { self[24] = newValue }
    }
    package var statSN: UInt32 {
        get { self[24] }
        set { self[24] = newValue }
    }
    package var expStatSN: UInt32 {
        get { self[28] }
        set { self[28] = newValue }
    }
    package var expCmdSN: UInt32 { self[28] }
    package var maxCmdSN: UInt32 { self[32] }
    package var dataSN: UInt32 {
        get { self[36] }
        set { self[36] = newValue }
    }
    package var bufferOffset: UInt32 {
        get { self[40] }
        set { self[40] = newValue }
    }
    package var desiredLength: UInt32 { self[44] }
    package var residual: UInt32 { self[44] }

    /// The 32-bit big-endian field that begins at byte `offset`.
    package subscript(offset: Int) -> UInt32 {
        get { UInt32(header.bigEndian(at: offset, count: 4)) }
        set { header.replaceSubrange(offset..<offset + 4, with: bigEndian(UInt64(newValue), count: 4)) }
    }

    /// The whole PDU; its lengths are filled in, and segments padded to four bytes.
    package func encoded(headerDigest: Bool = false, dataDigest: Bool = false) -> [UInt8] {
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
package enum WireDigest {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78 }
    }

    package static func crc32c(_ bytes: [UInt8]) -> [UInt8] {
        let value = ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
        return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

extension [UInt8] {
    /// `key=value` pairs as a text segment, in this order.
    package static func text(_ pairs: [(String, String)]) -> [UInt8] {
        pairs.flatMap { "\($0)=\($1)".utf8 + [0] }
    }

    /// The `key=value` pairs of a text segment.
    package var textPairs: [String: String] {
        split(separator: 0).reduce(into: [:]) { pairs, item in
            let parts = String(decoding: item, as: UTF8.self).split(separator: "=", maxSplits: 1)
            pairs[String(parts.first ?? "")] = parts.count > 1 ? String(parts[1]) : ""
        }
    }
}

/// `value` in `count` bytes, the most significant first.
func bigEndian(_ value: UInt64, count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
}

extension [UInt8] {
    func bigEndian(at offset: Int, count: Int) -> UInt64 {
        self[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
