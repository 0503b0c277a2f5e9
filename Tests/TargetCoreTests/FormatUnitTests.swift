// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("FORMAT UNIT")
struct FormatUnitTests {
    /// `flags`: byte 1.
    static func format(_ flags: UInt8 = 0) -> [UInt8] { [0x04, flags, 0, 0, 0, 0] }

    static let formatData: UInt8 = 0x10
    static let longList: UInt8 = 0x20

    private func rig(thin: Bool = false, zeroes: Bool = false, _ store: FakeStore? = nil) -> Rig {
        var features = BlockDeviceFeatures()
        features.canUnmap = thin
        features.unmappedReadsZero = thin
        features.canWriteZeroes = zeroes
        features.hasVolatileWriteCache = true
        let rig = Rig(FakeDevice(features: features)) { $0.store = store }
        rig.device.contents = [UInt8](repeating: 0x61, count: rig.device.contents.count)
        return rig
    }

    @Test(
        "By default every block is zero and stable, as the store does it best",
        arguments: [(false, false, .write), (false, true, .writeZeroes), (true, true, .unmap)]
            as [(Bool, Bool, BlockRequest.Operation)])
    func zeroes(thin: Bool, zeroes: Bool, operation: BlockRequest.Operation) {
        let rig = rig(thin: thin, zeroes: zeroes)
        #expect(rig.initiator.run(Self.format()) == .good)
        #expect(rig.device.contents.allSatisfy { $0 == 0 })
        #expect(rig.device.operations == [operation, .flush])
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    static let goodLists: [(flags: UInt8, list: [UInt8], expected: UInt8)] = [
        (0, [0, 0, 0, 0], 0),
        (0x08, [0, 0x80, 0, 0], 0),
        (0x03, [0, 0xF0, 0, 0], 0),
        (longList, [0, 0, 0, 0, 0, 0, 0, 0], 0),
        (0, [0, 0x88, 0, 0, 0, 0, 0, 0], 0),
        (0, [0, 0x88, 0, 0, 0, 1, 0, 1, 0x5A], 0x5A),
        (longList, [0, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0x77, 0x77], 0x77),
    ]

    @Test("Short and long lists, with and without an initialization pattern", arguments: 0..<7)
    func lists(index: Int) {
        let (flags, list, expected) = Self.goodLists[index]
        let rig = rig()
        #expect(rig.initiator.run(Self.format(Self.formatData | flags), list) == .good)
        #expect(rig.device.contents.allSatisfy { $0 == expected })
    }

    @Test("A pattern is repeated from the start of every block")
    func pattern() {
        let rig = rig()
        let pattern: [UInt8] = [1, 2, 3]
        let list: [UInt8] = [0, 0x88, 0, 0, 0, 1, 0, 3] + pattern
        #expect(rig.initiator.run(Self.format(Self.formatData), list) == .good)
        for lba in [0, 7, 1023] { #expect(rig.device.block(lba) == (0..<512).map { pattern[$0 % 3] }) }
    }

    static let badLists: [(flags: UInt8, list: [UInt8], sense: SenseData)] = [
        (0, [], .parameterListLengthError),
        (0, [0, 0, 0], .parameterListLengthError),
        (longList, [0, 0, 0, 0, 0, 0, 0], .parameterListLengthError),
        (0, [0x08, 0, 0, 0], .invalidFieldInParameterList(byte: 0, bit: 3)),
        (0, [0x03, 0, 0, 0], .invalidFieldInParameterList(byte: 0, bit: 2)),
        (0, [0, 0x04, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 2)),
        (0, [0, 0x01, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 0)),
        // FOV zero.
        (0, [0, 0x40, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 6)),
        (0, [0, 0x20, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 5)),
        (0, [0, 0x10, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 4)),
        (0, [0, 0x08, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 3)),
        // A defect list.
        (0, [0, 0x80, 0, 4, 0, 0, 0, 9], .invalidFieldInParameterList(byte: 2)),
        (longList, [0, 0x80, 0, 0, 0, 0, 0, 8], .invalidFieldInParameterList(byte: 4)),
        (longList, [0, 0, 1, 0, 0, 0, 0, 0], .invalidFieldInParameterList(byte: 2, bit: 0)),
        (longList, [0, 0, 0, 0x10, 0, 0, 0, 0], .invalidFieldInParameterList(byte: 3, bit: 4)),
        (longList, [0, 0, 0, 0x01, 0, 0, 0, 0], .invalidFieldInParameterList(byte: 3, bit: 3)),
        // The descriptor of the pattern.
        (0, [0, 0x88, 0, 0, 0, 1], .parameterListLengthError),
        (0, [0, 0x88, 0, 0, 0x20, 0, 0, 0], .invalidFieldInParameterList(byte: 4, bit: 5)),
        (0, [0, 0x88, 0, 0, 0, 2, 0, 1, 0], .invalidFieldInParameterList(byte: 5)),
        (0, [0, 0x88, 0, 0, 0, 0, 0, 1, 0], .invalidFieldInParameterList(byte: 6)),
        (0, [0, 0x88, 0, 0, 0, 1, 0, 0], .invalidFieldInParameterList(byte: 6)),
        (0, [0, 0x88, 0, 0, 0, 1, 2, 1, 0], .invalidFieldInParameterList(byte: 6)),
        (0, [0, 0x88, 0, 0, 0, 1, 0, 2, 0], .parameterListLengthError),
    ]

    @Test("A wrong list is refused with a pointer, and nothing is touched", arguments: 0..<23)
    func badList(index: Int) {
        let (flags, list, sense) = Self.badLists[index]
        let rig = rig()
        #expect(rig.initiator.run(Self.format(Self.formatData | flags), list) == .check(sense))
        #expect(rig.device.log.isEmpty)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("Protection information, and defect lists in other formats than by block, are refused")
    func badCDB() {
        for flags in [0x40, 0x80, 0xC0] as [UInt8] {
            #expect(rig().initiator.run(Self.format(flags)) == .check(.invalidFieldInCDB(byte: 1, bit: 7)))
        }
        for format in [1, 2, 4, 5, 6, 7] as [UInt8] {
            let ended = rig().initiator.run(Self.format(Self.formatData | format), [0, 0, 0, 0])
            #expect(ended == .check(.invalidFieldInCDB(byte: 1, bit: 2)))
        }
    }

    @Test("With IMMED status comes at once; others find the format in progress, and how far", arguments: [0, 2])
    func inProgress(immediate: UInt8) {
        let rig = Rig(FakeDevice(blockCount: 8192))
        rig.device.ending = .deferred
        let (tag, _) = rig.initiator.start(Self.format(Self.formatData), [0, immediate, 0, 0])
        rig.initiator.loop.turn()
        #expect((rig.initiator.port.finished[tag] != nil) == (immediate != 0))
        rig.device.completeNext()
        rig.initiator.loop.turn()
        let other = rig.anotherInitiator()
        #expect(other.run(CDB.testUnitReady) == .check(.formatInProgress(progress: 16384)))
        #expect(other.run(Self.format()) == .check(.formatInProgress(progress: 16384)))
        #expect(SenseData(other.run(CDB.requestSense()).data) == .formatInProgress(progress: 16384))
        #expect(other.run([0x12, 0, 0, 0, 96, 0]).status == .good)
        rig.device.ending = .inline
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[tag] == .good)
        #expect(other.run(CDB.testUnitReady) == .good)
    }

    @Test("A format that fails leaves the medium corrupt until one succeeds")
    func fails() {
        let rig = rig()
        rig.device.failure = { $0 == .write ? .failed(.checkCondition, .writeError()) : nil }
        #expect(rig.initiator.run(Self.format()) == .check(.formatCommandFailed))
        #expect(rig.initiator.run(CDB.read10(0, 1)) == .check(.mediumFormatCorrupted))
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .mediumFormatCorrupted)
        rig.device.failure = { _ in nil }
        #expect(rig.initiator.run(Self.format()) == .good)
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
    }

    @Test("A format that was cut off with the process is known afterwards")
    func cutOff() {
        let store = FakeStore()
        let rig = rig(store)
        rig.device.ending = .deferred
        rig.initiator.start(Self.format())
        rig.initiator.loop.turn()
        #expect(store.saved.isFormatCorrupt == true)
        let again = self.rig(FakeStore(store.saved))
        #expect(again.initiator.run(CDB.read10(0, 1)) == .check(.mediumFormatCorrupted))
        #expect(again.initiator.run(Self.format()) == .good)
        #expect(again.initiator.run(CDB.read10(0, 1)).status == .good)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(store.saved.isFormatCorrupt == nil)
    }

    @Test("SANITIZE repairs a medium that a format has left corrupt")
    func sanitized() {
        var state = DurableUnitState()
        state.isFormatCorrupt = true
        let rig = rig(FakeStore(state))
        let list = SanitizeTests.list(1, [0])
        #expect(rig.initiator.run(SanitizeTests.overwrite(list.count), list) == .good)
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
    }

    @Test("A read-only unit is not formatted")
    func readOnly() {
        let rig = Rig { $0.isReadOnly = true }
        #expect(rig.initiator.run(Self.format()) == .check(.writeProtected))
        #expect(rig.device.log.isEmpty)
    }
}
