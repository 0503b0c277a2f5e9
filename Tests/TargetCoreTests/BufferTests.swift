// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("READ BUFFER and WRITE BUFFER")
struct BufferTests {
    private func read(_ initiator: Initiator, _ mode: UInt8, id: UInt8 = 0, offset: UInt32 = 0, length: UInt32 = 64)
        -> Ended
    {
        initiator.run(joined([0x3C, mode, id], Array(offset.bytes[1...]), Array(length.bytes[1...]), [0]))
    }

    private func read16(_ initiator: Initiator, _ mode: UInt8, id: UInt8 = 0, offset: UInt64 = 0, length: UInt32 = 64)
        -> Ended
    {
        initiator.run(joined([0x9B, mode], offset.bytes, length.bytes, [id, 0]))
    }

    private func write(
        _ initiator: Initiator, _ mode: UInt8, _ data: [UInt8], id: UInt8 = 0, offset: UInt32 = 0, length: UInt32? = nil
    ) -> Ended {
        let count = length ?? UInt32(data.count)
        return initiator.run(
            joined([0x3B, mode, id], Array(offset.bytes[1...]), Array(count.bytes[1...]), [0]), data)
    }

    @Test("The data buffer is shared, and keeps what was written where it was written")
    func data() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        #expect(read(other, 0x02, length: 4).data == [0, 0, 0, 0])
        #expect(write(rig.initiator, 0x02, [1, 2, 3, 4], offset: 0xFFF0) == .good)
        #expect(read(other, 0x02, offset: 0xFFEE, length: 8).data == [0, 0, 1, 2, 3, 4, 0, 0])
        #expect(read16(other, 0x02, offset: 0xFFF1, length: 2).data == [2, 3])
        #expect(read(other, 0x02, offset: 0xFFF0, length: 0xFFFFFF).data.count == 16)
        #expect(read16(other, 0x02, length: .max).data.count == 65536)
        #expect(write(rig.initiator, 0x02, []) == .good)
    }

    @Test("Descriptors: 64 KiB at any offset, and an echo buffer of 4,096 bytes for each nexus")
    func descriptors() {
        let initiator = Rig().initiator
        #expect(read(initiator, 0x03).data == [0, 0x01, 0, 0])
        #expect(read(initiator, 0x03, id: 1).data == [0, 0, 0, 0])
        #expect(read16(initiator, 0x03).data == [0, 0x01, 0, 0])
        #expect(read(initiator, 0x0B).data == [0x01, 0, 0x10, 0])
        #expect(read16(initiator, 0x0B, length: 2).data == [0x01, 0])
    }

    @Test("Each nexus has an echo buffer of its own, which is empty at first")
    func echo() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        #expect(read(rig.initiator, 0x0A) == .check(.commandSequenceError))
        #expect(write(rig.initiator, 0x0A, [1, 2, 3, 4]) == .good)
        #expect(write(other, 0x0A, [9, 9]) == .good)
        #expect(read(rig.initiator, 0x0A).data == [1, 2, 3, 4])
        #expect(read(rig.initiator, 0x0A, length: 2).data == [1, 2])
        #expect(read16(other, 0x0A).data == [9, 9])
        #expect(write(rig.initiator, 0x0A, [UInt8](repeating: 5, count: 4096)) == .good)
        #expect(write(rig.initiator, 0x0A, [UInt8](repeating: 6, count: 4097)) == .check(.invalidFieldInCDB(byte: 6)))
        #expect(read(rig.initiator, 0x0A, length: 5000).data == [UInt8](repeating: 5, count: 4096))
    }

    @Test("Other modes, microcode and error history among them, are refused", arguments: 0...0x1F as ClosedRange<UInt8>)
    func modes(mode: UInt8) {
        let initiator = Rig().initiator
        let refused = Ended.check(.invalidFieldInCDB(byte: 1, bit: 4))
        if ![0x02, 0x03, 0x0A, 0x0B].contains(mode) {
            #expect(read(initiator, mode) == refused)
            #expect(read16(initiator, mode) == refused)
        }
        if ![0x02, 0x0A].contains(mode) { #expect(write(initiator, mode, [1]) == refused) }
        #expect(read(initiator, 0x20 | mode) == .check(.invalidFieldInCDB(byte: 1, bit: 5)))
    }

    @Test("Buffers, offsets and lengths that are not there are refused, and nothing is written")
    func bounds() {
        let initiator = Rig().initiator
        #expect(read(initiator, 0x02, id: 1) == .check(.invalidFieldInCDB(byte: 2)))
        #expect(read16(initiator, 0x02, id: 1) == .check(.invalidFieldInCDB(byte: 14)))
        #expect(write(initiator, 0x02, [1], id: 7) == .check(.invalidFieldInCDB(byte: 2)))
        #expect(read(initiator, 0x02, offset: 0x10000) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(read16(initiator, 0x02, offset: .max) == .check(.invalidFieldInCDB(byte: 2)))
        #expect(write(initiator, 0x02, [1], offset: 0x10000) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(write(initiator, 0x02, [1, 2], offset: 0xFFFF) == .check(.invalidFieldInCDB(byte: 6)))
        #expect(read(initiator, 0x03, offset: 1) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(write(initiator, 0x02, [1, 2], length: 3) == .check(.parameterListLengthError))
        #expect(read(initiator, 0x02, offset: 0xFFFF, length: 1).data == [0])
    }
}
