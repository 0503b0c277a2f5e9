// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct BlockParameterDataTests {
    @Test(
        "READ CAPACITY(10) tells the last block, or FFFFFFFFh when it does not fit",
        arguments: [
            (1, "00 00 00 00 00 00 02 00"), (0x1_0000, "00 00 FF FF 00 00 02 00"),
            (0xFFFF_FFFF, "FF FF FF FE 00 00 02 00"), (0x1_0000_0000, "FF FF FF FF 00 00 02 00"),
            (0x1_0000_0001, "FF FF FF FF 00 00 02 00"), (.max, "FF FF FF FF 00 00 02 00"),
            (0, "00 00 00 00 00 00 02 00"),
        ] as [(UInt64, String)])
    func readCapacity10(blockCount: UInt64, bytes: String) {
        let capacity = ReadCapacityData(blockCount: blockCount, blockByteCount: 512)
        #expect(written { capacity.write10(to: &$0) } == hex(bytes))
        #expect(isCutOffCleanly { capacity.write10(to: &$0) })
    }

    @Test("READ CAPACITY(16) tells capacity, alignment and provisioning")
    func readCapacity16() {
        var capacity = ReadCapacityData(blockCount: 0x1_0203_0405_0607, blockByteCount: 4096)
        let zeroes = " " + [String](repeating: "00", count: 16).joined(separator: " ")
        #expect(
            written { capacity.write16(to: &$0) }
                == hex("00 01 02 03 04 05 06 06 00 00 10 00 00 00 00 00" + zeroes))
        capacity.isProvisioned = true
        capacity.unmappedReadsZero = true
        capacity.physicalBlockExponent = 3
        capacity.lowestAlignedLBA = 0xFFFF
        #expect(
            written { capacity.write16(to: &$0) }
                == hex("00 01 02 03 04 05 06 06 00 00 10 00 00 03 FF FF" + zeroes))
        capacity.unmappedReadsZero = false
        capacity.lowestAlignedLBA = 1
        #expect(Array(written { capacity.write16(to: &$0) }[14...15]) == hex("80 01"))
        #expect(isCutOffCleanly { capacity.write16(to: &$0) })
    }

    static let luns = ReportLUNsData(
        logicalUnits: [LogicalUnitNumber(0), LogicalUnitNumber(1), LogicalUnitNumber(256)], wellKnown: [.reportLUNs])

    @Test(
        "REPORT LUNS lists what SELECT REPORT asks for",
        arguments: [
            (
                SelectReport.addressed,
                "00 00 00 18 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 41 00 00 00 00 00 00 00"
            ),
            (.wellKnown, "00 00 00 08 00 00 00 00 C1 01 00 00 00 00 00 00"),
            (
                .all,
                """
                00 00 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 41 00 00 00 00 00 00 00
                C1 01 00 00 00 00 00 00
                """
            ),
            (.administrative, "00 00 00 00 00 00 00 00"),
            (
                .administrativeAndSimple,
                "00 00 00 18 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 41 00 00 00 00 00 00 00"
            ),
            (.subsidiary, "00 00 00 00 00 00 00 00"),
        ])
    func reportLUNs(report: SelectReport, bytes: String) {
        #expect(written { Self.luns.write(report, to: &$0) } == hex(bytes))
        #expect(isCutOffCleanly { Self.luns.write(report, to: &$0) })
    }

    @Test("reserved values of SELECT REPORT are none", arguments: [0x03, 0x0F, 0x13, 0xF8] as [UInt8])
    func reservedReports(value: UInt8) {
        #expect(SelectReport(rawValue: value) == nil)
    }

    private func unmapList(_ text: String) throws(SenseData) -> UnmapParameterList {
        let bytes = hex(text)
        return try UnmapParameterList(bytes.span.bytes)
    }

    @Test("an UNMAP list gives its block descriptors")
    func unmap() throws {
        let bytes = hex(
            """
            00 26 00 20 00 00 00 00
            00 00 00 01 02 03 04 05 00 00 00 08 00 00 00 00
            FF FF FF FF FF FF FF FF FF FF FF FF 00 00 00 00
            """)
        #expect(try UnmapParameterList(bytes.span.bytes).descriptorCount == 2)
        #expect(
            UnmapParameterList.descriptor(0, in: bytes.span.bytes) == BlockRange(lba: 0x1_0203_0405, count: 8))
        #expect(
            UnmapParameterList.descriptor(1, in: bytes.span.bytes) == BlockRange(lba: .max, count: 0xFFFF_FFFF))
    }

    @Test(
        "an UNMAP list without whole descriptors unmaps nothing",
        arguments: [
            "", "00 06 00 00 00 00 00 00", "00 15 00 0F 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00 00",
        ])
    func emptyUnmap(text: String) throws {
        #expect(try unmapList(text).descriptorCount == 0)
    }

    @Test("bytes behind the last whole descriptor are ignored")
    func incompleteUnmap() throws {
        let whole = "00 00 00 00 00 00 00 01 00 00 00 01 00 00 00 00"
        #expect(try unmapList("00 1E 00 18 00 00 00 00 \(whole) 00 00 00 00 00 00 00 02").descriptorCount == 1)
        #expect(try unmapList("00 16 00 10 00 00 00 00 \(whole) FF FF").descriptorCount == 1)
    }

    @Test(
        "an UNMAP list shorter than it says is a PARAMETER LIST LENGTH ERROR",
        arguments: [
            "00", "00 06 00 00 00 00 00", "00 16 00 10 00 00 00 00",
            "00 16 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 08 00 00 00", "FF FF FF FF 00 00 00 00",
        ])
    func shortUnmap(text: String) {
        #expect(throws: SenseData.parameterListLengthError) { try unmapList(text) }
    }

    @Test("GET LBA STATUS lists the state of runs of blocks")
    func lbaStatus() {
        let data = GetLBAStatusData(descriptors: [
            LBAStatusDescriptor(lba: 0x1_0000_0002, count: 3, status: .mapped),
            LBAStatusDescriptor(lba: 0x1_0000_0005, count: .max, status: .deallocated),
            LBAStatusDescriptor(lba: 0, count: 1, status: .anchored),
        ])
        #expect(
            written { data.write(to: &$0) }
                == hex(
                    """
                    00 00 00 34 00 00 00 00
                    00 00 00 01 00 00 00 02 00 00 00 03 00 00 00 00
                    00 00 00 01 00 00 00 05 FF FF FF FF 01 00 00 00
                    00 00 00 00 00 00 00 00 00 00 00 01 02 00 00 00
                    """))
        #expect(isCutOffCleanly { data.write(to: &$0) })
    }

    @Test(
        "whole LBA status descriptors of an allocation length are counted",
        arguments: [(0, 0), (8, 0), (23, 0), (24, 1), (39, 1), (40, 2)])
    func lbaStatusRoom(allocationLength: Int, count: Int) {
        #expect(GetLBAStatusData.descriptorCount(allocationLength: allocationLength) == count)
    }
}
