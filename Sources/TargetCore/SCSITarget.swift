// SPDX-License-Identifier: Apache-2.0

import SCSI

/// A SCSI target device with one target port: a name, and logical units by number.
public final class SCSITarget: Sendable {
    /// SCSI device name; with iSCSI the IQN.
    public let name: String
    /// RELATIVE TARGET PORT IDENTIFIER (SPC-4 4.3.4): from 1.
    public let relativePortIdentifier: UInt16
    /// SCSI port name; with iSCSI `iqn,t,0xTPGT`.
    public let portName: String
    /// TARGET PORT GROUP of the port (SPC-4 5.11): from 1.
    public let portGroup: UInt16
    /// Whether a new I_T nexus finds POWER ON, RESET, OR BUS DEVICE RESET OCCURRED pending, as SAM-5 6.2 asks.
    public let postsPowerOnAttention: Bool
    /// By flat logical unit number.
    public let luns: [Int: LogicalUnit]

    /// The same by index, for the data path.
    let units: [LogicalUnit?]
    let absentUnit: LogicalUnit

    /// Numbers outside 0..<16384 are a programming error.
    public init(
        name: String, luns: [Int: LogicalUnit], relativePortIdentifier: UInt16 = 1, portName: String? = nil,
        portGroup: UInt16 = 1, postsPowerOnAttention: Bool = true
    ) {
        self.name = name
        self.luns = luns
        self.relativePortIdentifier = relativePortIdentifier
        self.portName = portName ?? name
        self.portGroup = portGroup
        self.postsPowerOnAttention = postsPowerOnAttention
        var units = [LogicalUnit?](repeating: nil, count: (luns.keys.max() ?? -1) + 1)
        for (number, unit) in luns {
            precondition((0..<TargetLimits.logicalUnitCount).contains(number), "no logical unit number for this index")
            units[number] = unit
            unit.isReached(through: relativePortIdentifier, of: name)
        }
        self.units = units
        absentUnit = LogicalUnit(device: AbsentDevice(), identity: LogicalUnitIdentity(serial: name))
        let port = TargetPortDescription(
            relativeIdentifier: relativePortIdentifier, name: self.portName, group: portGroup)
        for unit in luns.values { unit.portGroups.join(port) }
    }

    /// Numbers of the logical units, ascending.
    public var logicalUnitNumbers: [Int] { luns.keys.sorted() }
}

/// Behind the numbers that name no logical unit. No command of such a number reaches a store.
private final class AbsentDevice: BlockDevice {
    let blockByteCount = 512
    let blockCount: UInt64 = 0
    let features = BlockDeviceFeatures()

    func submit(_ request: BlockRequest) {
        request.complete(.failed(.checkCondition, .logicalUnitNotSupported))
    }

    func submissionsEnded() {}
}
