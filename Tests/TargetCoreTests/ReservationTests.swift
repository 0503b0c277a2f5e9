// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Reservations")
struct ReservationTests {
    static let keyA: UInt64 = 0xAAAA
    static let keyB: UInt64 = 0xBBBB

    enum Action: UInt8 {
        case register, reserve, release, clear, preempt, preemptAndAbort, registerAndIgnore
    }

    @discardableResult
    static func out(
        _ initiator: Initiator, _ action: Action, type: ReservationType? = nil, key: UInt64 = 0, newKey: UInt64 = 0,
        flags: UInt8 = 0
    ) -> Ended {
        let cdb = [0x5F, action.rawValue, type?.rawValue ?? 0, 0, 0, 0, 0, 0, 24, 0]
        return initiator.run(cdb, joined(key.bytes, newKey.bytes, [0, 0, 0, 0, flags, 0, 0, 0]))
    }

    static func keys(_ initiator: Initiator) -> [UInt8] {
        Array(initiator.run([0x5E, 0, 0, 0, 0, 0, 0, 1, 0, 0]).data.dropFirst(8))
    }

    /// A and B registered, and A holding a reservation of `type`.
    private func reserved(_ type: ReservationType, isBRegistered: Bool) -> (rig: Rig, b: Initiator) {
        let rig = SampleCommand.rig()
        let b = rig.anotherInitiator()
        #expect(Self.out(rig.initiator, .register, newKey: Self.keyA) == .good)
        if isBRegistered { #expect(Self.out(b, .register, newKey: Self.keyB) == .good) }
        #expect(Self.out(rig.initiator, .reserve, type: type, key: Self.keyA) == .good)
        return (rig, b)
    }

    /// SPC-4 table 66 and SBC-3 table 13, by command name, for an I_T nexus without access of its own.
    static func isAllowed(_ row: CommandDescriptor, _ type: ReservationType) -> Bool? {
        switch row.name {
        case "INQUIRY", "REPORT LUNS", "REQUEST SENSE", "TEST UNIT READY", "READ CAPACITY(10)", "READ CAPACITY(16)",
            "REPORT TARGET PORT GROUPS", "REPORT IDENTIFYING INFORMATION", "REPORT TIMESTAMP", "LOG SENSE",
            "PREVENT ALLOW MEDIUM REMOVAL":
            true
        case "READ(6)", "READ(10)", "READ(12)", "READ(16)", "VERIFY(10)", "VERIFY(12)", "VERIFY(16)", "MODE SENSE(6)",
            "MODE SENSE(10)", "GET LBA STATUS", "REPORT SUPPORTED OPERATION CODES",
            "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", "READ BUFFER(10)", "READ BUFFER(16)",
            "READ DEFECT DATA(10)", "READ DEFECT DATA(12)", "PRE-FETCH(10)", "PRE-FETCH(16)":
            !type.isExclusiveAccess
        case _ where row.name.hasPrefix("PERSISTENT RESERVE IN"): true
        // They look at the reservation themselves.
        case _ where row.name.hasPrefix("PERSISTENT RESERVE OUT"): nil
        default: false
        }
    }

    @Test("Every row keeps to the standard's table", arguments: SampleCommand.all, ReservationType.allCases)
    func table(sample: SampleCommand, type: ReservationType) throws {
        guard let isAllowed = Self.isAllowed(sample.row, type) else { return }
        let (rig, b) = reserved(type, isBRegistered: false)
        let ended = b.run(sample.cdb, sample.data)
        #expect((ended.status == .reservationConflict) == !isAllowed)
        if !isAllowed { #expect(rig.device.log.isEmpty) }
    }

    @Test("Registrants and holders have access as the type says", arguments: ReservationType.allCases)
    func access(type: ReservationType) {
        let (rig, b) = reserved(type, isBRegistered: true)
        let block = [UInt8](repeating: 0, count: 512)
        #expect(rig.initiator.run(CDB.write10(0, 1), block) == .good)
        let expected: Status = type.admitsRegistrants ? .good : .reservationConflict
        #expect(b.run(CDB.write10(0, 1), block).status == expected)
        #expect(b.run(CDB.read10(0, 1)).status == (type == .writeExclusive ? .good : expected))
    }

    @Test("Starting the unit is allowed to everybody, stopping is not")
    func startStop() {
        let (_, b) = reserved(.exclusiveAccess, isBRegistered: false)
        #expect(b.run([0x1B, 0, 0, 0, 1, 0]) == .good)
        #expect(b.run([0x1B, 0, 0, 0, 0, 0]) == .reservationConflict)
    }

    @Test("Registering needs the right key, and unregistering takes the reservation along")
    func registering() {
        let rig = Rig()
        let b = rig.anotherInitiator()
        #expect(Self.out(rig.initiator, .register, key: 1, newKey: 2) == .reservationConflict)
        #expect(Self.out(rig.initiator, .register, newKey: 2) == .good)
        #expect(Self.out(rig.initiator, .register, key: 1, newKey: 3) == .reservationConflict)
        #expect(Self.out(rig.initiator, .registerAndIgnore, key: 1, newKey: 3) == .good)
        #expect(Self.keys(b) == UInt64(3).bytes)
        #expect(Self.out(rig.initiator, .reserve, type: .writeExclusive, key: 2) == .reservationConflict)
        #expect(Self.out(rig.initiator, .reserve, type: .writeExclusive, key: 3) == .good)
        #expect(b.run(CDB.write10(0, 0)) == .reservationConflict)
        #expect(Self.out(rig.initiator, .register, key: 3, newKey: 0) == .good)
        #expect(b.run(CDB.write10(0, 0)) == .good)
        #expect(Self.keys(b).isEmpty)
    }

    @Test("Only the holder releases, with the type it reserved with", arguments: ReservationType.allCases)
    func releasing(type: ReservationType) {
        let (rig, b) = reserved(type, isBRegistered: true)
        let other: ReservationType = type == .writeExclusive ? .exclusiveAccess : .writeExclusive
        #expect(
            Self.out(rig.initiator, .release, type: other, key: Self.keyA)
                == .check(.invalidReleaseOfPersistentReservation))
        #expect(Self.out(rig.initiator, .release, type: type, key: 1) == .reservationConflict)
        if !type.isAllRegistrants {
            #expect(Self.out(b, .release, type: type, key: Self.keyB) == .good)
            #expect(rig.anotherInitiator("c").run(CDB.write10(0, 0)) == .reservationConflict)
        }
        #expect(Self.out(rig.initiator, .release, type: type, key: Self.keyA) == .good)
        let expected: Ended = type.admitsRegistrants ? .check(.reservationsReleased) : .good
        #expect(b.run(CDB.testUnitReady) == expected)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("A second reservation conflicts, the same again does not")
    func reservingTwice() {
        let (rig, b) = reserved(.writeExclusive, isBRegistered: true)
        #expect(Self.out(b, .reserve, type: .writeExclusive, key: Self.keyB) == .reservationConflict)
        #expect(Self.out(rig.initiator, .reserve, type: .exclusiveAccess, key: Self.keyA) == .reservationConflict)
        #expect(Self.out(rig.initiator, .reserve, type: .writeExclusive, key: Self.keyA) == .good)
    }

    @Test(
        "PREEMPT takes the reservation over and removes the holder's registration",
        arguments: [Action.preempt, .preemptAndAbort])
    func preempting(action: Action) {
        let (rig, b) = reserved(.writeExclusive, isBRegistered: true)
        let tag = b.start(
            [0x5F, action.rawValue, ReservationType.exclusiveAccess.rawValue, 0, 0, 0, 0, 0, 24, 0],
            joined(Self.keyB.bytes, Self.keyA.bytes, .init(repeating: 0, count: 8))
        ).tag
        rig.initiator.loop.turn()
        b.loop.turn()
        #expect(b.port.finished[tag] == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.registrationsPreempted))
        #expect(rig.initiator.run(CDB.read10(0, 1)) == .reservationConflict)
        #expect(Self.keys(b) == Self.keyB.bytes)
    }

    @Test("PREEMPT AND ABORT ends only when the preempted commands have left the store")
    func preemptAndAbort() {
        let (rig, b) = reserved(.writeExclusive, isBRegistered: true)
        rig.device.ending = .deferred
        let victim = rig.initiator.start(CDB.read10(0, 1)).tag
        let tag = b.start(
            [0x5F, Action.preemptAndAbort.rawValue, ReservationType.writeExclusive.rawValue, 0, 0, 0, 0, 0, 24, 0],
            joined(Self.keyB.bytes, Self.keyA.bytes, .init(repeating: 0, count: 8))
        ).tag
        for initiator in [rig.initiator, b, rig.initiator, b] { initiator.loop.turn() }
        #expect(b.port.finished[tag] == nil)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        b.loop.turn()
        #expect(rig.initiator.port.aborted == [victim])
        #expect(b.port.finished[tag] == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.commandsClearedByAnotherInitiator))
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.registrationsPreempted))
    }

