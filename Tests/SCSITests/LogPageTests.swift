// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

@Suite("Log pages")
struct LogPageTests {
    static let pages = LogPages([
        LogPage(code: 0x19, parameters: [.list(1, [0xAA, 0xBB])]),
        LogPage(code: 0x02, parameters: [.counter(6, 0x1122_3344_5566_7788), .counter(5, 9)]),
        LogPage(code: 0x02, subpage: 0x07, parameters: [.counter(0, 1)]),
    ])

    private func sense(
        _ page: UInt8, _ subpage: UInt8 = 0, control: UInt8 = 1, pointer: UInt16 = 0
    ) throws(SenseData) -> [UInt8] {
        let cdb: CommandDescriptorBlock = [
            0x4D, 0, control << 6 | page, subpage, 0, UInt8(pointer >> 8), UInt8(pointer & 0xFF), 2, 0, 0,
        ]
        var refused: SenseData?
        let bytes = written { writer in
            refused = refusal { () throws(SenseData) in try Self.pages.write(LogSenseRequest(cdb), to: &writer) }
        }
        if let refused {
            #expect(bytes.isEmpty)
            throw refused
        }
        return bytes
    }

    @Test(
        "The supported pages are listed, ascending, with and without subpages, whatever PC",
        arguments: 0...3 as ClosedRange<UInt8>)
    func supported(control: UInt8) throws {
        #expect(try sense(0, control: control) == hex("00 00 00 03  00 02 19"))
        #expect(
            try sense(0, 0xFF, control: control) == hex("40 FF 00 0A  00 00 00 FF 02 00 02 07 19 00"))
    }

    @Test("Counters stand in ascending order, from the parameter pointer on")
    func counters() throws {
        let fifth = " 00 05 20 08 00 00 00 00 00 00 00 09"
        let sixth = " 00 06 20 08 11 22 33 44 55 66 77 88"
        #expect(try sense(2) == hex("82 00 00 18" + fifth + sixth))
        #expect(try sense(2, pointer: 6) == hex("82 00 00 0C" + sixth))
        #expect(try sense(2, 7) == hex("C2 07 00 0C 00 00 20 08 00 00 00 00 00 00 00 01"))
        #expect(try sense(2, control: 3).suffix(8) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(try sense(0x19) == hex("99 00 00 06 00 01 23 02 AA BB"))
    }

    @Test(
        "What is not there is refused with the field named",
        arguments: [
            (3, 0, 1, 0, .invalidFieldInCDB(byte: 2, bit: 5)), (2, 1, 1, 0, .invalidFieldInCDB(byte: 3)),
            (2, 0xFF, 1, 0, .invalidFieldInCDB(byte: 3)), (0, 1, 1, 0, .invalidFieldInCDB(byte: 3)),
            (2, 0, 0, 0, .invalidFieldInCDB(byte: 2, bit: 7)), (2, 0, 2, 0, .invalidFieldInCDB(byte: 2, bit: 7)),
            (0x19, 0, 3, 0, .invalidFieldInCDB(byte: 2, bit: 7)), (2, 0, 1, 7, .invalidFieldInCDB(byte: 5)),
            (0, 0, 1, 1, .invalidFieldInCDB(byte: 5)),
        ] as [(UInt8, UInt8, UInt8, UInt16, SenseData)])
    func refused(page: UInt8, subpage: UInt8, control: UInt8, pointer: UInt16, expected: SenseData) {
        let refused = refusal { () throws(SenseData) in
            _ = try sense(page, subpage, control: control, pointer: pointer)
        }
        #expect(refused == expected)
    }

    @Test("Self-test results are always twenty, the youngest first, with zeroes for the rest")
    func selfTests() throws {
        let young = [UInt8](repeating: 7, count: 16)
        let page = LogPage.selfTestResults([young, Array(young.dropFirst()) + [8]])
        #expect(page.code == 0x10)
        #expect(page.parameters.map(\.code) == Array(1...20))
        #expect(page.parameters[0].value == young)
        #expect(page.parameters[1].value[15] == 8)
        #expect(page.parameters[2].value == [UInt8](repeating: 0, count: 16))
        #expect(!page.hasCounters)
        #expect(LogPage.selfTestResults([]).parameters.count == 20)
    }

    // MARK: LOG SELECT

    private func settings(_ list: [UInt8]) throws(SenseData) -> [LogCounterSetting] {
        try Self.pages.settings(list.span.bytes)
    }

    @Test("A list of values is taken apart")
    func values() throws {
        let list = hex("02 00 00 18  00 05 20 08 00 00 00 00 00 00 01 00  00 06 00 08 00 00 00 00 00 00 00 02")
        let found = try settings(list + hex("42 07 00 0C 00 00 20 08 FF FF FF FF FF FF FF FF"))
        #expect(found.map(\.parameterCode) == [5, 6, 0])
        #expect(found.map(\.value) == [256, 2, .max])
        #expect(try settings([]).isEmpty)
        #expect(try settings(hex("02 00 00 00")).isEmpty)
    }

    @Test(
        "A wrong list is refused with the field named",
        arguments: [
            ("03 00 00 00", .invalidFieldInParameterList(byte: 0, bit: 5)),
            ("00 00 00 00", .invalidFieldInParameterList(byte: 0, bit: 5)),
            ("42 08 00 00", .invalidFieldInParameterList(byte: 1)),
            ("42 00 00 00", .invalidFieldInParameterList(byte: 0, bit: 6)),
            ("02 07 00 00", .invalidFieldInParameterList(byte: 0, bit: 6)),
            ("02 00 00 00 02 00 00 00", .invalidFieldInParameterList(byte: 4, bit: 5)),
            ("19 00 00 00 02 00 00 00", .invalidFieldInParameterList(byte: 4, bit: 5)),
            ("02 00 00 0C 00 07 20 08 00 00 00 00 00 00 00 00", .invalidFieldInParameterList(byte: 4)),
            ("19 00 00 06 00 01 20 02 00 00", .invalidFieldInParameterList(byte: 4)),
            ("02 00 00 0C 00 05 A0 08 00 00 00 00 00 00 00 00", .invalidFieldInParameterList(byte: 6, bit: 7)),
            ("02 00 00 0C 00 05 10 08 00 00 00 00 00 00 00 00", .invalidFieldInParameterList(byte: 6, bit: 4)),
            ("02 00 00 08 00 05 20 04 00 00 00 00", .invalidFieldInParameterList(byte: 7)),
            (
                "02 00 00 18 00 06 20 08 00 00 00 00 00 00 00 00 00 05 20 08 00 00 00 00 00 00 00 00",
                .invalidFieldInParameterList(byte: 16)
            ),
            ("02", .parameterListLengthError), ("02 00 00 0C 00 05 20 08 00 00", .parameterListLengthError),
            ("02 00 00 08 00 05 20 08 00 00 00 00", .parameterListLengthError),
            ("02 00 00 02 00 05", .parameterListLengthError), ("02 00 00 00 03 00", .parameterListLengthError),
        ] as [(String, SenseData)])
    func refusedLists(list: String, expected: SenseData) {
        #expect(refusal { () throws(SenseData) in _ = try settings(hex(list)) } == expected)
    }

    @Test(
        "The CDB of LOG SELECT is checked",
        arguments: [
            ("4C 02 00 00 00 00 00 00 04 00", .invalidFieldInCDB(byte: 1, bit: 1)),
            ("4C 00 00 00 00 00 00 00 04 00", .invalidFieldInCDB(byte: 2, bit: 7)),
            ("4C 00 C0 00 00 00 00 00 04 00", .invalidFieldInCDB(byte: 2, bit: 7)),
            ("4C 00 42 00 00 00 00 00 04 00", .invalidFieldInCDB(byte: 2, bit: 5)),
            ("4C 00 40 01 00 00 00 00 04 00", .invalidFieldInCDB(byte: 3)),
            ("4C 00 80 00 00 00 00 00 00 00", .invalidFieldInCDB(byte: 2, bit: 7)),
            ("4C 00 40 00 00 00 00 00 04 00", nil), ("4C 02 82 00 00 00 00 00 00 00", nil),
            ("4C 00 C2 00 00 00 00 00 00 00", nil),
        ] as [(String, SenseData?)])
    func requests(cdb: String, expected: SenseData?) {
        let request = LogSelectRequest(CommandDescriptorBlock(hex(cdb))!)
        #expect(refusal { () throws(SenseData) in try request.check() } == expected)
    }
}
