// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct SenseFormatTests {
    struct Example: Sendable {
        let sense: SenseData
        let fixed: String
        let descriptor: String

        init(_ sense: SenseData, fixed: String, descriptor: String) {
            self.sense = sense
            self.fixed = fixed
            self.descriptor = descriptor
        }
    }

    static var withReplaceableUnit: SenseData {
        var sense = SenseData.internalTargetFailure
        sense.fieldReplaceableUnit = 0x17
        return sense
    }

    static var withIncorrectLength: SenseData {
        var sense = SenseData.invalidFieldInCDB
        sense.stream = .incorrectLength
        return sense
    }

    static var withFilemark: SenseData {
        var sense = SenseData.noSense
        sense.stream = [.filemark, .endOfMedium]
        return sense
    }

    static let examples = [
        Example(
            .noSense,
            fixed: "70 00 00 00 00 00 00 0A 00 00 00 00 00 00 00 00 00 00",
            descriptor: "72 00 00 00 00 00 00 00"),
        Example(
            .invalidCommandOperationCode,
            fixed: "70 00 05 00 00 00 00 0A 00 00 00 00 20 00 00 00 00 00",
            descriptor: "72 05 20 00 00 00 00 00"),
        Example(
            .invalidFieldInCDB(byte: 2, bit: 5),
            fixed: "70 00 05 00 00 00 00 0A 00 00 00 00 24 00 00 CD 00 02",
            descriptor: "72 05 24 00 00 00 00 08  02 06 00 00 CD 00 02 00"),
        Example(
            .invalidFieldInCDB(byte: 300),
            fixed: "70 00 05 00 00 00 00 0A 00 00 00 00 24 00 00 C0 01 2C",
            descriptor: "72 05 24 00 00 00 00 08  02 06 00 00 C0 01 2C 00"),
        Example(
            .invalidFieldInParameterList(byte: 11, bit: 0),
            fixed: "70 00 05 00 00 00 00 0A 00 00 00 00 26 00 00 88 00 0B",
            descriptor: "72 05 26 00 00 00 00 08  02 06 00 00 88 00 0B 00"),
        Example(
            .unrecoveredReadError(lba: 0x1234_5678),
            fixed: "F0 00 03 12 34 56 78 0A 00 00 00 00 11 00 00 00 00 00",
            descriptor: "72 03 11 00 00 00 00 0C  00 0A 80 00 00 00 00 00 12 34 56 78"),
        Example(
            .unrecoveredReadError(lba: 0),
            fixed: "F0 00 03 00 00 00 00 0A 00 00 00 00 11 00 00 00 00 00",
            descriptor: "72 03 11 00 00 00 00 0C  00 0A 80 00 00 00 00 00 00 00 00 00"),
        Example(
            .writeError(lba: 0xFFFF_FFFF),
            fixed: "F0 00 03 FF FF FF FF 0A 00 00 00 00 0C 00 00 00 00 00",
            descriptor: "72 03 0C 00 00 00 00 0C  00 0A 80 00 00 00 00 00 FF FF FF FF"),
        Example(
            .miscompare(atByte: 0x200),
            fixed: "F0 00 0E 00 00 02 00 0A 00 00 00 00 1D 00 00 00 00 00",
            descriptor: "72 0E 1D 00 00 00 00 0C  00 0A 80 00 00 00 00 00 00 00 02 00"),
        Example(
            .formatInProgress(progress: 0x8000),
            fixed: "70 00 02 00 00 00 00 0A 00 00 00 00 04 04 00 80 80 00",
            descriptor: "72 02 04 04 00 00 00 08  02 06 00 00 80 80 00 00"),
        Example(
            SenseData(.writeError(lba: 5), deferred: true),
            fixed: "F1 00 03 00 00 00 05 0A 00 00 00 00 0C 00 00 00 00 00",
            descriptor: "73 03 0C 00 00 00 00 0C  00 0A 80 00 00 00 00 00 00 00 00 05"),
        Example(
            SenseData(
                .copyAborted, .copyTargetDeviceNotReachable, commandSpecific: 0x0102_0304,
                specific: .segmentPointer(.init(isInSegmentDescriptor: true, byte: 0x1CE, bit: 6))),
            fixed: "70 00 0A 00 00 00 00 0A 01 02 03 04 0D 02 00 AE 01 CE",
            descriptor: """
                72 0A 0D 02 00 00 00 14  01 0A 00 00 00 00 00 00 01 02 03 04  02 06 00 00 AE 01 CE 00
                """),
        Example(
            SenseData(.hardwareError, .internalTargetFailure, specific: .actualRetryCount(0x0203)),
            fixed: "70 00 04 00 00 00 00 0A 00 00 00 00 44 00 00 80 02 03",
            descriptor: "72 04 44 00 00 00 00 08  02 06 00 00 80 02 03 00"),
        Example(
            SenseData(.unitAttention, .capacityDataHasChanged, specific: .unitAttentionQueueOverflow(true)),
            fixed: "70 00 06 00 00 00 00 0A 00 00 00 00 2A 09 00 81 00 00",
            descriptor: "72 06 2A 09 00 00 00 08  02 06 00 00 81 00 00 00"),
        Example(
            withReplaceableUnit,
            fixed: "70 00 04 00 00 00 00 0A 00 00 00 00 44 00 17 00 00 00",
            descriptor: "72 04 44 00 00 00 00 04  03 02 00 17"),
        Example(
            withIncorrectLength,
            fixed: "70 00 25 00 00 00 00 0A 00 00 00 00 24 00 00 00 00 00",
            descriptor: "72 05 24 00 00 00 00 04  05 02 00 20"),
        Example(
            withFilemark,
            fixed: "70 00 C0 00 00 00 00 0A 00 00 00 00 00 00 00 00 00 00",
            descriptor: "72 00 00 00 00 00 00 04  04 02 00 C0"),
    ]

    @Test("sense data have T10's bytes in fixed format", arguments: examples)
    func fixedFormat(_ example: Example) {
        #expect(example.sense.encode(descriptor: false) == hex(example.fixed))
    }

    @Test("sense data have T10's bytes in descriptor format", arguments: examples)
    func descriptorFormat(_ example: Example) {
        #expect(example.sense.encode(descriptor: true) == hex(example.descriptor))
    }

    @Test("sense data read back from either format are the same", arguments: examples)
    func roundTrip(_ example: Example) {
        #expect(SenseData(hex(example.fixed)) == example.sense)
        #expect(SenseData(hex(example.descriptor)) == example.sense)
    }

    @Test("INFORMATION beyond 32 bits is invalid in fixed format, and whole in descriptor format")
    func longInformation() {
        let sense = SenseData.unrecoveredReadError(lba: 0x1_0000_0000)
        #expect(
            sense.encode(descriptor: false) == hex("70 00 03 00 00 00 00 0A 00 00 00 00 11 00 00 00 00 00"))
        #expect(
            sense.encode(descriptor: true)
                == hex("72 03 11 00 00 00 00 0C  00 0A 80 00 00 00 00 01 00 00 00 00"))
    }

    @Test("COMMAND-SPECIFIC INFORMATION beyond 32 bits is zero in fixed format")
    func longCommandSpecific() {
        let sense = SenseData(.copyAborted, .thirdPartyDeviceFailure, commandSpecific: .max)
        #expect(
            sense.encode(descriptor: false) == hex("70 00 0A 00 00 00 00 0A 00 00 00 00 0D 01 00 00 00 00"))
        #expect(
            sense.encode(descriptor: true)
                == hex("72 0A 0D 01 00 00 00 0C  01 0A 00 00 FF FF FF FF FF FF FF FF"))
    }

    @Test("sense data are cut off at any length, and their own length stays", arguments: [false, true])
    func cutOff(descriptor: Bool) {
        for example in Self.examples {
            let whole = example.sense.encode(descriptor: descriptor)
            for length in 0...SenseData.maximumByteCount {
                var bytes = [UInt8](repeating: 0xEE, count: length)
                var span = bytes.mutableSpan
                var room = span.mutableBytes
                let stored = example.sense.encode(descriptor: descriptor, into: &room)
                #expect(stored == min(length, whole.count))
                #expect(bytes.prefix(stored) == whole.prefix(stored))
                #expect(bytes.dropFirst(stored).allSatisfy { $0 == 0xEE })
            }
        }
    }

    @Test("the longest sense data are as long as the limit says")
    func longest() {
        var sense = SenseData(
            .illegalRequest, .invalidFieldInCDB, information: 1, commandSpecific: 2,
            specific: .fieldPointer(.init(isInCDB: true, byte: 1, bit: nil)))
        sense.fieldReplaceableUnit = 1
        sense.stream = [.endOfMedium, .incorrectLength]
        #expect(sense.encode(descriptor: true).count == SenseData.maximumByteCount)
        #expect(sense.encode(descriptor: false).count == SenseData.fixedByteCount)
        #expect(SenseData(sense.encode(descriptor: true)) == sense)
    }

    @Test("a field pointer says each bit of each byte", arguments: 0...7)
    func fieldPointer(bit: Int) {
        for byte in [0, 1, 15, 31, 255, 256, 65535] {
            for (sense, first) in [
                (SenseData.invalidFieldInCDB(byte: byte, bit: bit), UInt8(0xC8)),
                (SenseData.invalidFieldInParameterList(byte: byte, bit: bit), UInt8(0x88)),
            ] {
                let bytes = sense.encode(descriptor: false)
                #expect(bytes[15] == first | UInt8(bit))
                #expect(Int(bytes[16]) << 8 | Int(bytes[17]) == byte)
                #expect(SenseData(bytes) == sense)
            }
        }
    }

    @Test("a field pointer beyond 16 bits names the last byte that it can, and below zero the first")
    func fieldPointerOutOfRange() {
        #expect(SenseData.invalidFieldInCDB(byte: 70000).encode(descriptor: false).suffix(2) == [0xFF, 0xFF])
        #expect(SenseData.invalidFieldInCDB(byte: -1).encode(descriptor: false).suffix(2) == [0, 0])
    }

    @Test(
        "bytes that are no sense data are refused",
        arguments: ["", "00", "7F 00 05", "6F 00 05 00", "70", "70 00", "72 05 24", "74 05 24 00 00 00 00 00"])
    func noSenseData(_ bytes: String) {
        #expect(SenseData(hex(bytes)) == nil)
    }

    @Test("sense data that end early keep what came")
    func shortSense() {
        let fixed = SenseData.unrecoveredReadError(lba: 7).encode(descriptor: false)
        #expect(SenseData(Array(fixed.prefix(13)))?.additional == AdditionalSense(0x11, 0x00))
        #expect(SenseData(Array(fixed.prefix(8)))?.information == 7)
        #expect(SenseData(Array(fixed.prefix(3)))?.key == .mediumError)
        #expect(SenseData(Array(fixed.prefix(3)))?.information == nil)
        // ADDITIONAL SENSE LENGTH 6: the sense-key specific bytes that follow are none.
        var short = SenseData.invalidFieldInCDB(byte: 3).encode(descriptor: false)
        short[7] = 6
        #expect(SenseData(short) == .invalidFieldInCDB)
    }

    @Test("descriptors of unknown type, too short or cut off are passed over")
    func strangeDescriptors() {
        let unknown = hex("72 05 24 00 00 00 00 0C  80 02 00 00  02 06 00 00 C0 00 01 00")
        #expect(SenseData(unknown) == .invalidFieldInCDB(byte: 1))
        let short = hex("72 05 24 00 00 00 00 04  02 02 C0 00")
        #expect(SenseData(short) == .invalidFieldInCDB)
        let cutOff = hex("72 05 24 00 00 00 00 08  02 06 00 00 C0 00")
        #expect(SenseData(cutOff) == .invalidFieldInCDB)
        let notValid = hex("72 03 11 00 00 00 00 0C  00 0A 00 00 00 00 00 00 00 00 00 05")
        #expect(SenseData(notValid) == .unrecoveredReadError())
    }

    @Test("no bytes, however wrong, upset the reader")
    func randomBytes() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...64, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if count > 0 { bytes[0] = 0x70 | bytes[0] & 0x83 }
            guard let sense = SenseData(bytes) else { continue }
            #expect(SenseData(sense.encode(descriptor: true)) == sense)
        }
    }
}

extension SenseData {
    fileprivate init(_ sense: SenseData, deferred: Bool) {
        self = sense
        isDeferred = deferred
    }
}
