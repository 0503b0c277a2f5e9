// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

/// The tables of RDPROTECT, WRPROTECT and VRPROTECT in SBC-4, typed as data: which wrong tag ends a command.
@Suite("Checks of protection information")
struct ProtectionCheckTests {
    enum Tag: CaseIterable, Sendable {
        case none, guardTag, applicationTag, referenceTag

        /// `tuple` with this tag wrong.
        func spoil(_ tuple: ProtectionTuple) -> ProtectionTuple {
            var tuple = tuple
            switch self {
            case .none: break
            case .guardTag: tuple.guardTag ^= 0x0100
            case .applicationTag: tuple.applicationTag ^= 0x0040
            case .referenceTag: tuple.referenceTag ^= 0x8000_0000
            }
            return tuple
        }

        var fault: ProtectionFault? {
            switch self {
            case .none: nil
            case .guardTag: .guardTag
            case .applicationTag: .applicationTag
            case .referenceTag: .referenceTag
            }
        }
    }

    /// Codes for which each tag is checked. With code 000b nothing comes from the initiator. The application tag is known
    /// from the CDB of type 2 alone, the reference tag of type 3 is not known.
    static let readChecks: [Tag: [UInt8]] = [
        .none: [], .guardTag: [0, 1, 4, 5], .applicationTag: [0, 1, 2, 5], .referenceTag: [0, 1, 2, 5],
    ]
    static let writeChecks: [Tag: [UInt8]] = [
        .none: [], .guardTag: [1, 4, 5], .applicationTag: [1, 2, 5], .referenceTag: [1, 2, 5],
    ]

    struct Case: Sendable, CustomTestStringConvertible {
        let type: ProtectionType
        let field: UInt8
        let tag: Tag

        var testDescription: String { "\(type), code \(field), \(tag) wrong" }

        static let all = ProtectionType.allCases.flatMap { type in
            (0...5).flatMap { field in Tag.allCases.map { Case(type: type, field: UInt8(field), tag: $0) } }
        }

        /// The code is in the table, and the type knows what the tag should be.
        func isChecked(_ table: [Tag: [UInt8]]) -> Bool {
            guard table[tag]!.contains(field) else { return false }
            switch tag {
            case .none: return false
            case .guardTag: return true
            case .applicationTag: return type == .type2
            case .referenceTag: return type != .type3
            }
        }

        var cdb: ProtectedCDB {
            // Tags of type 2 come in the CDB even where none are transferred.
            ProtectedCDB(
                type: type, field: field, reference: type == .type2 ? 0xAAAA_0001 : nil, application: 0x1234,
                mask: 0x00F0)
        }

        var reference: UInt32 { type == .type2 ? 0xAAAA_0001 : 10 }
    }

    private static let blocks = (0..<3).map { ProtectedData.block($0 + 3) }

    /// Blocks 10 to 12 on the medium with their tuples; that of block 11 is wrong.
    private static func medium(_ test: Case) -> ProtectionRig {
        let rig = ProtectionRig(test.type, isTagOwnedByInitiator: true)
        var contents = rig.device.contents
        contents.replaceSubrange(10 * 512..<13 * 512, with: blocks.flatMap { $0 })
        rig.device.contents = contents
        for index in 0..<3 {
            let tuple = ProtectedData.tuple(
                blocks[index], reference: test.reference + UInt32(index), application: 0x1234)
            rig.setTuple(index == 1 ? test.tag.spoil(tuple) : tuple, 10 + index)
        }
        return rig
    }

    private static func expected(_ test: Case, _ table: [Tag: [UInt8]]) -> SenseData? {
        guard test.isChecked(table), let fault = test.tag.fault else { return nil }
        return .protectionCheckFailed(fault, lba: 11)
    }

    @Test("READ", arguments: Case.all)
    func read(test: Case) {
        let rig = Self.medium(test)
        let ended = rig.initiator.run(test.cdb.bytes(.read, 10, 3))
        if let sense = Self.expected(test, Self.readChecks) {
            #expect(ended == .check(sense))
            return
        }
        #expect(ended.status == .good)
        let expected: [UInt8] = (0..<3).flatMap { index in
            Self.blocks[index] + (test.field == 0 ? [] : rig.tuple(10 + index).word.bytes)
        }
        #expect(ended.data == expected)
    }

    @Test("VERIFY that compares nothing", arguments: Case.all)
    func verify(test: Case) {
        let rig = Self.medium(test)
        let ended = rig.initiator.run(test.cdb.bytes(.verify, 10, 3))
        #expect(ended.sense == Self.expected(test, Self.readChecks))
    }

    @Test("Nothing of an unwritten block is checked", arguments: Case.all)
    func escapes(test: Case) {
        let rig = ProtectionRig(test.type, isTagOwnedByInitiator: true)
        #expect(rig.tuple(11) == .escape)
        let ended = rig.initiator.run(test.cdb.bytes(.read, 10, 3))
        #expect(ended.status == .good)
        #expect(ended.data.count == 3 * (test.field == 0 ? 512 : 520))
        #expect(test.field == 0 || Array(ended.data.suffix(8)) == [UInt8](repeating: 0xFF, count: 8))
    }

