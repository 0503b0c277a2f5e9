// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("SANITIZE")
struct SanitizeTests {
    static let blockErase: [UInt8] = [0x48, 0x02, 0, 0, 0, 0, 0, 0, 0, 0]
    static let exit: [UInt8] = [0x48, 0x1F, 0, 0, 0, 0, 0, 0, 0, 0]

    static func overwrite(_ length: Int, flags: UInt8 = 0) -> [UInt8] {
        [0x48, 0x01 | flags, 0, 0, 0, 0, 0] + UInt16(length).bytes + [0]
    }

    static func list(_ flags: UInt8, _ pattern: [UInt8]) -> [UInt8] {
        [flags, 0] + UInt16(pattern.count).bytes + pattern
    }

    static func rig(_ store: FakeStore? = nil, blockCount: UInt64 = 1024) -> Rig {
        let rig = Rig(FakeDevice(blockCount: blockCount, features: SampleCommand.features)) {
            $0.store = store
            $0.isRemovable = true
        }
        rig.device.contents = [UInt8](repeating: 0x61, count: rig.device.contents.count)
        return rig
    }

    @discardableResult
    static func sanitize(_ rig: Rig, pattern: [UInt8] = [0x5A], flags: UInt8 = 0, header: UInt8 = 1) -> Ended {
        let list = list(header, pattern)
        return rig.initiator.run(overwrite(list.count, flags: flags), list)
    }

