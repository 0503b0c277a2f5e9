// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Removable media, and units at rest")
struct RemovableMediumTests {
    static let prevent: [UInt8] = [0x1E, 0, 0, 0, 1, 0]
    static let allow: [UInt8] = [0x1E, 0, 0, 0, 0, 0]
    static let eject: [UInt8] = [0x1B, 0, 0, 0, 0x02, 0]
    static let load: [UInt8] = [0x1B, 0, 0, 0, 0x03, 0]
    static let start: [UInt8] = [0x1B, 0, 0, 0, 0x01, 0]
    static let stop: [UInt8] = [0x1B, 0, 0, 0, 0x00, 0]

    /// Rows that every unit has, or that these units have.
    static let samples = SampleCommand.all.filter { sample in
        let others = ["COPY", "TOKEN", "TARGET PORT GROUPS", "IDENTIFYING INFORMATION", "TIMESTAMP", "(32)"]
        return !others.contains { sample.row.name.contains($0) }
    }

    private func rig(cached: Bool = false) -> Rig {
        var features = SampleCommand.features
        features.hasVolatileWriteCache = cached
        return Rig(FakeDevice(features: features)) { $0.isRemovable = true }
    }

    /// Runs a command whose end may need the loops of both.
    private func run(_ initiator: Initiator, _ cdb: [UInt8], with other: Initiator) -> Ended {
        let (tag, ended) = initiator.start(cdb)
        if let ended { return ended }
        while initiator.port.finished[tag] == nil {
            other.loop.turn()
            initiator.loop.turn()
        }
        return initiator.port.finished[tag]!
    }

    @Test("RMB says whether the medium is removable", arguments: [false, true])
    func removableBit(isRemovable: Bool) {
        let rig = Rig(FakeDevice()) { $0.isRemovable = isRemovable }
        #expect(rig.initiator.run([0x12, 0, 0, 0, 96, 0]).data[1] == (isRemovable ? 0x80 : 0x00))
    }

