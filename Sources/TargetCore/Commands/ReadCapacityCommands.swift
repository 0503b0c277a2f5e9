// SPDX-License-Identifier: Apache-2.0

import SCSI

/// READ CAPACITY(10) and (16) (SBC-4 5.20, 5.21). The obsolete LOGICAL BLOCK ADDRESS and PMI must be zero.
enum ReadCapacityCommands {
    static let rows = [
        CommandDescriptor(
            name: "READ CAPACITY(10)", opcode: .readCapacity10, usage: [UInt8](repeating: 0, count: 9),
            data: .toInitiator, traits: .namesMedium, reservation: .duringPersistentReservation,
            plan: { _, _ throws(SenseData) in TransferPlan(toInitiator: ReadCapacityData.tenByteCount) },
            perform: { task, nexus throws(SenseData) in
                let data = capacity(of: nexus.unit)
                return task.respond { data.write10(to: &$0) }
            }),
        CommandDescriptor(
            name: "READ CAPACITY(16)", opcode: .serviceActionIn16,
            serviceAction: ServiceAction.In16.readCapacity16.rawValue,
            usage: [0x1F] + [UInt8](repeating: 0, count: 8) + [0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00],
            data: .toInitiator, traits: .namesMedium, reservation: .duringPersistentReservation,
            plan: { task, _ throws(SenseData) in
                let allocationLength = Int(task.cdb.uint32(at: allocationLengthByte))
                return TransferPlan(toInitiator: min(allocationLength, ReadCapacityData.sixteenByteCount))
            },
            perform: { task, nexus throws(SenseData) in
                let data = capacity(of: nexus.unit)
                return task.respond { data.write16(to: &$0) }
            }),
    ]

    private static let allocationLengthByte = 10

    private static func capacity(of unit: LogicalUnit) -> ReadCapacityData {
        var data = ReadCapacityData(blockCount: unit.blockCount, blockByteCount: UInt32(unit.blockByteCount))
        data.physicalBlockExponent = unit.physicalBlockExponent
        data.isProvisioned = unit.features.canUnmap
        data.unmappedReadsZero = unit.features.canUnmap && unit.features.unmappedReadsZero
        return data
    }
}
