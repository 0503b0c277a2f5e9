// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct LogicalUnitNumberTests {
    @Test(
        "an index has its shortest single-level form",
        arguments: [
            (0, 0x0000_0000_0000_0000), (1, 0x0001_0000_0000_0000), (255, 0x00FF_0000_0000_0000),
            (256, 0x4100_0000_0000_0000), (16383, 0x7FFF_0000_0000_0000), (16384, 0xD200_4000_0000_0000),
            (0xFF_FFFF, 0xD2FF_FFFF_0000_0000), (0x100_0000, 0xE200_0100_0000_0000),
            (0xFF_FFFF_FFFF, 0xE2FF_FFFF_FFFF_0000),
        ] as [(Int, UInt64)])
    func forms(index: Int, rawValue: UInt64) {
        #expect(LogicalUnitNumber(index).rawValue == rawValue)
        #expect(LogicalUnitNumber(rawValue: rawValue).flatIndex == index)
    }

    @Test(
        "other forms of the same logical unit have its index",
        arguments: [
            (0x4000_0000_0000_0000, 0), (0x4001_0000_0000_0000, 1), (0x40FF_0000_0000_0000, 255),
            (0xD200_0001_0000_0000, 1), (0xE200_0000_0007_0000, 7),
        ] as [(UInt64, Int)])
    func sameUnit(rawValue: UInt64, index: Int) {
        #expect(LogicalUnitNumber(rawValue: rawValue).flatIndex == index)
    }

    @Test(
        "a number of another shape has no index",
        arguments: [
            0x0100_0000_0000_0000,  // peripheral device on bus 1
            0x3F00_0000_0000_0000,
            0x0001_0001_0000_0000,  // second level
            0x0001_0000_0000_0001,
            0x4001_0000_0001_0000,
            0x8001_0000_0000_0000,  // logical unit addressing
            0xC101_0000_0000_0000,  // well known
            0xC201_0000_0000_0000,
            0xD200_0001_0000_0001,  // bytes behind the form
            0xD300_0001_0000_0000,
            0xE200_0000_0007_0001,
            0xF200_0000_0000_0000,
            0xFFFF_FFFF_FFFF_FFFF,
        ] as [UInt64])
    func noIndex(rawValue: UInt64) {
        #expect(LogicalUnitNumber(rawValue: rawValue).flatIndex == nil)
    }

    @Test("every index of the short forms comes back")
    func roundTrip() {
        for index in 0..<20_000 { #expect(LogicalUnitNumber(index).flatIndex == index) }
    }

    @Test("well known logical units have their numbers")
    func wellKnown() {
        #expect(LogicalUnitNumber.reportLUNs.rawValue == 0xC101_0000_0000_0000)
        #expect(LogicalUnitNumber.accessControls.rawValue == 0xC102_0000_0000_0000)
        #expect(LogicalUnitNumber.targetLogPages.rawValue == 0xC103_0000_0000_0000)
        #expect(LogicalUnitNumber.securityProtocol.rawValue == 0xC104_0000_0000_0000)
        #expect(LogicalUnitNumber.managementProtocol.rawValue == 0xC105_0000_0000_0000)
        #expect(LogicalUnitNumber.reportLUNs.isWellKnown)
        #expect(!LogicalUnitNumber(rawValue: 0xC101_0000_0000_0001).isWellKnown)
        #expect(!LogicalUnitNumber(0).isWellKnown)
        #expect(!LogicalUnitNumber.notSpecified.isWellKnown)
    }

    @Test("address methods and bus identifiers are told apart")
    func addressMethods() {
        #expect(LogicalUnitNumber(rawValue: 0x0203_0000_0000_0000).busIdentifier == 2)
        #expect(LogicalUnitNumber(3).busIdentifier == 0)
        #expect(LogicalUnitNumber(rawValue: 0x4003_0000_0000_0000).busIdentifier == nil)
        #expect(LogicalUnitNumber(rawValue: 0x4003_0000_0000_0000).addressMethod == .flatSpace)
        #expect(LogicalUnitNumber(rawValue: 0x8003_0000_0000_0000).addressMethod == .logicalUnit)
        #expect(LogicalUnitNumber.reportLUNs.addressMethod == .extended)
        #expect(LogicalUnitNumber(3).addressMethod == .peripheralDevice)
    }

    @Test("a number describes itself by its index, or by its digits")
    func description() {
        #expect(LogicalUnitNumber(300).description == "300")
        #expect(LogicalUnitNumber(rawValue: 0x0100_0000_0000_0000).description == "0x0100000000000000")
    }
}
