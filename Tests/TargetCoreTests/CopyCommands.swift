// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore

/// EXTENDED COPY(LID1), byte by byte as SPC-4 6.4 lays it out.
enum ExtendedCopy {
    static func cdb(byteCount: Int) -> [UInt8] {
        [0x83, 0] + [UInt8](repeating: 0, count: 8) + UInt32(byteCount).bytes + [0, 0]
    }

    static func cdb(_ list: [UInt8]) -> [UInt8] { cdb(byteCount: list.count) }

    /// `usage`: byte 1. Lengths that are nil follow from the descriptors.
    static func list(
        _ identifier: UInt8 = 7, usage: UInt8 = 0, targets: [[UInt8]], segments: [[UInt8]], inlineByteCount: UInt32 = 0,
        targetsByteCount: UInt16? = nil, segmentsByteCount: UInt32? = nil
    ) -> [UInt8] {
        let first = targets.flatMap { $0 }
        let second = segments.flatMap { $0 }
        return joined(
            [identifier, usage], (targetsByteCount ?? UInt16(first.count)).bytes, [0, 0, 0, 0],
            (segmentsByteCount ?? UInt32(second.count)).bytes, inlineByteCount.bytes, first, second)
    }

    /// By the NAA designator of the unit with this serial number.
    static func target(_ serial: String, blockByteCount: Int = 512) -> [UInt8] {
        target(
            designatorType: 3, codeSet: 1, LogicalUnitIdentity(serial: serial).naa.bytes, blockByteCount: blockByteCount
        )
    }

    static func target(
        designatorType: UInt8, codeSet: UInt8, _ designator: [UInt8], blockByteCount: Int = 512
    ) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: 20 - designator.count)
        return joined(
            [0xE4, 0, 0, 0, codeSet, designatorType, 0, UInt8(designator.count)], designator, padding,
            UInt32(blockByteCount).bytes)
    }

    static func segment(
        _ count: UInt16, from lba: UInt64, to destinationLBA: UInt64, source: UInt16 = 0, destination: UInt16 = 0,
        flags: UInt8 = 0
    ) -> [UInt8] {
        joined(
            [0x02, flags, 0, 24], source.bytes, destination.bytes, [0, 0], count.bytes, lba.bytes,
            destinationLBA.bytes)
    }
}

/// The commands that ask how a copy went.
enum CopyResults {
    static func cdb(_ action: UInt8, _ identifier: UInt8 = 0, length: UInt32 = 4096) -> [UInt8] {
        joined([0x84, action, identifier], [UInt8](repeating: 0, count: 7), length.bytes, [0, 0])
    }

    static func tokenInformation(_ identifier: UInt32, length: UInt32 = 4096) -> [UInt8] {
        joined([0x84, 0x07], identifier.bytes, [0, 0, 0, 0], length.bytes, [0, 0])
    }
}

/// POPULATE TOKEN and WRITE USING TOKEN, byte by byte as SBC-3 lays them out.
enum Token {
    typealias Command = (cdb: [UInt8], list: [UInt8])

    /// The block device zero ROD token.
    static let zero: [UInt8] = joined([0xFF, 0xFF, 0x00, 0x01, 0, 0, 0x01, 0xF8], [UInt8](repeating: 0, count: 504))

    static func populate(
        _ ranges: [(lba: UInt64, count: UInt32)], identifier: UInt32 = 5, timeout: UInt32 = 0, type: UInt32? = nil
    ) -> Command {
        let header = joined(
            [type == nil ? 0 : 0x02, 0], timeout.bytes, (type ?? 0).bytes, [0, 0])
        return command(0x10, identifier, header, ranges)
    }

    static func write(
        _ token: [UInt8], _ ranges: [(lba: UInt64, count: UInt32)], identifier: UInt32 = 6, offset: UInt64 = 0,
        flags: UInt8 = 0
    ) -> Command {
        let header = joined([flags, 0, 0, 0, 0, 0], offset.bytes, token, [0, 0, 0, 0, 0, 0])
        return command(0x11, identifier, header, ranges)
    }

    private static func command(
        _ action: UInt8, _ identifier: UInt32, _ header: [UInt8], _ ranges: [(lba: UInt64, count: UInt32)]
    ) -> Command {
        let descriptors = ranges.flatMap { joined($0.lba.bytes, $0.count.bytes, [0, 0, 0, 0]) }
        let body = joined(header, UInt16(descriptors.count).bytes, descriptors)
        let list = joined(UInt16(body.count).bytes, body)
        let cdb = joined([0x83, action, 0, 0, 0, 0], identifier.bytes, UInt32(list.count).bytes, [0, 0])
        return (cdb, list)
    }
}
