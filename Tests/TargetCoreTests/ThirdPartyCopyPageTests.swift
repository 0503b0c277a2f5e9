// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("VPD page 8Fh, Third-party Copy")
struct ThirdPartyCopyPageTests {
    private func page(_ rig: Rig) -> [UInt8] { rig.initiator.run([0x12, 1, 0x8F, 4, 0, 0]).data }

    private func zeroes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    /// Descriptors by their type, in their order.
    private func descriptors(_ page: [UInt8]) -> [(type: UInt16, content: [UInt8])] {
        var found: [(type: UInt16, content: [UInt8])] = []
        var offset = 4
        while offset + 4 <= page.count {
            let type = UInt16(page[offset]) << 8 | UInt16(page[offset + 1])
            let length = Int(page[offset + 2]) << 8 | Int(page[offset + 3])
            found.append((type, Array(page[(offset + 4)..<(offset + 4 + length)])))
            offset += 4 + length
        }
        return found
    }

    @Test("Its descriptors stand in the order of their types, whole, each a multiple of four bytes")
    func order() {
        let page = page(Rig())
        #expect(page[..<4] == [0x00, 0x8F] + UInt16(page.count - 4).bytes)
        let descriptors = descriptors(page)
        #expect(descriptors.map(\.type) == [0x0000, 0x0001, 0x0004, 0x0008, 0x0106, 0x0108, 0x8001])
        #expect(descriptors.allSatisfy { $0.content.count % 4 == 0 })
    }

    @Test("Limits of tokens, of parameter lists and of copies are those that are kept")
    func limits() {
        let all = Dictionary(uniqueKeysWithValues: descriptors(page(Rig())).map { ($0.type, $0.content) })
        let blocks = UInt64(64 << 20) / 512
        #expect(
            all[0x0000]
                == joined(
                    zeroes(6), UInt16(64).bytes, UInt32(600).bytes, UInt32(60).bytes, blocks.bytes, blocks.bytes))
        #expect(
            all[0x0004]
                == joined(zeroes(4), UInt16(16).bytes, UInt16(64).bytes, UInt32(2304).bytes, zeroes(16)))
        #expect(all[0x0008] == [2, 0x02, 0xE4, 0])
        #expect(
            all[0x8001]
                == joined(
                    UInt32(16).bytes, UInt32(16).bytes, UInt32(65535 * 512).bytes, [9, 0], zeroes(18)))
    }

    @Test("Types and features of RODs are told")
    func types() {
        let all = Dictionary(uniqueKeysWithValues: descriptors(page(Rig())).map { ($0.type, $0.content) })
        let bytes = UInt64(64 << 20).bytes
        #expect(
            all[0x0106]
                == joined(
                    zeroes(20), UInt32(600).bytes, zeroes(18), UInt16(48).bytes, [0, 0], UInt16(44).bytes, zeroes(2),
                    UInt16(1).bytes, bytes, bytes, bytes, bytes, zeroes(8)))
        #expect(
            all[0x0108]
                == joined(
                    zeroes(2), UInt16(128).bytes, UInt32(0x0080_0001).bytes, [0x03, 0, 0x80, 0], zeroes(56),
                    UInt32(0xFFFF_0001).bytes, [0x02, 0, 0, 0], zeroes(56)))
    }

    @Test("The commands are those that REPORT SUPPORTED OPERATION CODES lists")
    func commands() {
        let rig = Rig()
        let all = Dictionary(uniqueKeysWithValues: descriptors(page(rig)).map { ($0.type, $0.content) })
        let expected: [UInt8] = [12, 0x83, 4, 0x00, 0x10, 0x11, 0x1C, 0x84, 4, 0x00, 0x03, 0x04, 0x07]
        #expect(all[0x0001] == expected + zeroes(3))
        let list = rig.initiator.run([0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]).data
        let reported = stride(from: 4, to: list.count, by: 8).map { Array(list[$0..<$0 + 4]) }
        for (opcode, actions) in [(0x83, [0x00, 0x10, 0x11, 0x1C]), (0x84, [0x00, 0x03, 0x04, 0x07])]
            as [(UInt8, [UInt8])]
        {
            #expect(reported.filter { $0[0] == opcode }.map { $0[3] }.sorted() == actions)
        }
    }

    @Test("3PC goes with the page; neither is there where a store answers every CDB itself")
    func thirdPartyCopyBit() {
        let rig = Rig()
        #expect(rig.initiator.run([0x12, 0, 0, 0, 96, 0]).data[5] & 0x08 != 0)
        let foreign = Rig { $0.passthrough = .always }
        let cdb = [0x83] + zeroes(15)
        #expect(foreign.initiator.run(cdb) == .check(.invalidCommandOperationCode))
    }
}