    @Test("Where it is not, LOEJ is an invalid field and PREVENT ALLOW MEDIUM REMOVAL no command")
    func notRemovable() {
        let rig = Rig()
        #expect(rig.initiator.run(Self.eject) == .check(.invalidFieldInCDB(byte: 4, bit: 1)))
        #expect(rig.initiator.run(Self.load) == .check(.invalidFieldInCDB(byte: 4, bit: 1)))
        #expect(rig.initiator.run(Self.allow) == .check(.invalidCommandOperationCode))
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("Without its medium a unit refuses every command that needs one", arguments: samples)
    func noMedium(sample: SampleCommand) {
        let rig = sample.rig()
        #expect(rig.initiator.run(Self.eject) == .good)
        rig.device.forgetLog()
        let ended = rig.initiator.run(sample.cdb, sample.data)
        let name = sample.row.name
        let needsNone =
            ["INQUIRY", "REPORT LUNS", "REQUEST SENSE", "START STOP UNIT", "RECEIVE DIAGNOSTIC RESULTS"].contains(name)
            || [
                "MODE", "RESERVE", "RELEASE", "PERSISTENT", "REPORT", "SET", "PREVENT", "LOG", "READ BUFFER",
                "WRITE BUFFER",
            ].contains {
                name.hasPrefix($0)
            } || name == "SANITIZE, EXIT FAILURE MODE"
        #expect((ended == .check(.mediumNotPresent)) == !needsNone)
        if !needsNone { #expect(rig.device.log.isEmpty) }
    }

    @Test("REQUEST SENSE tells that the medium is not there; START without LOEJ does not bring it back")
    func stateOfEjected() {
        let rig = rig()
        #expect(rig.initiator.run(Self.eject) == .good)
        #expect(rig.initiator.run(Self.eject) == .good)
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .mediumNotPresent)
        #expect(rig.initiator.run(Self.start) == .check(.mediumNotPresent))
        #expect(rig.initiator.run(Self.stop) == .good)
        #expect(rig.initiator.run(Self.load) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("A load is told to every other nexus, once, and one without effect to nobody")
    func unitAttention() {
        let rig = rig()
        let other = rig.anotherInitiator()
        #expect(run(rig.initiator, Self.eject, with: other) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.mediumNotPresent))
        #expect(rig.initiator.run(Self.load) == .good)
        #expect(rig.initiator.run(Self.load) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.mediumMayHaveChanged))
        #expect(other.run(CDB.testUnitReady) == .good)
    }

    @Test("What was acknowledged is flushed before the medium goes, unless NO_FLUSH", arguments: [false, true])
    func flush(skips: Bool) {
        let rig = rig(cached: true)
        #expect(rig.initiator.run([0x1B, 0, 0, 0, skips ? 0x06 : 0x02, 0]) == .good)
        #expect(rig.device.operations == (skips ? [] : [.flush]))
    }

    @Test("A flush that fails keeps the medium in")
    func failedFlush() {
        let rig = rig(cached: true)
        rig.device.failure = { _ in .failed(.checkCondition, .writeError()) }
        #expect(rig.initiator.run(Self.eject) == .check(.writeError()))
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("The medium goes when commands that began before have ended, and later ones find none")
    func drain() {
        let rig = rig()
        rig.device.ending = .deferred
        let write = rig.initiator.start(CDB.write10(0, 1), [UInt8](repeating: 7, count: 512))
        let eject = rig.initiator.start(Self.eject)
        let late = rig.initiator.start(CDB.write10(1, 1), [UInt8](repeating: 8, count: 512))
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished.isEmpty)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[write.tag] == .good)
        #expect(rig.initiator.port.finished[eject.tag] == .good)
        #expect(rig.initiator.port.finished[late.tag] == .check(.mediumNotPresent))
        #expect(rig.device.operations == [.write])
    }

    // MARK: - PREVENT ALLOW MEDIUM REMOVAL

    @Test("One nexus that prevents is enough, and each allows for itself")
    func prevention() {
        let rig = rig()
        let other = rig.anotherInitiator()
        #expect(rig.initiator.run(Self.prevent) == .good)
        #expect(other.run(Self.prevent) == .good)
        #expect(rig.initiator.run(Self.allow) == .good)
        for initiator in [rig.initiator, other] {
            #expect(initiator.run(Self.eject) == .check(.mediumRemovalPrevented))
            #expect(initiator.run(CDB.testUnitReady) == .good)
        }
        #expect(other.run(Self.allow) == .good)
        #expect(run(other, Self.eject, with: rig.initiator) == .good)
    }

    @Test("A prevention keeps the medium out as well as in, and does not keep the unit from starting")
    func preventedLoad() {
        let rig = rig()
        #expect(rig.initiator.run(Self.eject) == .good)
        #expect(rig.initiator.run(Self.prevent) == .good)
        #expect(rig.initiator.run(Self.load) == .check(.mediumRemovalPrevented))
        #expect(rig.initiator.run(Self.allow) == .good)
        #expect(rig.initiator.run(Self.load) == .good)
        #expect(rig.initiator.run(Self.prevent) == .good)
        #expect(rig.initiator.run(Self.load) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("The obsolete values of PREVENT are refused")
    func obsoletePrevent() {
        for value in [0x02, 0x03] as [UInt8] {
            let ended = rig().initiator.run([0x1E, 0, 0, 0, value, 0])
            #expect(ended == .check(.invalidFieldInCDB(byte: 4, bit: 1)))
        }
    }

    @Test("A prevention ends with its nexus")
    func nexusLoss() {
        let rig = rig()
        let other = rig.anotherInitiator()
        #expect(other.run(Self.prevent) == .good)
        other.nexus.close {}
        #expect(rig.initiator.run(Self.eject) == .good)
    }

    @Test(
        "Resets end preventions", arguments: [TaskManagementFunction.logicalUnitReset, .targetWarmReset, .iTNexusReset])
    func resets(function: TaskManagementFunction) {
        let rig = rig()
        #expect(rig.initiator.run(Self.prevent) == .good)
        rig.initiator.nexus.perform(function, lun: .init(0), tag: 0) { _ in }
        _ = rig.initiator.run(CDB.testUnitReady)
        #expect(rig.initiator.run(Self.eject) == .good)
    }

    @Test("PREEMPT AND ABORT ends those of the nexuses that it preempts, PREEMPT does not", arguments: [false, true])
    func preempted(aborts: Bool) {
        let rig = rig()
        let other = rig.anotherInitiator()
        #expect(other.run(Self.prevent) == .good)
        #expect(ReservationTests.out(rig.initiator, .register, newKey: 1) == .good)
        #expect(ReservationTests.out(other, .register, newKey: 2) == .good)
        let list = joined(UInt64(1).bytes, UInt64(2).bytes, [UInt8](repeating: 0, count: 8))
        rig.initiator.start([0x5F, aborts ? 5 : 4, 0x01, 0, 0, 0, 0, 0, 24, 0], list)
        turnAll(rig.initiator, other)
        let (tag, _) = rig.initiator.start(Self.eject)
        turnAll(rig.initiator, other)
        #expect(rig.initiator.port.finished[tag] == (aborts ? .good : .check(.mediumRemovalPrevented)))
    }

    @Test("A reset does not bring the medium back")
    func ejectedAcrossReset() {
        let rig = rig()
        #expect(rig.initiator.run(Self.eject) == .good)
        rig.initiator.nexus.perform(.logicalUnitReset, lun: .init(0), tag: 0) { _ in }
        _ = rig.initiator.run(CDB.testUnitReady)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.mediumNotPresent))
    }

