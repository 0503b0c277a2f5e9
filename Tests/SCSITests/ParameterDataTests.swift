// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct ParameterDataTests {
    @Test("integers are written big-endian, one behind the other")
    func integers() {
        let data = written {
            $0.append(UInt8(0x01))
            $0.append(UInt16(0x0203))
            $0.append24(0xFF04_0506)
            $0.append(UInt32(0x0708_090A))
            $0.append(UInt64(0x0B0C_0D0E_0F10_1112))
        }
        #expect(data == Array(1...18))
    }

    @Test("integers are loaded and stored at any offset")
    func loadsAndStores() {
        for offset in 0..<9 {
            var bytes = [UInt8](repeating: 0, count: 24)
            var span = bytes.mutableSpan
            var raw = span.mutableBytes
            raw.store(UInt64(0x0102_0304_0506_0708), at: offset)
            raw.store24(0xFF09_0A0B, at: offset + 8)
            raw.store(UInt32(0x0C0D_0E0F), at: offset + 11)
            #expect(Array(bytes[offset..<offset + 15]) == Array(1...15))
            let loaded = bytes.span.bytes
            #expect(loaded.uint64(at: offset) == 0x0102_0304_0506_0708)
            #expect(loaded.uint24(at: offset + 8) == 0x09_0A0B)
            #expect(loaded.uint32(at: offset + 11) == 0x0C0D_0E0F)
            #expect(loaded.uint16(at: offset + 13) == 0x0E0F)
            #expect(loaded.uint8(at: offset) == 1)
        }
    }

    @Test("storing two bytes and zeroing touch nothing else")
    func storesStayInPlace() {
        var bytes = [UInt8](repeating: 0xEE, count: 8)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        raw.store(UInt16(0x0102), at: 1)
        raw.zero(at: 5, byteCount: 2)
        raw.store(UInt8(3), at: 3)
        #expect(bytes == hex("EE 01 02 03 EE 00 00 EE"))
    }

    @Test("a length field counts what follows it, however little is stored", arguments: 0...12)
    func lengthFields(room: Int) {
        let data = [UInt8](allocationLength: room) {
            $0.append(UInt8(0xAA))
            let length = $0.reserveLength(.twoBytes)
            $0.appendZeroes(300)
            $0.fill(length)
        }
        #expect(data == Array(([0xAA, 0x01, 0x2C] + [UInt8](repeating: 0, count: 300)).prefix(room)))
    }

    @Test("a length field too narrow for its count holds the largest that it can")
    func narrowLength() {
        let data = written {
            let length = $0.reserveLength(.oneByte)
            $0.appendZeroes(300)
            $0.fill(length)
        }
        #expect(data[0] == 0xFF)
    }

    @Test("bytes are counted whether or not they are stored")
    func counts() {
        var bytes = [UInt8](repeating: 0, count: 3)
        var span = bytes.mutableSpan
        var writer = ParameterDataWriter(span.mutableBytes)
        writer.append(UInt64(0x0102_0304_0506_0708))
        #expect(writer.byteCount == 8)
        #expect(writer.storedByteCount == 3)
        #expect(bytes == [1, 2, 3])
    }

    @Test(
        "ASCII fields are filled with spaces, cut off, and hold nothing that cannot be printed",
        arguments: [("AB", "AB  "), ("ABCDE", "ABCD"), ("", "    "), ("A\tB\u{7F}", "A?B?"), ("é", "??  ")])
    func asciiFields(text: String, field: String) {
        #expect(written { $0.append(ascii: text, fieldByteCount: 4) } == Array(field.utf8))
    }

    @Test(
        "names end with a zero, in a multiple of four bytes", arguments: [("", 4), ("abc", 4), ("abcd", 8), ("é", 4)])
    func nullTerminated(text: String, count: Int) {
        let data = written { $0.append(nullTerminated: text) }
        #expect(data.count == count)
        #expect(data.starts(with: text.utf8))
        #expect(data.dropFirst(text.utf8.count).allSatisfy { $0 == 0 })
    }
}
