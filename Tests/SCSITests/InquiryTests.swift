// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct InquiryTests {
    static let standard = StandardInquiryData(vendor: "MARTLET", product: "VIRTUAL-DISK", revision: "0001")

    @Test("standard INQUIRY data have SPC-4's layout")
    func standardData() {
        let data = written { Self.standard.write(to: &$0) }
        #expect(data.count == 96)
        #expect(Array(data[0..<8]) == hex("00 00 06 12 5B 00 00 02"))
        #expect(Array(data[8..<36]) == Array("MARTLET VIRTUAL-DISK    0001".utf8))
        #expect(Array(data[36..<58]) == [UInt8](repeating: 0, count: 22))
        #expect(Array(data[58..<74]) == hex("00 A0 09 60 04 60 04 C0 00 00 00 00 00 00 00 00"))
        #expect(Array(data[74..<96]) == [UInt8](repeating: 0, count: 22))
    }

    @Test("every field of standard INQUIRY data is one bit or number in its place")
    func standardFields() {
        let plain = written { Self.standard.write(to: &$0) }
        func changed(_ change: (inout StandardInquiryData) -> Void) -> [Int: UInt8] {
            var inquiry = Self.standard
            change(&inquiry)
            let data = written { inquiry.write(to: &$0) }
            return Dictionary(
                uniqueKeysWithValues: plain.indices.filter { plain[$0] != data[$0] }.map { ($0, plain[$0] ^ data[$0]) })
        }
        #expect(changed { $0.peripheral = .none } == [0: 0x7F])
        #expect(changed { $0.peripheral = .wellKnownLogicalUnit } == [0: 0x1E])
        #expect(changed { $0.peripheral = Peripheral(.notAccessible, .directAccessBlock) } == [0: 0x20])
        #expect(changed { $0.isRemovable = true } == [1: 0x80])
        #expect(changed { $0.version = .spc5 } == [2: 0x01])
        #expect(changed { $0.supportsNormalACA = true } == [3: 0x20])
        #expect(changed { $0.usesHierarchicalAddressing = false } == [3: 0x10])
        #expect(changed { $0.targetPortGroupSupport = .implicitAndExplicit } == [5: 0x30])
        #expect(changed { $0.supportsThirdPartyCopy = true } == [5: 0x08])
        #expect(changed { $0.supportsProtection = true } == [5: 0x01])
        #expect(changed { $0.hasMultiplePorts = true } == [6: 0x10])
        #expect(changed { $0.supportsCommandQueuing = false } == [7: 0x02])
        #expect(changed { $0.versionDescriptors = [.sam5, .iSCSI, .spc4, .sbc4] } == [64: 0x02, 65: 0xC0])
        #expect(changed { $0.vendor = "MARTLETS AND MORE" } == [15: UInt8(ascii: "S") ^ UInt8(ascii: " ")])
    }

    @Test("more than eight version descriptors are cut off, and change no length")
    func manyVersionDescriptors() {
        var inquiry = Self.standard
        inquiry.versionDescriptors = [VersionDescriptor](repeating: .spc5, count: 9)
        let data = written { inquiry.write(to: &$0) }
        #expect(data.count == 96)
        #expect(Array(data[72..<76]) == hex("05 C0 00 00"))
    }

    static let pages = VitalProductData(pages: [
        .logicalBlockProvisioning(LogicalBlockProvisioning()),
        .unitSerialNumber("abc123"),
        .deviceIdentification([DesignationDescriptor(.relativeTargetPort(1), of: .targetPort)]),
        .extendedInquiryData(ExtendedInquiryData()),
        .blockLimits(BlockLimits()),
        .blockDeviceCharacteristics(BlockDeviceCharacteristics()),
    ])

    private func page(_ code: UInt8) -> [UInt8] {
        written { #expect(Self.pages.write(pageCode: code, to: &$0)) }
    }

    @Test("page 00h lists itself and all others in ascending order")
    func supportedPages() {
        #expect(page(0x00) == hex("00 00 00 07 00 80 83 86 B0 B1 B2"))
        let none = VitalProductData(peripheral: .none, pages: [])
        #expect(written { _ = none.write(pageCode: 0, to: &$0) } == hex("7F 00 00 01 00"))
    }

    @Test(
        "a page that is not there is refused, with nothing written",
        arguments: [0x01, 0x82, 0x84, 0xB3, 0xFF] as [UInt8])
    func unknownPage(code: UInt8) {
        var isThere = true
        let data = written { isThere = Self.pages.write(pageCode: code, to: &$0) }
        #expect(!isThere)
        #expect(data.isEmpty)
    }

    @Test(
        "every page has its code and length, and is cut off cleanly",
        arguments: [0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2] as [UInt8])
    func header(code: UInt8) {
        let data = page(code)
        #expect(data[0] == 0 && data[1] == code)
        #expect(Int(data[2]) << 8 | Int(data[3]) == data.count - 4)
        #expect(isCutOffCleanly { _ = Self.pages.write(pageCode: code, to: &$0) })
    }

    @Test("standard INQUIRY data are cut off cleanly at every allocation length")
    func cutOff() {
        #expect(isCutOffCleanly { Self.standard.write(to: &$0) })
    }

    @Test("page 80h holds the serial number")
    func serialNumber() {
        #expect(page(0x80) == hex("00 80 00 06") + Array("abc123".utf8))
    }

    @Test("page 86h says what the task set and the cache can do")
    func extendedInquiry() {
        var extended = ExtendedInquiryData()
        extended.hasVolatileCache = true
        extended.supportsGrouping = true
        extended.supportsPriority = true
        extended.maximumSenseByteCount = 252
        let pages = VitalProductData(pages: [.extendedInquiryData(extended)])
        let data = written { _ = pages.write(pageCode: 0x86, to: &$0) }
        #expect(data.count == 64)
        #expect(Array(data[0..<14]) == hex("00 86 00 3C 00 1F 01 01 00 00 00 00 00 FC"))
        #expect(page(0x86)[5] == 0x07)
        #expect(page(0x86)[7] == 0x01)
        extended.clearsReportedLUNsChangeOnce = false
        let older = VitalProductData(pages: [.extendedInquiryData(extended)])
        #expect(written { _ = older.write(pageCode: 0x86, to: &$0) }[7] == 0x00)
    }

    @Test("page B0h has every limit in its place")
    func blockLimits() {
        var limits = BlockLimits()
        limits.refusesWriteSameOfZeroBlocks = true
        limits.maximumCompareAndWriteBlockCount = 0x11
        limits.optimalTransferGranularity = 0x2122
        limits.maximumTransferBlockCount = 0x3132_3334
        limits.optimalTransferBlockCount = 0x4142_4344
        limits.maximumPrefetchBlockCount = 0x5152_5354
        limits.maximumUnmapBlockCount = 0x6162_6364
        limits.maximumUnmapDescriptorCount = 0x7172_7374
        limits.optimalUnmapGranularity = 0x8182_8384
        limits.unmapGranularityAlignment = 0x1192_9394
        limits.maximumWriteSameBlockCount = 0xA1A2_A3A4_A5A6_A7A8
        limits.maximumAtomicTransferBlockCount = 0xB1B2_B3B4
        limits.atomicAlignment = 0xC1C2_C3C4
        limits.atomicTransferGranularity = 0xD1D2_D3D4
        limits.maximumAtomicTransferWithBoundaryBlockCount = 0xE1E2_E3E4
        limits.maximumAtomicBoundaryBlockCount = 0xF1F2_F3F4
        let pages = VitalProductData(pages: [.blockLimits(limits)])
        #expect(
            written { _ = pages.write(pageCode: 0xB0, to: &$0) }
                == hex(
                    """
                    00 B0 00 3C 01 11 21 22 31 32 33 34 41 42 43 44 51 52 53 54 61 62 63 64 71 72 73 74 81 82 83 84
                    91 92 93 94 A1 A2 A3 A4 A5 A6 A7 A8 B1 B2 B3 B4 C1 C2 C3 C4 D1 D2 D3 D4 E1 E2 E3 E4 F1 F2 F3 F4
                    """))
        #expect(page(0xB0).dropFirst(4).allSatisfy { $0 == 0 })
    }

    @Test("page B1h tells the rotation and the form")
    func characteristics() {
        var characteristics = BlockDeviceCharacteristics()
        characteristics.rotation = .nonRotating
        characteristics.formFactor = .twoAndAHalfInches
        let pages = VitalProductData(pages: [.blockDeviceCharacteristics(characteristics)])
        let data = written { _ = pages.write(pageCode: 0xB1, to: &$0) }
        #expect(data.count == 64)
        #expect(Array(data[0..<10]) == hex("00 B1 00 3C 00 01 00 03 03 00"))
        #expect(Array(page(0xB1)[4..<9]) == hex("00 00 00 00 03"))
        characteristics.readsAfterBlockErase = true
        let erasable = VitalProductData(pages: [.blockDeviceCharacteristics(characteristics)])
        #expect(written { _ = erasable.write(pageCode: 0xB1, to: &$0) }[7] == 0x43)
        characteristics.rotation = .revolutionsPerMinute(7200)
        let disk = VitalProductData(pages: [.blockDeviceCharacteristics(characteristics)])
        #expect(Array(written { _ = disk.write(pageCode: 0xB1, to: &$0) }[4..<6]) == hex("1C 20"))
    }

    @Test("page B2h tells how blocks are provisioned")
    func provisioning() {
        var provisioning = LogicalBlockProvisioning()
        provisioning.thresholdExponent = 1
        provisioning.supportsUnmap = true
        provisioning.supportsWriteSame16Unmap = true
        provisioning.supportsWriteSame10Unmap = true
        provisioning.unmappedRead = .zeroes
        provisioning.supportsAnchor = true
        provisioning.provisioningType = .thin
        let pages = VitalProductData(pages: [.logicalBlockProvisioning(provisioning)])
        #expect(written { _ = pages.write(pageCode: 0xB2, to: &$0) } == hex("00 B2 00 04 01 E6 02 00"))
        #expect(page(0xB2) == hex("00 B2 00 04 00 00 00 00"))
    }

    @Test(
        "page 83h names unit, port and device in T10's forms",
        arguments: [
            (
                DesignationDescriptor(.t10VendorID(vendor: "MARTLET", specific: "s1"), of: .logicalUnit),
                "02 01 00 0A 4D 41 52 54 4C 45 54 20 73 31"
            ),
            (
                DesignationDescriptor(.naaLocallyAssigned(0xF123_4567_89AB_CDEF), of: .logicalUnit),
                "01 03 00 08 31 23 45 67 89 AB CD EF"
            ),
            (
                DesignationDescriptor(
                    .naaIEEERegisteredExtended(
                        companyID: 0xFF00_1405, vendorSpecific: 0xF1_2345_6789, extension: 0x1122_3344_5566_7788),
                    of: .logicalUnit),
                "01 03 00 10 60 01 40 51 23 45 67 89 11 22 33 44 55 66 77 88"
            ),
            (
                DesignationDescriptor(.relativeTargetPort(0x0102), of: .targetPort, protocol: .iSCSI),
                "51 94 00 04 00 00 01 02"
            ),
            (
                DesignationDescriptor(.targetPortGroup(3), of: .targetPort, protocol: .iSCSI),
                "51 95 00 04 00 00 00 03"
            ),
            (DesignationDescriptor(.logicalUnitGroup(4), of: .logicalUnit), "01 06 00 04 00 00 00 04"),
            (
                DesignationDescriptor(.scsiNameString("iqn.x"), of: .targetDevice, protocol: .iSCSI),
                "53 A8 00 08 69 71 6E 2E 78 00 00 00"
            ),
            (
                DesignationDescriptor(.scsiNameString("iqn"), of: .targetPort, protocol: .iSCSI),
                "53 98 00 04 69 71 6E 00"
            ),
        ])
    func designation(descriptor: DesignationDescriptor, bytes: String) {
        let pages = VitalProductData(pages: [.deviceIdentification([descriptor, descriptor])])
        let data = written { _ = pages.write(pageCode: 0x83, to: &$0) }
        #expect(Array(data.dropFirst(4)) == hex(bytes) + hex(bytes))
    }
}