    private static func data(_ test: Case) -> [UInt8] {
        if test.field == 0 { return blocks.flatMap { $0 } }
        return (0..<3).flatMap { index -> [UInt8] in
            let tuple = ProtectedData.tuple(
                blocks[index], reference: test.reference + UInt32(index), application: 0x1234)
            return blocks[index] + (index == 1 ? test.tag.spoil(tuple) : tuple).word.bytes
        }
    }

    @Test("WRITE and WRITE AND VERIFY: what fails its check is not written", arguments: Case.all, [false, true])
    func write(test: Case, verifies: Bool) {
        let rig = ProtectionRig(test.type, isTagOwnedByInitiator: true)
        let cdb = test.cdb.bytes(verifies ? .writeAndVerify : .write, 10, 3)
        let ended = rig.initiator.run(cdb, Self.data(test))
        if let sense = Self.expected(test, Self.writeChecks) {
            #expect(ended == .check(sense))
            #expect(rig.device.log.isEmpty && rig.tuples.log.isEmpty)
            return
        }
        // What is not checked as it comes may fail when it is read back.
        let readBack = verifies && test.field != 0 ? Self.expected(test, Self.readChecks) : nil
        #expect(ended.sense == readBack)
        for index in 0..<3 { #expect(rig.device.block(10 + index) == Self.blocks[index]) }
        if test.field != 0 {
            let kept = (10..<13).flatMap { rig.tuple($0).word.bytes }
            let sent = (0..<3).flatMap { Array(Self.data(test)[$0 * 520 + 512..<$0 * 520 + 520]) }
            #expect(kept == sent)
        }
    }

    @Test("Blocks that come without tags get those of the type", arguments: ProtectionType.allCases, [false, true])
    func generated(type: ProtectionType, isOwnedByInitiator: Bool) {
        let rig = ProtectionRig(type, isTagOwnedByInitiator: isOwnedByInitiator)
        for (command, lba) in [([0x2A, 0], 70), ([0x2E, 0], 80)] as [([UInt8], UInt32)] {
            let cdb = command + lba.bytes + [0, 0, 3, 0]
            #expect(rig.initiator.run(cdb, Self.blocks.flatMap { $0 }) == .good)
            for index in 0..<3 {
                let tag = type == .type3 ? UInt32.max : lba + UInt32(index)
                let expected = ProtectedData.tuple(
                    Self.blocks[index], reference: tag, application: isOwnedByInitiator ? 0xFFFF : 0)
                #expect(rig.tuple(Int(lba) + index) == expected)
            }
        }
    }

    @Test("Two codes are reserved", arguments: ProtectionType.allCases, [6, 7] as [UInt8])
    func reserved(type: ProtectionType, field: UInt8) {
        let rig = ProtectionRig(type)
        for command in [.read, .write, .verify, .writeAndVerify, .writeSame] as [ProtectedCDB.Command] {
            let cdb = ProtectedCDB(type: type, field: field).bytes(command, 0, 1)
            #expect(rig.initiator.run(cdb) == .check(.invalidFieldInCDB(byte: type == .type2 ? 10 : 1, bit: 7)))
        }
    }

    @Test("The bits of the application tag outside the mask are not checked, and with ATO zero none are")
    func mask() {
        for (isOwned, application, isGood) in [
            (true, 0x1234, true), (true, 0xEF3F, true), (true, 0x1244, false), (false, 0x1244, true),
        ] as [(Bool, UInt16, Bool)] {
            let rig = ProtectionRig(.type2, isTagOwnedByInitiator: isOwned)
            let cdb = ProtectedCDB(type: .type2, field: 1, reference: 7, application: 0x1234, mask: 0x00F0)
            let data = ProtectedData.transferred([Self.blocks[0]], reference: 7, application: application)
            let ended = rig.initiator.run(cdb.bytes(.write, 0, 1), data)
            #expect(ended == (isGood ? .good : .check(.protectionCheckFailed(.applicationTag, lba: 0))))
        }
    }

    @Test("The reference tag counts on past its largest value, and type 1 takes the low half of an address")
    func wrap() {
        let rig = ProtectionRig(.type2)
        let cdb = ProtectedCDB(type: .type2, field: 1, reference: 0xFFFF_FFFE)
        let data = ProtectedData.transferred(Self.blocks, reference: 0xFFFF_FFFE)
        #expect(rig.initiator.run(cdb.bytes(.write, 5, 3), data) == .good)
        #expect(rig.tuple(7).referenceTag == 0)
        #expect(rig.initiator.run(cdb.bytes(.read, 5, 3)).data == data)
        let expected = ProtectionExpectation(
            .all, .type1, isOwnedByInitiator: false, lba: 0x1_FFFF_FFFF, cdb: CommandDescriptorBlock())
        #expect(expected.referenceTag == 0xFFFF_FFFF)
    }
}
