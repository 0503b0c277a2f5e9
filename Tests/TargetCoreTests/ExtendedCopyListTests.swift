// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("The parameter list of EXTENDED COPY")
struct ExtendedCopyListTests {
    private static let target = ExtendedCopy.target(Rig.serial)
    private static let segment = ExtendedCopy.segment(1, from: 0, to: 1)

    private func run(_ list: [UInt8], _ rig: Rig = Rig()) -> Ended {
        let ended = rig.initiator.run(ExtendedCopy.cdb(list), list)
        if ended != .good { #expect(rig.device.log.isEmpty) }
        return ended
    }

    private func changed(_ byte: Int, _ value: UInt8) -> [UInt8] {
        var list = ExtendedCopy.list(targets: [Self.target], segments: [Self.segment])
        list[byte] = value
        return list
    }

    @Test("An empty list, and one without segments, copy nothing and end well")
    func empty() {
        #expect(run([]) == .good)
        #expect(run(ExtendedCopy.list(targets: [], segments: [])) == .good)
        #expect(run(ExtendedCopy.list(targets: [Self.target], segments: [])) == .good)
    }

    @Test("A list that is cut off anywhere is refused whole")
    func cutOff() {
        let list = ExtendedCopy.list(targets: [Self.target], segments: [Self.segment])
        for byteCount in 1..<list.count {
            #expect(run(Array(list[..<byteCount])) == .check(.parameterListLengthError))
        }
        // The CDB names more than comes.
        #expect(
            Rig().initiator.run(ExtendedCopy.cdb(byteCount: list.count + 1), list)
                == .check(.parameterListLengthError))
        #expect(
            Rig().initiator.run(ExtendedCopy.cdb(byteCount: Int(UInt32.max)), list)
                == .check(.parameterListLengthError))
    }

    @Test("More than told is refused by the name of what is too much")
    func limits() {
        let targets = [[UInt8]](repeating: Self.target, count: TargetLimits.copyTargetCount)
        let segments = [[UInt8]](repeating: Self.segment, count: TargetLimits.copySegmentCount)
        #expect(run(ExtendedCopy.list(targets: targets, segments: segments)) == .good)
        #expect(
            run(ExtendedCopy.list(targets: targets + [Self.target], segments: [Self.segment]))
                == .check(.tooManyTargetDescriptors))
        #expect(
            run(ExtendedCopy.list(targets: [Self.target], segments: segments + [Self.segment]))
                == .check(.tooManySegmentDescriptors))
        #expect(
            run(ExtendedCopy.list(targets: targets + [Self.target], segments: segments))
                == .check(.parameterListLengthError))
        let huge = ExtendedCopy.list(
            targets: [Self.target], segments: [Self.segment], segmentsByteCount: .max)
        #expect(run(huge) == .check(.parameterListLengthError))
        let inline = ExtendedCopy.list(targets: [Self.target], segments: [Self.segment], inlineByteCount: 1)
        #expect(run(inline + [0]) == .check(.inlineDataLengthExceeded))
    }

    @Test("Other descriptors are refused as not supported", arguments: [0x00, 0xE0, 0xE5, 0xEB, 0xFF] as [UInt8])
    func types(code: UInt8) {
        #expect(run(changed(16, code)) == .check(.unsupportedTargetDescriptorTypeCode))
        #expect(run(changed(48, code)) == .check(.unsupportedSegmentDescriptorTypeCode))
        #expect(run(changed(48, 0x0A)) == .check(.unsupportedSegmentDescriptorTypeCode))
    }

    @Test("A null device is not supported")
    func nullDevice() {
        #expect(run(changed(17, 0x20)) == .check(.unsupportedTargetDescriptorTypeCode))
    }

    @Test(
        "A field that is wrong is pointed at",
        arguments: [
            // LIST ID USAGE 01b, a list identifier with 11b, reserved bits.
            (1, 0x08, 1, 4), (1, 0x18, 0, nil), (1, 0x80, 1, 7), (5, 0x01, 5, nil),
            // Lengths that are no multiple of a descriptor, LU ID TYPE, DESIGNATOR LENGTH.
            (3, 0x1F, 2, nil), (17, 0x40, 17, 7), (23, 21, 23, nil), (23, 0, 23, nil),
            // Reserved bits, DESCRIPTOR LENGTH and the two CSCD descriptor IDs of the segment.
            (49, 0x04, 49, 2), (51, 25, 50, nil), (53, 1, 52, nil), (55, 1, 54, nil),
        ] as [(Int, UInt8, Int, Int?)])
    func fields(byte: Int, value: UInt8, pointer: Int, bit: Int?) {
        #expect(run(changed(byte, value)) == .check(.invalidFieldInParameterList(byte: pointer, bit: bit)))
    }

    @Test("Without a list identifier nothing is remembered; PRIORITY and STR change nothing")
    func identifiers() {
        let rig = Rig()
        let unlisted = ExtendedCopy.list(0, usage: 0x18, targets: [Self.target], segments: [Self.segment])
        #expect(run(unlisted, rig) == .good)
        #expect(rig.initiator.run(CopyResults.cdb(0x00, 0)) == .check(.invalidFieldInCDB(byte: 2)))
        let listed = ExtendedCopy.list(9, usage: 0x37, targets: [Self.target], segments: [Self.segment])
        #expect(run(listed, rig) == .good)
        #expect(
            rig.initiator.run(CopyResults.cdb(0x00, 9)).data
                == joined(UInt32(8).bytes, [0x01, 0, 1, 0], UInt32(512).bytes))
        #expect(rig.initiator.run(CopyResults.cdb(0x04, 9)).data == [0, 0, 0, 0])
        // Another initiator has list identifiers of its own.
        #expect(rig.anotherInitiator().run(CopyResults.cdb(0x00, 9)) == .check(.invalidFieldInCDB(byte: 2)))
    }

    @Test("So many copies are remembered, and the oldest is forgotten first")
    func records() {
        let rig = Rig()
        let count = UInt8(TargetLimits.copyRecordCount)
        for identifier in 0...count {
            #expect(run(ExtendedCopy.list(identifier, targets: [Self.target], segments: [Self.segment]), rig) == .good)
        }
        #expect(rig.initiator.run(CopyResults.cdb(0x00, 0)) == .check(.invalidFieldInCDB(byte: 2)))
        for identifier in 1...count { #expect(rig.initiator.run(CopyResults.cdb(0x00, identifier)).status == .good) }
    }

    @Test("So many copies are under way at a time, and one more is refused")
    func concurrent() {
        let rig = Rig()
        rig.device.ending = .deferred
        for identifier in 0..<UInt8(TargetLimits.concurrentCopyCount) {
            let list = ExtendedCopy.list(identifier, targets: [Self.target], segments: [Self.segment])
            #expect(rig.initiator.start(ExtendedCopy.cdb(list), list).ended == nil)
        }
        let list = ExtendedCopy.list(99, targets: [Self.target], segments: [Self.segment])
        #expect(rig.initiator.run(ExtendedCopy.cdb(list), list) == .check(.insufficientResources))
    }

    @Test(
        "RECEIVE COPY OPERATING PARAMETERS tells what is so, cut off where asked",
        arguments: [0, 4, 46, 4096] as [UInt32])
    func operatingParameters(length: UInt32) {
        let descriptors = 16 * 32 + 64 * 28
        let expected = joined(
            UInt32(42).bytes, [0x01, 0, 0, 0], UInt16(16).bytes, UInt16(64).bytes, UInt32(descriptors).bytes,
            UInt32(65535 * 512).bytes, [UInt8](repeating: 0, count: 14), UInt16(16).bytes, [16, 9, 0, 0, 0, 0, 0],
            [2, 0x02, 0xE4])
        let data = Rig().initiator.run(CopyResults.cdb(0x03, length: length)).data
        #expect(data == Array(expected.prefix(Int(length))))
    }
}
