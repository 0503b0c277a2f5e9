// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

@Suite("Parameters of commands for the whole medium")
struct MediumParameterTests {
    @Test("the list of SANITIZE OVERWRITE: INVERT, OVERWRITE COUNT and the pattern")
    func overwriteList() throws(SenseData) {
        let list = try SanitizeOverwriteList(hex("9F 00 00 03 AA BB CC"), blockByteCount: 8)
        #expect(list.inverts && list.passCount == 31 && list.pattern == hex("AA BB CC"))
        #expect(list.block(ofPass: 30, blockByteCount: 8) == hex("AA BB CC AA BB CC AA BB"))
        #expect(list.block(ofPass: 29, blockByteCount: 8) == hex("55 44 33 55 44 33 55 44"))
        let plain = try SanitizeOverwriteList(hex("02 00 00 01 00"), blockByteCount: 8)
        #expect(plain.block(ofPass: 0, blockByteCount: 2) == [0, 0])
    }

    @Test("PARAMETER LIST LENGTH of OVERWRITE is 5 to a block and 4", arguments: [4, 5, 516, 517])
    func overwriteLength(byteCount: Int) {
        let isAllowed = SanitizeOverwriteList.allows(byteCount: byteCount, blockByteCount: 512)
        #expect(isAllowed == (5...516).contains(byteCount))
    }

    @Test("no list of any bytes traps")
    func random() {
        var generator = SeededGenerator(seed: 20_261_121)
        for _ in 0..<5000 {
            let count = Int.random(in: 0...24, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) & 0x8F }
            _ = refusal { () throws(SenseData) in try SanitizeOverwriteList(bytes, blockByteCount: 512) }
            for isLong in [false, true] {
                _ = refusal { () throws(SenseData) in
                    try FormatUnitParameterList(bytes, isLong: isLong, blockByteCount: 512)
                }
            }
            _ = refusal { () throws(SenseData) in try DiagnosticPage.check(sent: bytes) }
        }
    }

    @Test("the list of FORMAT UNIT: PROTECTION FIELD USAGE, IMMED, the interval and the pattern")
    func formatList() throws(SenseData) {
        let list = try FormatUnitParameterList(
            hex("03 8A 00 02 00 00 00 00 00 01 00 02 12 34"), isLong: true, blockByteCount: 512)
        #expect(list.protectionFieldUsage == 3 && list.protectionIntervalExponent == 2 && list.isImmediate)
        #expect(list.pattern == hex("12 34"))
        let short = try FormatUnitParameterList(hex("00 82 00 00"), isLong: false, blockByteCount: 512)
        #expect(short.isImmediate && short.pattern == nil)
    }

    @Test("power conditions that are not reserved, with their modifiers")
    func powerConditions() {
        var allowed: [[UInt8]] = []
        for code in 0...15 as ClosedRange<UInt8> {
            for modifier in 0...15 as ClosedRange<UInt8> {
                let cdb: CommandDescriptorBlock = [0x1B, 0, 0, modifier, code << 4, 0]
                if refusal({ () throws(SenseData) in try PowerCondition(cdb) }) == nil {
                    allowed.append([code, modifier])
                }
            }
        }
        let startValid = (0...15 as ClosedRange<UInt8>).map { [0, $0] }
        let others: [[UInt8]] = [
            [1, 0], [2, 0], [2, 1], [2, 2], [3, 0], [3, 1], [7, 0], [10, 0], [10, 1], [10, 2], [11, 0], [11, 1],
        ]
        #expect(allowed == startValid + others)
    }

    @Test("a self-test result as a log parameter of page 10h")
    func selfTestResult() {
        var result = SelfTestResult(code: .backgroundExtended, outcome: .failedSecondSegment)
        #expect(
            written { result.write(parameterCode: 1, to: &$0) }
                == hex("00 01 03 10 46 00 00 00 FF FF FF FF FF FF FF FF 00 00 00 00"))
        result.segmentNumber = 2
        result.powerOnHours = 0x1234
        result.firstFailureLBA = 0x0102_0304_0506_0708
        result.sense = .unrecoveredReadError()
        #expect(
            written { result.write(parameterCode: 0x14, to: &$0) }
                == hex("00 14 03 10 46 02 12 34 01 02 03 04 05 06 07 08 03 11 00 00"))
        let running = SelfTestResult(code: .foregroundShort, outcome: .inProgress)
        #expect(written { running.write(parameterCode: 2, to: &$0) }[4] == 0xAF)
    }

    @Test("defect data are a header alone, of four bytes or eight")
    func defectData() throws(SenseData) {
        let ten = try DefectDataRequest([0x37, 0, 0x1D, 0, 0, 0, 0, 0x01, 0x02, 0])
        #expect(ten.wantsPrimaryList && ten.wantsGrownList && ten.format == 5 && ten.allocationLength == 258)
        #expect(written { ten.writeEmptyLists(to: &$0) } == hex("00 1D 00 00"))
        let twelve = try DefectDataRequest([0xB7, 0x08, 0, 0, 0, 9, 0, 0, 1, 0, 0, 0])
        #expect(!twelve.wantsPrimaryList && twelve.allocationLength == 256)
        #expect(written { twelve.writeEmptyLists(to: &$0) } == hex("00 08 00 00 00 00 00 00"))
    }
}
