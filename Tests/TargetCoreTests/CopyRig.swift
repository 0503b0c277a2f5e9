// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization
import TargetCore

/// Seconds that pass when the test says so.
final class FakeClock: Sendable {
    private let seconds = Atomic<UInt64>(1000)
    func pass(_ count: UInt64) { seconds.add(count, ordering: .relaxed) }
    var now: UInt64 { seconds.load(ordering: .relaxed) }
}

/// Three units: initiator A sees the first two (LUN 0 and 1), initiator B the first and the third.
struct CopyRig {
    static let serials = ["unit-one", "unit-two", "unit-three"]

    let devices: [FakeDevice]
    let units: [LogicalUnit]
    let clock = FakeClock()
    let a: Initiator
    let b: Initiator

    init(
        blockByteCounts: [Int] = [512, 512, 512],
        features change: (Int, inout BlockDeviceFeatures) -> Void = { _, _ in },
        options changeOptions: (inout LogicalUnitOptions) -> Void = { _ in }
    ) {
        devices = blockByteCounts.enumerated().map { index, blockByteCount in
            var features = BlockDeviceFeatures()
            change(index, &features)
            let device = FakeDevice(
                blockCount: UInt64(4096 * 512 / blockByteCount), blockByteCount: blockByteCount, features: features)
            device.contents = (0..<Int(device.blockCount)).flatMap { Self.block(index, $0, blockByteCount) }
            return device
        }
        var options = LogicalUnitOptions()
        let clock = clock
        options.monotonicSeconds = { clock.now }
        changeOptions(&options)
        units = zip(devices, Self.serials).map { device, serial in
            LogicalUnit(device: device, identity: LogicalUnitIdentity(serial: serial), options: options)
        }
        func target(_ name: String, _ units: [LogicalUnit], port: UInt16) -> SCSITarget {
            SCSITarget(
                name: "iqn.2026-11.org.example:" + name, luns: [0: units[0], 1: units[1]], relativePortIdentifier: port,
                postsPowerOnAttention: false)
        }
        let targets = [target("one", [units[0], units[1]], port: 1), target("two", [units[0], units[2]], port: 2)]
        // One loop turns both nexuses: what one waits for, the other gives.
        let loop = FakeLoop()
        a = Initiator(targets[0], loop: loop)
        b = Initiator(targets[1], name: "iqn.2026-11.org.example:b,i,0x2", loop: loop)
    }

    /// What block `lba` of unit `unit` holds at first.
    static func block(_ unit: Int, _ lba: Int, _ byteCount: Int = 512) -> [UInt8] {
        [UInt8](repeating: UInt8((unit + 1) * 64 + lba % 61), count: byteCount)
    }

    static let lun0 = LogicalUnitNumber(0)
    static let lun1 = LogicalUnitNumber(1)

    func copy(
        _ segments: [[UInt8]], by initiator: Initiator? = nil, from: Int = 0, to: Int = 1, lun: LogicalUnitNumber = lun0
    ) -> Ended {
        let list = ExtendedCopy.list(
            targets: [from, to].map {
                ExtendedCopy.target(Self.serials[$0], blockByteCount: devices[$0].blockByteCount)
            }, segments: segments)
        return (initiator ?? a).run(ExtendedCopy.cdb(list), list, lun: lun)
    }

    func run(_ command: Token.Command, by initiator: Initiator? = nil, lun: LogicalUnitNumber = lun0) -> Ended {
        (initiator ?? a).run(command.cdb, command.list, lun: lun)
    }

    /// A token for `ranges` of LUN 0, as RECEIVE ROD TOKEN INFORMATION tells it.
    func token(_ ranges: [(lba: UInt64, count: UInt32)], timeout: UInt32 = 0) -> [UInt8] {
        guard run(Token.populate(ranges, timeout: timeout)) == .good else { return [] }
        return Array(a.run(CopyResults.tokenInformation(5)).data.suffix(512))
    }

    /// COPY OPERATION STATUS, and TRANSFER COUNT.
    func outcome(_ identifier: UInt32, lun: LogicalUnitNumber = lun0) -> (status: UInt8, blockCount: UInt8) {
        let data = a.run(CopyResults.tokenInformation(identifier), lun: lun).data
        return data.count > 23 ? (data[5], data[23]) : (0, 0)
    }
}
