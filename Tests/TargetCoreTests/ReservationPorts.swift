// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore

/// One unit in two targets, and so behind two target ports.
struct TwoPorts {
    static let nameA = "iqn.2026-11.org.example:a,i,0x000000000001"
    static let nameB = "iqn.2026-11.org.example:b,i,0x00023d00000b"
    static let targetNames = ["iqn.2026-11.org.example:first", "iqn.2026-11.org.example:second"]

    let unit: LogicalUnit
    let targets: [SCSITarget]

    /// `targetNames`: in the order of their ports, from 1.
    init(_ store: FakeStore? = nil, targetNames: [String] = Self.targetNames) {
        var options = LogicalUnitOptions()
        options.store = store
        let unit = LogicalUnit(
            device: FakeDevice(), identity: LogicalUnitIdentity(serial: "0123456789"), options: options)
        self.unit = unit
        targets = targetNames.enumerated().map {
            SCSITarget(
                name: $1, luns: [0: unit], relativePortIdentifier: UInt16($0 + 1), postsPowerOnAttention: false)
        }
    }

    /// `port`: from 1.
    func initiator(_ name: String, port: Int) -> Initiator { Initiator(targets[port - 1], name: name) }
}

/// Parameter lists and answers of PERSISTENT RESERVE, byte by byte.
enum ReserveBytes {
    /// A TransportID in format 01b, or 00b for a name without an ISID (SPC-4 7.6.4).
    static func transportID(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8)
        let padded = max(20, (bytes.count + 1 + 3) / 4 * 4)
        let format: UInt8 = name.contains(",i,0x") ? 0x45 : 0x05
        return [format, 0, 0, UInt8(padded)] + bytes + [UInt8](repeating: 0, count: padded - bytes.count)
    }

    /// REGISTER with SPEC_I_PT.
    static func specifying(
        _ names: [String], key: UInt64 = 0, newKey: UInt64, flags: UInt8 = 0
    ) -> [UInt8] {
        let identifiers = names.flatMap(transportID)
        return joined(
            key.bytes, newKey.bytes, [0, 0, 0, 0, 0x08 | flags, 0, 0, 0], UInt32(identifiers.count).bytes, identifiers)
    }

    /// REGISTER AND MOVE. `flags`: UNREG 02h, APTPL 01h.
    static func move(
        to name: String, port: UInt16 = 1, key: UInt64, newKey: UInt64, flags: UInt8 = 0
    ) -> [UInt8] {
        let identifier = transportID(name)
        return joined(key.bytes, newKey.bytes, [0, flags], port.bytes, UInt32(identifier.count).bytes, identifier)
    }

    static func run(_ initiator: Initiator, _ action: UInt8, _ list: [UInt8]) -> Ended {
        let length = UInt32(list.count).bytes
        return initiator.run([0x5F, action, 0, 0, 0] + length + [0], list)
    }

    /// READ FULL STATUS: what there is of each registration.
    struct Status: Equatable {
        var key: UInt64
        var port: UInt16
        var name: String
        var isHolder = false
    }

    static func fullStatus(_ initiator: Initiator) -> [Status] {
        let data = initiator.run([0x5E, 3, 0, 0, 0, 0, 0, 0x40, 0, 0]).data
        var found: [Status] = []
        var offset = 8
        while offset + 24 <= data.count {
            let length = Int(value(data, offset + 20, 4))
            let name = data[(offset + 28)..<(offset + 24 + length)].prefix { $0 != 0 }
            found.append(
                Status(
                    key: value(data, offset, 8), port: UInt16(value(data, offset + 18, 2)),
                    name: String(decoding: name, as: UTF8.self), isHolder: data[offset + 12] & 1 == 1))
            offset += 24 + length
        }
        return found
    }

    private static func value(_ data: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        data[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
