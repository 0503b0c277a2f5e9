// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct ModeSenseTests {
    static var data: ModeParameterData {
        var pages = ModePages.disk
        pages.configure(.writeCacheEnable, default: true, isChangeable: true)
        pages.configure(.descriptorSense, default: false, isChangeable: true)
        return ModeParameterData(
            pages: pages, blockDescriptor: ModeBlockDescriptor(blockCount: 0x1234, blockByteCount: 512),
            isWriteProtected: false, supportsDPOAndFUA: true)
    }

    private func sense(_ cdb: CommandDescriptorBlock, _ data: ModeParameterData = data) throws -> [UInt8] {
        var refused: SenseData?
        let bytes = written { writer in
            refused = refusal { () throws(SenseData) in try data.write(ModeSenseRequest(cdb), to: &writer) }
        }
        if let refused {
            #expect(bytes.isEmpty)
            throw refused
        }
        return bytes
    }

    static let recovery = "01 0A 00 00 00 00 00 00 00 00 00 00"
    static let caching = "08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    static let control = "0A 0A 02 00 00 00 00 00 FF FF 00 00"
    static let exceptions = "1C 0A 08 00 00 00 00 00 00 00 00 00"

    @Test("MODE SENSE(6) has a four-byte header and a short block descriptor")
    func sixByte() throws {
        #expect(
            try sense([0x1A, 0x00, 0x08, 0x00, 0xFF, 0])
                == hex("1F 00 10 08  00 00 12 34 00 00 02 00" + " " + Self.caching))
        #expect(try sense([0x1A, 0x08, 0x08, 0x00, 0xFF, 0]) == hex("17 00 10 00" + " " + Self.caching))
    }

    @Test("MODE SENSE(10) has an eight-byte header, and a long block descriptor where it is welcome")
    func tenByte() throws {
        let page = " " + Self.control
        #expect(
            try sense([0x5A, 0x00, 0x0A, 0, 0, 0, 0, 0, 0xFF, 0])
                == hex("00 1A 00 10 00 00 00 08  00 00 12 34 00 00 02 00" + page))
        #expect(
            try sense([0x5A, 0x10, 0x0A, 0, 0, 0, 0, 0, 0xFF, 0])
                == hex("00 22 00 10 01 00 00 10  00 00 00 00 00 00 12 34 00 00 00 00 00 00 02 00" + page))
        #expect(
            try sense([0x5A, 0x18, 0x0A, 0, 0, 0, 0, 0, 0xFF, 0]) == hex("00 12 00 10 00 00 00 00" + page))
    }

    @Test("LLBAA means nothing to MODE SENSE(6)")
    func longLBAOfSixByte() throws {
        #expect(try sense([0x1A, 0x10, 0x08, 0x00, 0xFF, 0])[3] == 8)
    }

    @Test("write protection and DPOFUA are told", arguments: [false, true], [false, true])
    func deviceSpecific(isWriteProtected: Bool, supportsDPOAndFUA: Bool) throws {
        var data = Self.data
        data.isWriteProtected = isWriteProtected
        data.supportsDPOAndFUA = supportsDPOAndFUA
        let expected: UInt8 = (isWriteProtected ? 0x80 : 0) | (supportsDPOAndFUA ? 0x10 : 0)
        #expect(try sense([0x1A, 0, 0x3F, 0, 0xFF, 0], data)[2] == expected)
        #expect(try sense([0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 0xFF, 0], data)[3] == expected)
    }

    @Test("a capacity beyond 32 bits is FFFFFFFFh in the short descriptor, and whole in the long one")
    func longCapacity() throws {
        var data = Self.data
        data.blockDescriptor.blockCount = 0x1_0000_0000
        #expect(Array(try sense([0x1A, 0, 0x08, 0, 0xFF, 0], data)[4..<8]) == hex("FF FF FF FF"))
        #expect(
            Array(try sense([0x5A, 0x10, 0x08, 0, 0, 0, 0, 0, 0xFF, 0], data)[8..<16])
                == hex("00 00 00 01 00 00 00 00"))
    }

    @Test(
        "page 3Fh returns all pages in ascending order, with subpage 00h as with FFh",
        arguments: [0x00, 0xFF] as [UInt8])
    func allPages(subpage: UInt8) throws {
        let cdb = try #require(CommandDescriptorBlock([0x1A, 0x08, 0x3F, subpage, 0xFF, 0]))
        let all = [Self.recovery, Self.caching, Self.control, Self.exceptions].joined(separator: " ")
        #expect(try sense(cdb) == hex("3B 00 10 00 " + all))
    }

    @Test("page control chooses between current, changeable and default values")
    func pageControl() throws {
        var data = Self.data
        data.pages[.writeCacheEnable] = false
        data.pages[.descriptorSense] = true
        func page(_ code: UInt8, _ control: UInt8) throws -> [UInt8] {
            let bytes: [UInt8] = [0x1A, 0x08, control << 6 | code, 0, 0xFF, 0]
            return Array(try sense(try #require(CommandDescriptorBlock(bytes)), data).dropFirst(4))
        }
        #expect(try page(0x08, 0)[2] == 0x00)
        #expect(try page(0x08, 1) == hex("08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"))
        #expect(try page(0x08, 2)[2] == 0x04)
        #expect(try page(0x0A, 0)[2] == 0x06)
        #expect(try page(0x0A, 1) == hex("0A 0A 04 00 00 00 00 00 00 00 00 00"))
        #expect(try page(0x0A, 2)[2] == 0x02)
        #expect(try page(0x1C, 1).dropFirst(2).allSatisfy { $0 == 0 })
    }

    @Test("saved values are refused", arguments: [0x08, 0x3F] as [UInt8])
    func saved(code: UInt8) throws {
        let cdb = try #require(CommandDescriptorBlock([0x1A, 0, 0xC0 | code, 0, 0xFF, 0]))
        #expect(throws: SenseData.savingParametersNotSupported) { try sense(cdb) }
    }

    @Test("a page that is not there is an invalid PAGE CODE", arguments: [0x00, 0x02, 0x19, 0x3E] as [UInt8])
    func unknownPage(code: UInt8) throws {
        let cdb = try #require(CommandDescriptorBlock([0x1A, 0, code, 0, 0xFF, 0]))
        #expect(throws: SenseData.invalidFieldInCDB(byte: 2, bit: 5)) { try sense(cdb) }
    }

    @Test(
        "a subpage that is not there is an invalid SUBPAGE CODE",
        arguments: [(0x08, 0x01), (0x0A, 0xF0), (0x3F, 0x01)] as [(UInt8, UInt8)])
    func unknownSubpage(code: UInt8, subpage: UInt8) throws {
        let cdb = try #require(CommandDescriptorBlock([0x1A, 0, code, subpage, 0xFF, 0]))
        #expect(throws: SenseData.invalidFieldInCDB(byte: 3)) { try sense(cdb) }
    }

    @Test("pages in subpage format have a long header, and come with FFh only")
    func subpageFormat() throws {
        var data = Self.data
        data.pages = ModePages([.control, ModePage(code: 0x0A, subpage: 0x01, defaults: [1, 2, 3])])
        #expect(Array(try sense([0x1A, 0x08, 0x0A, 0x01, 0xFF, 0], data).dropFirst(4)) == hex("4A 01 00 03 01 02 03"))
        #expect(
            Array(try sense([0x1A, 0x08, 0x0A, 0xFF, 0xFF, 0], data).dropFirst(4))
                == hex("0A 0A 00 00 00 00 00 00 FF FF 00 00  4A 01 00 03 01 02 03"))
        #expect(try sense([0x1A, 0x08, 0x3F, 0x00, 0xFF, 0], data).count == 16)
    }

    @Test("mode parameter data are cut off cleanly at every allocation length")
    func cutOff() {
        let request = ModeSenseRequest([0x5A, 0x10, 0x3F, 0, 0, 0, 0, 0, 0xFF, 0])
        #expect(isCutOffCleanly { try? Self.data.write(request, to: &$0) })
    }
}