    @Test("Under another's reservation the medium can be allowed to go, but not kept")
    func reservation() {
        let rig = rig()
        let other = rig.anotherInitiator()
        #expect(ReservationTests.out(other, .register, newKey: 1) == .good)
        #expect(ReservationTests.out(other, .reserve, type: .writeExclusive, key: 1) == .good)
        #expect(rig.initiator.run(Self.prevent) == .reservationConflict)
        #expect(rig.initiator.run(Self.allow) == .good)
        #expect(rig.initiator.run(Self.eject) == .reservationConflict)
    }

    // MARK: - POWER CONDITION

    static let conditions: [(code: UInt8, modifier: UInt8, told: SenseData)] = [
        (1, 0, .noSense), (2, 0, SenseData(.noSense, AdditionalSense(0x5E, 0x03))),
        (2, 1, SenseData(.noSense, AdditionalSense(0x5E, 0x06))),
        (2, 2, SenseData(.noSense, AdditionalSense(0x5E, 0x08))),
        (3, 0, SenseData(.noSense, AdditionalSense(0x5E, 0x04))),
        (3, 1, SenseData(.noSense, AdditionalSense(0x5E, 0x0A))), (7, 0, .noSense),
        (0xA, 0, SenseData(.noSense, AdditionalSense(0x5E, 0x03))),
        (0xB, 0, SenseData(.noSense, AdditionalSense(0x5E, 0x04))),
    ]

    @Test("A power condition is told by REQUEST SENSE until a command for the medium comes", arguments: 0..<9)
    func powerCondition(index: Int) {
        let (code, modifier, told) = Self.conditions[index]
        let rig = rig()
        #expect(rig.initiator.run(Self.stop) == .good)
        // START and LOEJ do not count: nothing is ejected.
        #expect(rig.initiator.run([0x1B, 1, 0, modifier, code << 4 | 0x02, 0]) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == told)
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .noSense)
    }

    @Test("Reserved power conditions change nothing on a removable unit, and are refused on any other")
    func reservedPowerConditions() {
        let rig = rig()
        let fixed = Rig()
        for code in [4, 5, 6, 8, 9, 0xC, 0xD, 0xE, 0xF] as [UInt8] {
            #expect(rig.initiator.run([0x1B, 1, 0, 0, code << 4 | 0x02, 0]) == .good)
            #expect(rig.initiator.run(CDB.testUnitReady) == .good)
            #expect(fixed.initiator.run([0x1B, 0, 0, 0, code << 4, 0]) == .check(.invalidFieldInCDB(byte: 4, bit: 7)))
        }
        for (code, modifier) in [(1, 1), (2, 3), (3, 2), (7, 1), (0xA, 3), (0xB, 2)] as [(UInt8, UInt8)] {
            let ended = rig.initiator.run([0x1B, 0, 0, modifier, code << 4, 0])
            #expect(ended == .check(.invalidFieldInCDB(byte: 3, bit: 3)))
        }
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("READ CAPACITY is answered while the unit is stopped, as it does not touch the medium")
    func capacityOfStopped() {
        let rig = Rig()
        #expect(rig.initiator.run(Self.stop) == .good)
        #expect(rig.initiator.run([0x25] + [UInt8](repeating: 0, count: 9)).status == .good)
        #expect(rig.initiator.run(CDB.read10(0, 1)) == .check(.initializingCommandRequired))
    }

    @Test("Stopped without LOEJ a removable medium is flushed, and starts by itself")
    func stoppedRemovable() {
        let rig = Rig(FakeDevice(features: SampleCommand.features)) { $0.isRemovable = true }
        #expect(rig.initiator.run(Self.stop) == .good)
        #expect(rig.device.operations == [.flush])
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
    }
}
