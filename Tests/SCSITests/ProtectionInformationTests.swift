// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

@Suite("Protection information")
struct ProtectionInformationTests {
    /// The vectors of SBC-4's annex on the CRC for 32 bytes, and the check value that catalogues give.
    static let vectors: [(bytes: [UInt8], crc: UInt16)] = [
        ([], 0x0000),
        ([UInt8](repeating: 0, count: 32), 0x0000),
        ([UInt8](repeating: 0xFF, count: 32), 0xA293),
        ((0..<32).map { UInt8($0) }, 0x0224),
        ([0xFF, 0xFF] + [UInt8](repeating: 0, count: 30), 0x21B8),
        ((0..<32).map { 0xFF - UInt8($0) }, 0xA0B7),
        (Array("123456789".utf8), 0xD0DB),
    ]

    @Test("The CRC of known blocks", arguments: vectors.indices)
    func known(index: Int) {
        let (bytes, crc) = Self.vectors[index]
        #expect(CRC16T10DIF.of(bytes.span.bytes) == crc)
    }

    @Test("The CRC of any length is that of its bits, one by one", arguments: [1, 2, 7, 8, 9, 63, 512, 4096])
    func bitByBit(byteCount: Int) {
        let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 73 ^ $0 >> 3) }
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x8BB7 }
        }
        #expect(CRC16T10DIF.of(bytes.span.bytes) == crc)
        let half = byteCount / 2
        let first = CRC16T10DIF.of(Array(bytes[..<half]).span.bytes)
        #expect(CRC16T10DIF.of(Array(bytes[half...]).span.bytes, continuing: first) == crc)
    }

    @Test("A tuple's eight bytes are guard, application tag and reference tag")
    func layout() {
        let tuple = ProtectionTuple(guardTag: 0x1122, applicationTag: 0x3344, referenceTag: 0x5566_7788)
        #expect(tuple.word == 0x1122_3344_5566_7788)
        #expect(ProtectionTuple(word: tuple.word) == tuple)
    }

    @Test("FFFFh in the application tag, and for type 3 all ones in the reference tag, end all checks")
    func escape() {
        let plain = ProtectionTuple(guardTag: 1, applicationTag: 0xFFFE, referenceTag: .max)
        let half = ProtectionTuple(guardTag: 1, applicationTag: .max, referenceTag: 0xFFFF_FFFE)
        let whole = ProtectionTuple(guardTag: 1, applicationTag: .max, referenceTag: .max)
        for type in ProtectionType.allCases {
            #expect(!plain.disablesChecks(type))
            #expect(half.disablesChecks(type) == (type != .type3))
            #expect(whole.disablesChecks(type))
        }
    }

    /// P_TYPE, SPT.
    @Test("Types by their fields", arguments: [(ProtectionType.type1, 0, 0), (.type2, 1, 2), (.type3, 2, 4)])
    func types(type: ProtectionType, pType: UInt8, supported: UInt8) {
        #expect(type.protectionTypeField == pType)
        #expect(type.supportedTypesField == supported)
        var capacity = ReadCapacityData(blockCount: 100, blockByteCount: 512)
        capacity.protection = type
        capacity.physicalBlockExponent = 3
        let bytes = [UInt8](allocationLength: 32) { capacity.write16(to: &$0) }
        #expect(bytes[12] == pType << 1 | 1)
        #expect(bytes[13] == 3)
        var page = ExtendedInquiryData()
        page.protection = type
        page.protectionChecks = [.guardTag, .referenceTag]
        let pages = VitalProductData(pages: [.extendedInquiryData(page)])
        let written = [UInt8](allocationLength: 64) { _ = pages.write(pageCode: 0x86, to: &$0) }
        #expect(written[4] == supported << 3 | 0b101)
    }

    @Test("Sense of a failed check names the tag and the block")
    func sense() {
        let codes: [(ProtectionFault, UInt8)] = [(.guardTag, 1), (.applicationTag, 2), (.referenceTag, 3)]
        for (fault, qualifier) in codes {
            let failed = SenseData.protectionCheckFailed(fault, lba: 77)
            #expect(failed == SenseData(.abortedCommand, AdditionalSense(0x10, qualifier), information: 77))
            let differs = SenseData.protectionMiscompare(fault, atByte: 9)
            #expect(differs == SenseData(.miscompare, AdditionalSense(0x10, qualifier), information: 9))
        }
    }
}
