// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct ModeSelectTests {
    static let medium = ModeBlockDescriptor(blockCount: 0x1234, blockByteCount: 512)

    static var pages: ModePages {
        var pages = ModePages.disk
        pages.configure(.writeCacheEnable, default: true, isChangeable: true)
        pages.configure(.descriptorSense, default: false, isChangeable: true)
        pages.configure(.softwareWriteProtect, default: false, isChangeable: true)
        return pages
    }

    private func select(_ list: String, isTenByte: Bool, on pages: inout ModePages) throws(SenseData) -> Bool {
        let bytes = hex(list)
        return try pages.select(bytes.span.bytes, isTenByte: isTenByte, medium: Self.medium)
    }

    static let cacheOff = "08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    static let descriptorSense = "0A 0A 06 00 00 00 00 00 FF FF 00 00"

    @Test(
        "a list of pages changes the bits that may change",
        arguments: [
            (false, "00 00 00 00 " + cacheOff), (false, "00 00 10 08  00 00 12 34 00 00 02 00 " + cacheOff),
            (false, "23 00 90 08  00 00 00 00 00 00 02 00 " + cacheOff),
            (false, "00 00 00 08  FF FF FF FF 00 00 02 00 " + cacheOff),
            (true, "00 00 00 00 00 00 00 00 " + cacheOff),
            (true, "00 1A 00 10 00 00 00 08  00 00 12 34 00 00 02 00 " + cacheOff),
            (true, "00 00 00 10 01 00 00 10  00 00 00 00 00 00 12 34 00 00 00 00 00 00 02 00 " + cacheOff),
            (true, "00 00 00 10 01 00 00 10  FF FF FF FF FF FF FF FF 00 00 00 00 00 00 02 00 " + cacheOff),
        ])
    func legal(isTenByte: Bool, list: String) throws {
        var pages = Self.pages
        #expect(try select(list, isTenByte: isTenByte, on: &pages))
        #expect(!pages[.writeCacheEnable])
        #expect(!pages[.descriptorSense])
        var expected = Self.pages
        expected[.writeCacheEnable] = false
        #expect(pages == expected)
    }

    @Test("several pages in one list are all taken")
    func severalPages() throws {
        var pages = Self.pages
        let swp = "0A 0A 06 00 08 00 00 00 FF FF 00 00"
        #expect(try select("00 00 00 00 \(Self.cacheOff) \(swp)", isTenByte: false, on: &pages))
        #expect(!pages[.writeCacheEnable] && pages[.descriptorSense] && pages[.softwareWriteProtect])
        #expect(pages[.globalLoggingTargetSaveDisable])
    }

    @Test(
        "a list that changes nothing says so",
        arguments: [
            "", "00 00 00 00", "00 00 00 08  00 00 12 34 00 00 02 00",
            "00 00 00 00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ])
    func unchanged(list: String) throws {
        var pages = Self.pages
        #expect(try !select(list, isTenByte: false, on: &pages))
        #expect(pages == Self.pages)
    }

    @Test("what MODE SENSE returns, MODE SELECT takes back", arguments: [false, true])
    func readBack(isTenByte: Bool) throws {
        let data = ModeParameterData(
            pages: Self.pages, blockDescriptor: Self.medium, isWriteProtected: true, supportsDPOAndFUA: true)
        let cdb: CommandDescriptorBlock =
            isTenByte ? [0x5A, 0x10, 0x3F, 0xFF, 0, 0, 0, 0, 0xFF, 0] : [0x1A, 0, 0x3F, 0xFF, 0xFF, 0]
        let bytes = written { try? data.write(ModeSenseRequest(cdb), to: &$0) }
        var pages = Self.pages
        #expect(try !pages.select(bytes.span.bytes, isTenByte: isTenByte, medium: Self.medium))
    }

    struct Illegal: Sendable, CustomTestStringConvertible {
        let what: String
        let isTenByte: Bool
        let list: String
        let sense: SenseData

        init(_ what: String, ten isTenByte: Bool = false, _ list: String, _ sense: SenseData) {
            self.what = what
            self.isTenByte = isTenByte
            self.list = list
            self.sense = sense
        }

        var testDescription: String { what }
    }

    @Test(
        "a wrong list is refused with the field named, and changes nothing",
        arguments: [
            Illegal("header cut off", "00 00 00", .parameterListLengthError),
            Illegal("header of 10 cut off", ten: true, "00 00 00 00 00 00 00", .parameterListLengthError),
            Illegal("medium type", "00 01 00 00", .invalidFieldInParameterList(byte: 1)),
            Illegal("medium type of 10", ten: true, "00 00 01 00 00 00 00 00", .invalidFieldInParameterList(byte: 2)),
            Illegal("descriptor length 7", "00 00 00 07  00 00 00 00 00 00 02", .invalidFieldInParameterList(byte: 3)),
            Illegal(
                "two descriptors", "00 00 00 10  00 00 00 00 00 00 02 00 00 00 00 00 00 00 02 00",
                .invalidFieldInParameterList(byte: 3)),
            Illegal(
                "long descriptor without LONGLBA", ten: true,
                "00 00 00 00 00 00 00 10  00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 00",
                .invalidFieldInParameterList(byte: 6)),
            Illegal(
                "short descriptor with LONGLBA", ten: true, "00 00 00 00 01 00 00 08  00 00 00 00 00 00 02 00",
                .invalidFieldInParameterList(byte: 6)),
            Illegal("descriptor cut off", "00 00 00 08  00 00 00 00 00 00 02", .parameterListLengthError),
            Illegal(
                "descriptor of 10 cut off", ten: true, "00 00 00 00 00 00 00 08  00 00 00 00 00",
                .parameterListLengthError),
            Illegal(
                "another block count", "00 00 00 08  00 00 12 35 00 00 02 00", .invalidFieldInParameterList(byte: 4)),
            Illegal(
                "another block length", "00 00 00 08  00 00 12 34 00 00 10 00", .invalidFieldInParameterList(byte: 9)),
            Illegal("block length zero", "00 00 00 08  00 00 00 00 00 00 00 00", .invalidFieldInParameterList(byte: 9)),
            Illegal(
                "another long block count", ten: true,
                "00 00 00 00 01 00 00 10  00 00 00 01 00 00 12 34 00 00 00 00 00 00 02 00",
                .invalidFieldInParameterList(byte: 8)),
            Illegal(
                "another long block length", ten: true,
                "00 00 00 00 01 00 00 10  00 00 00 00 00 00 12 34 00 00 00 00 00 01 02 00",
                .invalidFieldInParameterList(byte: 20)),
            Illegal("PS", "00 00 00 00 8" + cacheOff.dropFirst(1), .invalidFieldInParameterList(byte: 4, bit: 7)),
            Illegal(
                "PS of the second page", "00 00 00 00 \(cacheOff) 8A 0A 02 00 00 00 00 00 FF FF 00 00",
                .invalidFieldInParameterList(byte: 24, bit: 7)),
            Illegal("page code alone", "00 00 00 00 08", .parameterListLengthError),
            Illegal("unknown page", "00 00 00 00 02 02 00 00", .invalidFieldInParameterList(byte: 4, bit: 5)),
            Illegal("page zero", "00 00 00 00 00 00", .invalidFieldInParameterList(byte: 4, bit: 5)),
            Illegal("unknown subpage", "00 00 00 00 48 01 00 01 00", .invalidFieldInParameterList(byte: 5)),
            Illegal("page_0 in subpage format", "00 00 00 00 48 00 00 12 00", .invalidFieldInParameterList(byte: 5)),
            Illegal("subpage header cut off", "00 00 00 00 48 01 00", .parameterListLengthError),
            Illegal(
                "page length too small", "00 00 00 00 0A 08 02 00 00 00 00 00 FF FF",
                .invalidFieldInParameterList(byte: 5)),
            Illegal(
                "page length too large", "00 00 00 00 0A 0B 02 00 00 00 00 00 FF FF 00 00 00",
                .invalidFieldInParameterList(byte: 5)),
            Illegal("page cut off", "00 00 00 00 0A 0A 02 00 00 00 00 00 FF FF 00", .parameterListLengthError),
            Illegal(
                "second page cut off", "00 00 00 00 \(cacheOff) 0A 0A 02 00", .parameterListLengthError),
            Illegal(
                "unchangeable bit set", "00 00 00 00 0A 0A 22 00 00 00 00 00 FF FF 00 00",
                .invalidFieldInParameterList(byte: 6, bit: 5)),
            Illegal(
                "unchangeable bit cleared", "00 00 00 00 0A 0A 00 00 00 00 00 00 FF FF 00 00",
                .invalidFieldInParameterList(byte: 6, bit: 1)),
            Illegal(
                "unchangeable byte", "00 00 00 00 0A 0A 02 00 00 00 00 00 FF FF 00 01",
                .invalidFieldInParameterList(byte: 15, bit: 0)),
            Illegal(
                "unchangeable bit of the second page, of 10", ten: true,
                "00 00 00 00 00 00 00 00 \(cacheOff) 1C 0A 00 00 00 00 00 00 00 00 00 00",
                .invalidFieldInParameterList(byte: 30, bit: 3)),
        ])
    func illegal(_ example: Illegal) {
        var pages = Self.pages
        #expect(
            refusal { () throws(SenseData) in
                try select(example.list, isTenByte: example.isTenByte, on: &pages)
            } == example.sense)
        #expect(pages == Self.pages)
    }

    @Test("every single bit of every page changes, or is refused with its place")
    func everyBit() {
        for page in Self.pages.pages {
            for position in 16..<page.byteCount * 8 {
                var list = hex("00 00 00 00") + page.bytes(.current)
                let byte = position / 8
                let bit = position % 8
                list[4 + byte] ^= 1 << UInt8(bit)
                var pages = Self.pages
                let refused = refusal { () throws(SenseData) in
                    try pages.select(list.span.bytes, isTenByte: false, medium: Self.medium)
                }
                if page.bytes(.changeable)[byte] & 1 << UInt8(bit) != 0 {
                    #expect(refused == nil)
                    #expect(pages != Self.pages)
                } else {
                    #expect(refused == .invalidFieldInParameterList(byte: 4 + byte, bit: bit))
                    #expect(pages == Self.pages)
                }
            }
        }
    }

    @Test("a list cut off anywhere is refused or changes nothing")
    func cutOff() {
        let list = hex("00 00 00 08  00 00 12 34 00 00 02 00 \(Self.cacheOff) \(Self.descriptorSense)")
        let boundaries = [0, 12, 32, list.count]
        for length in 0...list.count {
            var pages = Self.pages
            let prefix = Array(list.prefix(length))
            let refused = refusal { () throws(SenseData) in
                try pages.select(prefix.span.bytes, isTenByte: false, medium: Self.medium)
            }
            #expect((refused == nil) == boundaries.contains(length))
            if refused != nil { #expect(refused == .parameterListLengthError) }
        }
    }

    @Test("a subpage in the list is taken")
    func subpage() throws {
        var pages = ModePages([ModePage(code: 0x0A, subpage: 0x01, defaults: [1, 2, 3])])
        let same = hex("00 00 00 00 4A 01 00 03 01 02 03")
        #expect(try !pages.select(same.span.bytes, isTenByte: false, medium: Self.medium))
        let other = hex("00 00 00 00 4A 01 00 03 01 02 07")
        #expect(throws: SenseData.invalidFieldInParameterList(byte: 10, bit: 2)) {
            try pages.select(other.span.bytes, isTenByte: false, medium: Self.medium)
        }
    }

    @Test("the CDB is checked: SP is refused, and a list in no page format")
    func request() {
        func refused(_ cdb: CommandDescriptorBlock) -> SenseData? {
            refusal { () throws(SenseData) in try ModeSelectRequest(cdb).check(canSave: false) }
        }
        #expect(refused([0x15, 0x10, 0, 0, 24, 0]) == nil)
        #expect(refused([0x15, 0x11, 0, 0, 24, 0]) == .invalidFieldInCDB(byte: 1, bit: 0))
        #expect(refused([0x15, 0x00, 0, 0, 24, 0]) == .invalidFieldInCDB(byte: 1, bit: 4))
        #expect(refused([0x15, 0x00, 0, 0, 0, 0]) == nil)
        #expect(refused([0x55, 0x11, 0, 0, 0, 0, 0, 0, 28, 0]) == .invalidFieldInCDB(byte: 1, bit: 0))
        #expect(ModeSelectRequest([0x15, 0x10, 0, 0, 24, 0]).parameterListLength == 24)
        #expect(ModeSelectRequest([0x55, 0x10, 0, 0, 0, 0, 0, 1, 28, 0]).parameterListLength == 284)
    }
}
