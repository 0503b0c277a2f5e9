// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore

/// Three units of one target that has no map of its own, for nexuses that are given theirs.
struct MapRig {
    static let nameA = "iqn.2026-11.org.example:a,i,0x000000000001"
    static let nameB = "iqn.2026-11.org.example:b,i,0x000000000002"
    static let ports = [
        TargetPortDescription(relativeIdentifier: 1, name: "iqn.2026-11.org.example:target,t,0x0001", group: 1),
        TargetPortDescription(relativeIdentifier: 2, name: "iqn.2026-11.org.example:target,t,0x0007", group: 2),
    ]

    let devices: [FakeDevice]
    let units: [LogicalUnit]
    let target: SCSITarget

    init(
        _ devices: [FakeDevice] = [FakeDevice(), FakeDevice(), FakeDevice()], postsPowerOnAttention: Bool = false,
        ports: [TargetPortDescription] = Self.ports, options change: (inout LogicalUnitOptions) -> Void = { _ in }
    ) {
        self.devices = devices
        var options = LogicalUnitOptions()
        change(&options)
        units = devices.enumerated().map { index, device in
            LogicalUnit(device: device, identity: LogicalUnitIdentity(serial: "unit-\(index)"), options: options)
        }
        target = SCSITarget(
            name: "iqn.2026-11.org.example:target", map: .empty, ports: ports,
            postsPowerOnAttention: postsPowerOnAttention)
        target.replaceMap(.empty, others: [map([0: 0, 1: 1, 2: 2])])
    }

    /// Places in `units` by logical unit number.
    func map(_ places: [Int: Int], readOnly: Set<Int> = []) -> LUNMap {
        LUNMap(
            Dictionary(
                uniqueKeysWithValues: places.map { number, place in
                    (number, LUNMap.Entry(unit: units[place], isReadOnly: readOnly.contains(number)))
                }))
    }

    func initiator(
        _ places: [Int: Int], readOnly: Set<Int> = [], name: String = Self.nameA, loop: FakeLoop = FakeLoop(),
        through port: TargetPortDescription? = nil
    ) -> Initiator {
        Initiator(target, name: name, loop: loop, map: map(places, readOnly: readOnly), through: port)
    }

    /// Changes the map of `initiator`. False: its completion has not been called.
    @discardableResult
    func change(_ initiator: Initiator, to places: [Int: Int], readOnly: Set<Int> = []) -> Completion {
        let completion = Completion()
        initiator.nexus.change(to: map(places, readOnly: readOnly)) { completion.count += 1 }
        return completion
    }

    final class Completion {
        var count = 0
    }
}

extension LogicalUnitNumber {
    static let lun = (0..<8).map { LogicalUnitNumber($0) }
}

extension Initiator {
    /// The unit attentions pending at `lun`, in their order, taken by TEST UNIT READY.
    func attentions(_ lun: Int) -> [AdditionalSense] {
        var taken: [AdditionalSense] = []
        while taken.count < 16 {
            guard let sense = run(CDB.testUnitReady, lun: .lun[lun]).sense, sense.key == .unitAttention else { break }
            taken.append(sense.additional)
        }
        return taken
    }

    /// The numbers that REPORT LUNS lists.
    func reportedLUNs(_ report: UInt8 = 0, lun: Int = 0) -> [UInt64] {
        let data = run([0xA0, 0, report, 0, 0, 0, 0, 0, 16, 0, 0, 0], lun: .lun[lun]).data
        return stride(from: 8, to: data.count, by: 8).map { start in
            data[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    /// UNIT SERIAL NUMBER of what is behind `lun`; nil: nothing is.
    func serial(_ lun: Int) -> String? {
        let data = run([0x12, 1, 0x80, 0, 252, 0], lun: .lun[lun]).data
        return data.count > 4 ? String(decoding: data[4...], as: UTF8.self) : nil
    }
}
