// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

/// Addresses that are not on the medium, put into the sample of every command that names blocks.
@Suite("Addresses past the end, and far past it")
struct RangeSweepTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let sample: SampleCommand
        let cdb: [UInt8]
        let lba: UInt64

        var testDescription: String { "\(sample.row.name) at \(lba)" }
    }

    /// Commands that carry their ranges in a parameter list, or work on the whole medium.
    private static let withoutAddress: Set<String> = ["UNMAP", "FORMAT UNIT"]

    private static func namesBlocks(_ row: CommandDescriptor) -> Bool {
        let traits: CommandDescriptor.Traits = [.readsMedium, .writesMedium]
        if row.name.hasPrefix("SANITIZE") || row.name.contains("COPY") || row.name.contains("TOKEN") { return false }
        let isNamed =
            row.name == "GET LBA STATUS" || row.name.hasPrefix("SYNCHRONIZE") || row.name.hasPrefix("PRE-FETCH")
        return isNamed || !row.traits.isDisjoint(with: traits) && !withoutAddress.contains(row.name)
    }

    /// The medium has 1024 blocks, and every sample names two of them or, without a length, at least one.
    private static let addresses: [UInt64] = [
        1024, 1025, 1 << 20, 0x1F_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF, 1 << 32, 1 << 54, .max / 512, .max >> 1, 1 << 63,
        .max - 1, .max,
    ]

    static let cases: [Case] = SampleCommand.all.filter { namesBlocks($0.row) }.flatMap { sample in
        addresses.compactMap { lba in
            patched(sample.cdb, lba).map { Case(sample: sample, cdb: $0, lba: lba) }
        }
    }

    /// The CDB with this LOGICAL BLOCK ADDRESS; nil when its field is too small for it.
    private static func patched(_ cdb: [UInt8], _ lba: UInt64) -> [UInt8]? {
        var cdb = cdb
        switch cdb[0] >> 5 {
        case 0:
            guard lba <= 0x1F_FFFF else { return nil }
            cdb.replaceSubrange(1..<4, with: UInt32(lba).bytes[1...])
        case 1, 2, 5:
            guard let short = UInt32(exactly: lba) else { return nil }
            cdb.replaceSubrange(2..<6, with: short.bytes)
        case 4:
            cdb.replaceSubrange(2..<10, with: lba.bytes)
        case 3 where cdb.count == 32:
            cdb.replaceSubrange(12..<20, with: lba.bytes)
        default:
            return nil
        }
        return cdb
    }

    @Test("Is refused with LOGICAL BLOCK ADDRESS OUT OF RANGE, and the store hears nothing", arguments: cases)
    func refused(_ test: Case) {
        let rig = Rig(FakeDevice(features: SampleCommand.features))
        let ended = rig.initiator.run(test.cdb, test.sample.data)
        #expect(ended == .check(.logicalBlockAddressOutOfRange))
        #expect(rig.device.log.isEmpty)
    }

    @Test("There are as many cases as rows deserve")
    func isNotEmpty() {
        #expect(Self.cases.count > 100)
    }
}