    @Test("PREEMPT of a key that nobody has conflicts, of key zero is refused")
    func preemptingNobody() {
        let (rig, _) = reserved(.writeExclusive, isBRegistered: true)
        #expect(
            Self.out(rig.initiator, .preempt, type: .writeExclusive, key: Self.keyA, newKey: 5) == .reservationConflict)
        let ended = Self.out(rig.initiator, .preempt, type: .writeExclusive, key: Self.keyA, newKey: 0)
        #expect(ended == .check(.invalidFieldInParameterList(byte: 8)))
    }

    @Test("CLEAR removes everything and tells the others")
    func clearing() {
        let (rig, b) = reserved(.exclusiveAccess, isBRegistered: true)
        #expect(Self.out(b, .clear, key: 1) == .reservationConflict)
        #expect(Self.out(b, .clear, key: Self.keyB) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.reservationsPreempted))
        #expect(Self.keys(b).isEmpty)
        #expect(b.run(CDB.write10(0, 0)) == .good)
    }

    @Test("What is not supported is refused: APTPL without a store, scopes, types, lengths")
    func refusals() {
        let a = Rig().initiator
        #expect(
            Self.out(a, .register, newKey: 1, flags: 0x01) == .check(.invalidFieldInParameterList(byte: 20, bit: 0)))
        #expect(Self.out(a, .register, newKey: 1, flags: 0x08).status == .checkCondition)
        #expect(Self.keys(a).isEmpty)
        #expect(a.run([0x5F, 1, 0x11, 0, 0, 0, 0, 0, 24, 0]) == .check(.invalidFieldInCDB(byte: 2, bit: 7)))
        #expect(a.run([0x5F, 1, 0x02, 0, 0, 0, 0, 0, 24, 0]) == .check(.invalidFieldInCDB(byte: 2, bit: 3)))
        for length in [0, 23, 25] as [UInt8] {
            let ended = a.run([0x5F, 0, 0, 0, 0, 0, 0, 0, length, 0], [UInt8](repeating: 0, count: Int(length)))
            #expect(ended == .check(.parameterListLengthError))
        }
        #expect(a.run([0x5F, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0]) == .check(.parameterListLengthError))
        #expect(a.run([0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], [0, 0]) == .check(.parameterListLengthError))
    }

    @Test("Registrations survive the nexus, by the names of its ends")
    func survivesLogout() {
        let (rig, _) = reserved(.exclusiveAccess, isBRegistered: false)
        rig.initiator.nexus.close {}
        let stranger = rig.anotherInitiator("c")
        #expect(stranger.run(CDB.read10(0, 1)) == .reservationConflict)
        let again = Initiator(rig.target)
        #expect(again.run(CDB.read10(0, 1)).status == .good)
        let full = again.run([0x5E, 3, 0, 0, 0, 0, 0, 1, 0, 0]).data
        #expect(Array(full[8..<16]) == Self.keyA.bytes)
        #expect(full[20] == 0x01)
        let held = again.run([0x5E, 1, 0, 0, 0, 0, 0, 1, 0, 0]).data
        #expect(Array(held[8..<16]) == Self.keyA.bytes)
    }

    @Test("READ KEYS, READ RESERVATION and READ FULL STATUS tell what is registered and held, to everybody")
    func reports() {
        let (rig, b) = reserved(.exclusiveAccess, isBRegistered: true)
        for initiator in [rig.initiator, b] {
            // READ KEYS: generation, length, then eight bytes a key in the order of registration.
            let keys = initiator.run(Self.inCDB(0)).data
            #expect(keys == joined([0, 0, 0, 2, 0, 0, 0, 16], Self.keyA.bytes, Self.keyB.bytes))
            // READ RESERVATION: the holder's key, then scope and type.
            let held = initiator.run(Self.inCDB(1)).data
            let type = ReservationType.exclusiveAccess.rawValue
            #expect(held == joined([0, 0, 0, 2, 0, 0, 0, 16], Self.keyA.bytes, [0, 0, 0, 0, 0, type, 0, 0]))
            // READ FULL STATUS: a descriptor for each registration, the holder's with R_HOLDER.
            let full = initiator.run(Self.inCDB(3)).data
            #expect(Array(full[8..<16]) == Self.keyA.bytes)
            #expect(full[8 + 12] & 0x01 == 1)
            let next = 8 + 24 + Int(full[8 + 22]) << 8 + Int(full[8 + 23])
            #expect(Array(full[next..<next + 8]) == Self.keyB.bytes)
            #expect(full[next + 12] & 0x01 == 0)
        }
    }

    @Test("REPORT CAPABILITIES claims the six types and no persistence through power loss")
    func capabilities() {
        let data = Rig().initiator.run(Self.inCDB(2)).data
        #expect(Array(data[0..<2]) == [0, 8])
        #expect(data[2] & 0x01 == 0, "PTPL_C")
        #expect(data[3] & 0x80 != 0, "TMV")
        #expect(Array(data[4..<6]) == [0xEA, 0x01])
    }

    @Test("RESERVE(6) and RESERVE(10) are one reservation, which either form of RELEASE ends")
    func reserveForms() {
        let forms: [(reserve: [UInt8], release: [UInt8])] = [
            ([0x16, 0, 0, 0, 0, 0], [0x57] + [UInt8](repeating: 0, count: 9)),
            ([0x56] + [UInt8](repeating: 0, count: 9), [0x17, 0, 0, 0, 0, 0]),
        ]
        for form in forms {
            let rig = Rig()
            let b = rig.anotherInitiator()
            #expect(rig.initiator.run(form.reserve) == .good)
            #expect(b.run(form.reserve) == .reservationConflict)
            // A release by another changes nothing, and is no error.
            #expect(b.run(form.release) == .good)
            #expect(b.run(CDB.read10(0, 1)) == .reservationConflict)
            #expect(rig.initiator.run(form.release) == .good)
            #expect(b.run(CDB.read10(0, 1)).status == .good)
        }
    }

    /// PERSISTENT RESERVE IN with 255 bytes of room.
    static func inCDB(_ serviceAction: UInt8) -> [UInt8] { [0x5E, serviceAction, 0, 0, 0, 0, 0, 0, 0xFF, 0] }

    // MARK: - RESERVE and RELEASE

    @Test("RESERVE keeps others to INQUIRY, REPORT LUNS, REQUEST SENSE and RELEASE", arguments: SampleCommand.all)
    func reserveTable(sample: SampleCommand) {
        let rig = SampleCommand.rig()
        let b = rig.anotherInitiator()
        #expect(rig.initiator.run([0x16, 0, 0, 0, 0, 0]) == .good)
        let passing = ["INQUIRY", "REPORT LUNS", "REQUEST SENSE", "RELEASE(6)", "RELEASE(10)"]
        let ended = b.run(sample.cdb, sample.data)
        #expect((ended.status != .reservationConflict) == passing.contains(sample.row.name))
        #expect(b.run(CDB.read10(0, 1)) == .reservationConflict)
    }

    @Test("RESERVE and registrations exclude each other")
    func exclusion() {
        let rig = Rig()
        #expect(Self.out(rig.initiator, .register, newKey: 1) == .good)
        #expect(rig.initiator.run([0x16, 0, 0, 0, 0, 0]) == .reservationConflict)
        #expect(rig.initiator.run([0x57] + [UInt8](repeating: 0, count: 9)) == .reservationConflict)
    }
}