    @Test("OVERWRITE fills every block with the pattern, from the start of each", arguments: [1, 3, 511, 512])
    func overwrites(byteCount: Int) {
        let rig = Self.rig()
        let pattern = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 + 1) }
        #expect(Self.sanitize(rig, pattern: pattern) == .good)
        let block = (0..<512).map { pattern[$0 % byteCount] }
        for lba in [0, 1, 511, 1023] { #expect(rig.device.block(lba) == block) }
        #expect(rig.device.operations == [.write, .flush, .read])
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test(
        "INVERT alternates, and the last pass writes the pattern",
        arguments: [(1, [0x0F]), (2, [0xF0, 0x0F]), (3, [0x0F, 0xF0, 0x0F])] as [(UInt8, [UInt8])])
    func inverts(count: UInt8, written: [UInt8]) {
        let rig = Self.rig()
        rig.device.ending = .deferred
        let list = Self.list(0x80 | count, [0x0F])
        let (tag, _) = rig.initiator.start(Self.overwrite(list.count), list)
        var seen: [UInt8] = []
        while rig.initiator.port.finished[tag] == nil {
            rig.initiator.loop.turn()
            let isWrite = rig.device.log.last?.operation == .write && rig.device.waitingCount > 0
            rig.device.completeNext()
            if isWrite { seen.append(rig.device.block(1000)[7]) }
        }
        #expect(seen == written)
    }

    @Test("BLOCK ERASE leaves zeroes, all of them deallocated")
    func erases() {
        let rig = Self.rig()
        #expect(rig.initiator.run(Self.blockErase) == .good)
        #expect(rig.device.contents.allSatisfy { $0 == 0 })
        #expect(rig.device.operations == [.unmap, .flush, .read])
        let page = rig.initiator.run([0x12, 1, 0xB1, 0, 64, 0]).data
        #expect(page[7] & 0xF0 == 0x40, "WABEREQ 01b, WACEREQ 00b")
    }

    @Test("BLOCK ERASE is not offered where deallocated blocks could read as anything, and CRYPTOGRAPHIC ERASE nowhere")
    func unsupported() {
        let rig = Rig { $0.canUnmap = true }
        #expect(rig.initiator.run(Self.blockErase) == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        #expect(rig.initiator.run([0x12, 1, 0xB1, 0, 64, 0]).data[7] & 0xF0 == 0)
        for action in [0, 3, 4, 0x1E] as [UInt8] {
            let ended = rig.initiator.run([0x48, action, 0, 0, 0, 0, 0, 0, 0, 0])
            #expect(ended == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        }
    }

    @Test("Lengths that the service action does not allow are refused")
    func lengths() {
        for length in [0, 1, 2, 3, 4, 517, 600] {
            let rig = Self.rig()
            let ended = rig.initiator.run(Self.overwrite(length), [UInt8](repeating: 1, count: length))
            #expect(ended == .check(.invalidFieldInCDB(byte: 7)))
            #expect(rig.device.log.isEmpty)
        }
        for action in [0x02, 0x1F] as [UInt8] {
            let ended = Self.rig().initiator.run(
                [0x48, action, 0, 0, 0, 0, 0, 0, 8, 0], [UInt8](repeating: 0, count: 8))
            #expect(ended == .check(.invalidFieldInCDB(byte: 7)))
        }
    }

    @Test("ZNR is refused: there are no zones")
    func zones() {
        #expect(Self.sanitize(Self.rig(), flags: 0x40) == .check(.invalidFieldInCDB(byte: 1, bit: 6)))
    }

    static let badLists: [([UInt8], SenseData)] = [
        ([0x00, 0, 0, 1, 0], .invalidFieldInParameterList(byte: 0, bit: 4)),
        ([0x20 | 1, 0, 0, 1, 0], .invalidFieldInParameterList(byte: 0, bit: 6)),
        ([0x60 | 1, 0, 0, 1, 0], .invalidFieldInParameterList(byte: 0, bit: 6)),
        ([0x01, 0x10, 0, 1, 0], .invalidFieldInParameterList(byte: 1, bit: 4)),
        ([0x01, 0, 0, 0, 0], .invalidFieldInParameterList(byte: 2)),
        ([0x01, 0, 0, 2, 0], .invalidFieldInParameterList(byte: 2)),
        ([0x01, 0, 2, 1, 0], .invalidFieldInParameterList(byte: 2)),
    ]

    @Test("A wrong parameter list is refused with a pointer, and nothing is touched", arguments: 0..<7)
    func badList(index: Int) {
        let (list, sense) = Self.badLists[index]
        let rig = Self.rig()
        #expect(rig.initiator.run(Self.overwrite(list.count), list) == .check(sense))
        #expect(rig.device.log.isEmpty)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("Half a parameter list is refused")
    func halfList() {
        let rig = Self.rig()
        #expect(rig.initiator.run(Self.overwrite(8), [1, 0, 0]) == .check(.parameterListLengthError))
        #expect(rig.device.log.isEmpty)
    }

    // MARK: - While it is at work

    @Test(
        "With IMMED the status comes at once; other commands find the unit sanitizing, and how far",
        arguments: [0, 0x80])
    func inProgress(immediate: UInt8) throws {
        let rig = Self.rig(blockCount: 8192)
        rig.device.ending = .deferred
        let list = Self.list(2, [1])
        let (tag, _) = rig.initiator.start(Self.overwrite(list.count, flags: immediate), list)
        rig.initiator.loop.turn()
        #expect((rig.initiator.port.finished[tag] != nil) == (immediate != 0))
        // Two passes over four pieces, and samples of them read: one of twelve parts is done.
        rig.device.completeNext()
        rig.initiator.loop.turn()
        let other = rig.anotherInitiator()
        for initiator in [rig.initiator, other] {
            let ended = initiator.run(CDB.testUnitReady)
            #expect(ended == .check(.sanitizeInProgress(progress: 5461)))
            #expect(initiator.run(CDB.read10(0, 1)).sense?.additional == AdditionalSense(0x04, 0x1B))
            #expect(initiator.run(RemovableMediumTests.eject).sense?.additional == AdditionalSense(0x04, 0x1B))
            #expect(initiator.run(Self.blockErase).sense?.additional == AdditionalSense(0x04, 0x1B))
            #expect(initiator.run([0x12, 0, 0, 0, 96, 0]).status == .good)
            #expect(initiator.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).status == .good)
            let told = initiator.run(CDB.requestSense())
            #expect(SenseData(told.data) == .sanitizeInProgress(progress: 5461))
        }
        rig.device.ending = .inline
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[tag] == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(rig.device.block(8191) == [UInt8](repeating: 1, count: 512))
    }

    @Test("Every row but three is refused meanwhile", arguments: RemovableMediumTests.samples)
    func refused(sample: SampleCommand) {
        // There is no SANITIZE with protection information.
        guard sample.row.opcode != OperationCode.variableLength.rawValue else { return }
        let rig = sample.rig()
        rig.device.ending = .deferred
        let list = Self.list(1, [1])
        rig.initiator.start(Self.overwrite(list.count, flags: 0x80), list)
        rig.initiator.loop.turn()
        rig.device.forgetLog()
        let ended = rig.initiator.run(sample.cdb, sample.data)
        let passes = ["INQUIRY", "REPORT LUNS", "REQUEST SENSE"].contains(sample.row.name)
        #expect((ended.sense?.additional == .logicalUnitNotReadySanitizeInProgress) == !passes)
        #expect(rig.device.log.isEmpty)
    }

    enum Interruption: CaseIterable {
        case abortTask, abortTaskSet, logicalUnitReset, targetWarmReset, iTNexusReset, nexusLoss
    }

    @Test("Nothing that ends its command ends the operation", arguments: Interruption.allCases)
    func survives(interruption: Interruption) {
        let rig = Self.rig()
        rig.device.ending = .deferred
        let list = Self.list(1, [9])
        let (tag, _) = rig.initiator.start(Self.overwrite(list.count), list)
        rig.initiator.loop.turn()
        var hasEnded = false
        let nexus = rig.initiator.nexus
        let end: (TaskManagementResponse) -> Void = { _ in hasEnded = true }
        switch interruption {
        case .abortTask: nexus.perform(.abortTask, lun: .init(0), tag: tag, completion: end)
        case .abortTaskSet: nexus.perform(.abortTaskSet, lun: .init(0), tag: 0, completion: end)
        case .logicalUnitReset: nexus.perform(.logicalUnitReset, lun: .init(0), tag: 0, completion: end)
        case .targetWarmReset: nexus.perform(.targetWarmReset, lun: .init(0), tag: 0, completion: end)
        case .iTNexusReset: nexus.perform(.iTNexusReset, lun: .init(0), tag: 0, completion: end)
        case .nexusLoss: nexus.close { hasEnded = true }
        }
        #expect(hasEnded && rig.initiator.port.aborted == [tag])
        let other = rig.anotherInitiator()
        #expect(other.run(CDB.testUnitReady).sense?.additional == AdditionalSense(0x04, 0x1B))
        for _ in 0..<5 {
            rig.device.completeAll()
            rig.initiator.loop.turn()
        }
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(rig.device.block(0) == [UInt8](repeating: 9, count: 512))
    }

    @Test("It begins when what was under way has ended; what has waited meanwhile is told that it is at work")
    func drains() {
        let rig = Self.rig()
        rig.device.ending = .deferred
        let write = rig.initiator.start(CDB.write10(5, 1), [UInt8](repeating: 7, count: 512))
        let list = Self.list(1, [9])
        rig.initiator.start(Self.overwrite(list.count), list)
        let late = rig.initiator.start(CDB.write10(6, 1), [UInt8](repeating: 8, count: 512))
        #expect(rig.device.operations == [.write])
        for _ in 0..<6 {
            rig.initiator.loop.turn()
            rig.device.completeAll()
        }
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[write.tag] == .good)
        #expect(rig.initiator.port.finished[late.tag]?.sense?.additional == AdditionalSense(0x04, 0x1B))
        #expect(rig.device.contents.allSatisfy { $0 == 9 })
    }

    // MARK: - Write protection and reservations

    @Test("A unit that is read-only, or protected by SWP, is left alone")
    func writeProtected() {
        let readOnly = Rig { $0.isReadOnly = true }
        let list = Self.list(1, [9])
        #expect(readOnly.initiator.run(Self.overwrite(list.count), list) == .check(.writeProtected))
        let rig = Self.rig()
        let page: [UInt8] = [0x0A, 10, 0, 0, 0x08, 0, 0, 0, 0, 0, 0, 0]
        var control = rig.initiator.run([0x1A, 0x08, 0x0A, 0, 255, 0]).data
        control[0] = 0
        control[2] = 0
        control[4 + 4] |= 0x08
        #expect(page.count + 4 == control.count)
        #expect(rig.initiator.run([0x15, 0x10, 0, 0, UInt8(control.count), 0], control) == .good)
        #expect(Self.sanitize(rig) == .check(.writeProtected))
        #expect(rig.initiator.run(Self.blockErase) == .check(.writeProtected))
        #expect(rig.device.log.isEmpty)
    }
}
