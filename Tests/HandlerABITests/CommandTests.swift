// SPDX-License-Identifier: Apache-2.0

import HandlerABI
import Testing

@Suite struct CommandTests {
    struct CDB: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var length: Int32
        var lba: UInt64
        var blockCount: UInt32

        var testDescription: String { name }
        /// As long as the longest CDB.
        var padded: [UInt8] { bytes + [UInt8](repeating: 0xFF, count: 264 - bytes.count) }
    }

    static let commands = [
        CDB(name: "READ(6)", bytes: [0x08, 0xFF, 0x02, 0x03, 0x00, 0], length: 6, lba: 0x1F0203, blockCount: 0),
        CDB(
            name: "READ(10)", bytes: [0x28, 0, 0x81, 2, 3, 4, 0, 0x12, 0x34, 0], length: 10, lba: 0x8102_0304,
            blockCount: 0x1234),
        CDB(
            name: "MODE SENSE(10)", bytes: [0x5A, 0, 0, 0, 0, 0, 0, 0x01, 0x00, 0], length: 10, lba: 0,
            blockCount: 0x100),
        CDB(
            name: "WRITE(12)", bytes: [0xAA, 0, 1, 2, 3, 4, 0x81, 6, 7, 8, 0, 0], length: 12, lba: 0x0102_0304,
            blockCount: 0x8106_0708),
        CDB(
            name: "READ(16)", bytes: [0x88, 0, 0x81, 2, 3, 4, 5, 6, 7, 8, 0x89, 10, 11, 12, 0, 0], length: 16,
            lba: 0x8102_0304_0506_0708, blockCount: 0x890A_0B0C),
        CDB(
            name: "READ(32)",
            bytes: [0x7F, 0, 0, 0, 0, 0, 0, 24, 0, 9, 0, 0] + [1, 2, 3, 4, 5, 6, 7, 8] + [0, 0, 0, 0, 0, 0, 0, 0]
                + [9, 10, 11, 12],
            length: 32, lba: 0x0102_0304_0506_0708, blockCount: 0x090A_0B0C),
        // Nothing can be told of these.
        CDB(name: "variable, 8 bytes", bytes: [0x7F, 0, 0, 0, 0, 0, 0, 0], length: 8, lba: 0, blockCount: 0),
        CDB(name: "variable, 263 bytes", bytes: [0x7F, 0, 0, 0, 0, 0, 0, 255], length: 263, lba: 0, blockCount: 0),
        CDB(name: "7Eh", bytes: [0x7E], length: -22, lba: 0, blockCount: 0),
        CDB(name: "60h", bytes: [0x60], length: -22, lba: 0, blockCount: 0),
        CDB(name: "C0h", bytes: [0xC0], length: -22, lba: 0, blockCount: 0),
        CDB(name: "FFh", bytes: [0xFF], length: -22, lba: 0, blockCount: 0),
    ]

    @Test("The fields of a CDB stand where its length says", arguments: commands)
    func fields(_ cdb: CDB) {
        var bytes = cdb.padded
        #expect(tcmu_cdb_get_length(&bytes) == cdb.length)
        #expect(tcmu_cdb_get_lba(&bytes) == cdb.lba)
        #expect(tcmu_cdb_get_xfer_length(&bytes) == cdb.blockCount)
    }

    @Test("Any operation code is answered")
    func everyOperationCode() throws {
        let device = try TestDevice()
        for code in UInt8.min...UInt8.max {
            var bytes = [UInt8](repeating: 0xFF, count: 264)
            bytes[0] = code
            let length = tcmu_cdb_get_length(&bytes)
            #expect([6, 10, 12, 16, 263, -22].contains(length))
            _ = tcmu_cdb_get_lba(&bytes)
            _ = tcmu_cdb_get_xfer_length(&bytes)
            // No product of these two overflows into a small number.
            #expect(tcmu_cdb_to_byte(device.pointer, &bytes) >= tcmu_cdb_get_lba(&bytes))
        }
    }

    @Test("Sense data is in fixed format, and its function returns what a callout returns")
    func senseData() {
        var buffer = [UInt8](repeating: 0xEE, count: Int(SENSE_BUFFERSIZE) + 1)
        #expect(Int(tcmu_sense_set_data(&buffer, UInt8(ILLEGAL_REQUEST), 0x2405)) == TCMU_STS_PASSTHROUGH_ERR)
        #expect(buffer[..<18] == [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0x05, 0, 0, 0, 0])
        #expect(buffer[18..<96].allSatisfy { $0 == 0 })
        #expect(buffer[96] == 0xEE)
    }

    @Test("INFORMATION is set with its VALID bit, and no more than 18 bytes are touched")
    func information() {
        var buffer = [UInt8](repeating: 0xEE, count: Int(SENSE_BUFFERSIZE))
        tcmu_sense_set_info(&buffer, 0x0102_0304)
        #expect(buffer[..<19] == [0xF0, 0, 0, 1, 2, 3, 4, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xEE])
    }

    @Test("SENSE KEY SPECIFIC is set with its SKSV bit, and no more than 18 bytes are touched")
    func keySpecific() {
        var buffer = [UInt8](repeating: 0xEE, count: Int(SENSE_BUFFERSIZE))
        tcmu_sense_set_key_specific_info(&buffer, 0x8001)
        #expect(buffer[..<19] == [0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x01, 0xEE])
    }
}
