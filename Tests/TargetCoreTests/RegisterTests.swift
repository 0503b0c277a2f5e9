// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Registering other ports, and moving a reservation")
struct RegisterTests {
    typealias Status = ReserveBytes.Status
    private let a = TwoPorts.nameA
    private let b = TwoPorts.nameB

    // MARK: - ALL_TG_PT

    @Test("ALL_TG_PT registers, changes and unregisters through every port of the unit")
    func allTargetPorts() {
        let scene = TwoPorts()
        let first = scene.initiator(a, port: 1)
        let second = scene.initiator(a, port: 2)
        #expect(ReservationTests.out(first, .register, newKey: 5, flags: 0x04) == .good)
        #expect(
            ReserveBytes.fullStatus(first) == [Status(key: 5, port: 1, name: a), Status(key: 5, port: 2, name: a)])
        // The other port's nexus is registered as if it had done so itself.
        #expect(ReservationTests.out(second, .reserve, type: .writeExclusive, key: 5) == .good)
        #expect(first.run(CDB.write10(0, 0)) == .reservationConflict)
        #expect(ReservationTests.out(first, .register, key: 5, newKey: 6, flags: 0x04) == .good)
        #expect(ReservationTests.out(second, .reserve, type: .writeExclusive, key: 6) == .good)
        #expect(ReservationTests.out(first, .register, key: 6, newKey: 0, flags: 0x04) == .good)
        #expect(ReserveBytes.fullStatus(first).isEmpty)
        #expect(first.run(CDB.write10(0, 0)) == .good)
    }

    @Test("Without ALL_TG_PT each port is registered by itself")
    func onePort() {
        let scene = TwoPorts()
        #expect(ReservationTests.out(scene.initiator(a, port: 2), .register, newKey: 5) == .good)
        #expect(ReserveBytes.fullStatus(scene.initiator(b, port: 1)) == [Status(key: 5, port: 2, name: a)])
    }

    @Test("ALL_TG_PT conflicts, and does nothing, where the other port has another key; ignoring keys it does not")
    func otherKeyElsewhere() {
        let scene = TwoPorts()
        let first = scene.initiator(a, port: 1)
        #expect(ReservationTests.out(scene.initiator(a, port: 2), .register, newKey: 7) == .good)
        #expect(ReservationTests.out(first, .register, newKey: 5, flags: 0x04) == .reservationConflict)
        #expect(ReserveBytes.fullStatus(first) == [Status(key: 7, port: 2, name: a)])
        #expect(ReservationTests.out(first, .registerAndIgnore, newKey: 5, flags: 0x04) == .good)
        #expect(ReserveBytes.fullStatus(first).map(\.key) == [5, 5])
    }

    // MARK: - SPEC_I_PT

    @Test("SPEC_I_PT registers the ports that are named, however their ISID is written")
    func specifiedPorts() {
        let scene = TwoPorts()
        let first = scene.initiator(a, port: 1)
        let names = ["iqn.2026-11.org.example:b,i,0x23D00000B", "iqn.2026-11.org.example:c,i,0x000000000003"]
        #expect(ReserveBytes.run(first, 0, ReserveBytes.specifying(names, newKey: 5)) == .good)
        let expected = [a, b, names[1]].map { Status(key: 5, port: 1, name: $0) }
        #expect(ReserveBytes.fullStatus(first) == expected)
        #expect(ReservationTests.out(scene.initiator(b, port: 1), .reserve, type: .exclusiveAccess, key: 5) == .good)
    }

    @Test("SPEC_I_PT and ALL_TG_PT together register every port at every port; who is registered stays so")
    func specifiedPortsEverywhere() {
        let scene = TwoPorts()
        let first = scene.initiator(a, port: 1)
        #expect(ReservationTests.out(scene.initiator(b, port: 2), .register, newKey: 9) == .good)
        #expect(ReserveBytes.run(first, 0, ReserveBytes.specifying([b], newKey: 5, flags: 0x04)) == .good)
        #expect(
            ReserveBytes.fullStatus(first) == [
                Status(key: 9, port: 2, name: b), Status(key: 5, port: 1, name: a), Status(key: 5, port: 2, name: a),
                Status(key: 5, port: 1, name: b),
            ])
    }

    @Test("SPEC_I_PT is refused, with nothing registered, where it cannot be kept")
    func wrongSpecifiedPorts() {
        let scene = TwoPorts()
        let first = scene.initiator(a, port: 1)
        func register(_ names: [String], key: UInt64 = 0, action: UInt8 = 0) -> Ended {
            ReserveBytes.run(first, action, ReserveBytes.specifying(names, key: key, newKey: 5))
        }
        // The name of a device, and ISIDs that are none, by where their TransportID begins.
        let after = 28 + ReserveBytes.transportID(b).count
        #expect(register(["iqn.2026-11.org.example:b"]) == .check(.invalidFieldInParameterList(byte: 28)))
        #expect(register([b, "iqn.b,i,0x"]) == .check(.invalidFieldInParameterList(byte: after)))
        #expect(register([b, "iqn.b,i,0x0000000000001"]) == .check(.invalidFieldInParameterList(byte: after)))
        #expect(register([b, "iqn.b,i,0xxyz"]) == .check(.invalidFieldInParameterList(byte: after)))
        #expect(register([b], key: 1) == .reservationConflict)
        #expect(register([b], action: 6) == .check(.invalidFieldInParameterList(byte: 20, bit: 3)))
        #expect(ReserveBytes.fullStatus(first).isEmpty)
        // Who is registered already does not register others.
        #expect(ReservationTests.out(first, .register, newKey: 5) == .good)
        #expect(register([b], key: 5) == .check(.invalidFieldInCDB))
        #expect(ReserveBytes.fullStatus(first).map(\.name) == [a])
    }

    @Test("More registrations than the limit are refused together")
    func limit() {
        let first = TwoPorts().initiator(a, port: 1)
        var count = 0
        for group in 0..<9 {
            let other = group == 0 ? first : Initiator(first.nexus.target, name: "iqn.z\(group),i,0x000000000001")
            let names = (0..<127).map { "iqn.x\(group),i,0x\($0)" }
            let ended = ReserveBytes.run(other, 0, ReserveBytes.specifying(names, newKey: 5))
            #expect(ended == (group < 8 ? .good : .check(.insufficientRegistrationResources)))
            if ended == .good { count += 128 }
        }
        #expect(count == TargetLimits.registrationCount)
        #expect(ReservationTests.keys(first).isEmpty == false)
    }

    // MARK: - REGISTER AND MOVE

    private func holding(_ type: ReservationType = .writeExclusive) -> (scene: TwoPorts, holder: Initiator) {
        let scene = TwoPorts()
        let holder = scene.initiator(a, port: 1)
        #expect(ReservationTests.out(holder, .register, newKey: 1) == .good)
        #expect(ReservationTests.out(holder, .reserve, type: type, key: 1) == .good)
        return (scene, holder)
    }

    @Test("REGISTER AND MOVE makes another nexus the holder, on whatever port, and tells nobody", arguments: [0, 0x02])
    func move(flags: UInt8) {
        let (scene, holder) = holding()
        let other = scene.initiator(b, port: 2)
        let list = ReserveBytes.move(to: b, port: 2, key: 1, newKey: 2, flags: flags)
        #expect(ReserveBytes.run(holder, 7, list) == .good)
        let moved = Status(key: 2, port: 2, name: b, isHolder: true)
        #expect(
            ReserveBytes.fullStatus(holder) == (flags == 0 ? [Status(key: 1, port: 1, name: a), moved] : [moved]))
        #expect(holder.run(CDB.write10(0, 0)) == .reservationConflict)
        #expect(other.run(CDB.write10(0, 0)) == .good)
        #expect(holder.run(CDB.testUnitReady) == .good)
        #expect(Array(holder.run(ReservationTests.inCDB(1)).data[0..<4]) == [0, 0, 0, 2])
    }

    @Test("The new holder's key is replaced where it is registered")
    func moveToRegistrant() {
        let (scene, holder) = holding(.exclusiveAccessRegistrantsOnly)
        #expect(ReservationTests.out(scene.initiator(b, port: 1), .register, newKey: 8) == .good)
        #expect(ReserveBytes.run(holder, 7, ReserveBytes.move(to: b, key: 1, newKey: 2)) == .good)
        #expect(
            ReserveBytes.fullStatus(holder) == [
                Status(key: 1, port: 1, name: a), Status(key: 2, port: 1, name: b, isHolder: true),
            ])
    }

    @Test("REGISTER AND MOVE is refused, with nothing changed, where the standard says so")
    func wrongMove() {
        let (scene, holder) = holding()
        let other = scene.initiator(b, port: 1)
        #expect(ReservationTests.out(other, .register, newKey: 8) == .good)
        let before = ReserveBytes.fullStatus(holder)
        func moved(_ list: [UInt8], by initiator: Initiator? = nil) -> Ended {
            ReserveBytes.run(initiator ?? holder, 7, list)
        }
        #expect(moved(ReserveBytes.move(to: b, key: 9, newKey: 2)) == .reservationConflict)
        #expect(moved(ReserveBytes.move(to: a, key: 8, newKey: 2), by: other) == .reservationConflict)
        let zeroKey = ReserveBytes.move(to: b, key: 1, newKey: 0)
        #expect(moved(zeroKey) == .check(.invalidFieldInParameterList(byte: 8)))
        let itself = ReserveBytes.move(to: a, key: 1, newKey: 2)
        #expect(moved(itself) == .check(.invalidFieldInParameterList(byte: 24)))
        let device = ReserveBytes.move(to: "iqn.2026-11.org.example:b", key: 1, newKey: 2)
        #expect(moved(device) == .check(.invalidFieldInParameterList(byte: 24)))
        let noPort = ReserveBytes.move(to: b, port: 3, key: 1, newKey: 2)
        #expect(moved(noPort) == .check(.invalidFieldInParameterList(byte: 18)))
        let durable = ReserveBytes.move(to: b, key: 1, newKey: 2, flags: 0x01)
        #expect(moved(durable) == .check(.invalidFieldInParameterList(byte: 17, bit: 0)))
        let short = Array(ReserveBytes.move(to: b, key: 1, newKey: 2).dropLast())
        #expect(moved(short) == .check(.parameterListLengthError))
        #expect(ReserveBytes.fullStatus(holder) == before)
    }

    @Test("There must be a reservation to move, and one of one holder")
    func nothingToMove() {
        let (_, holder) = holding(.writeExclusiveAllRegistrants)
        let list = ReserveBytes.move(to: b, key: 1, newKey: 2)
        #expect(ReserveBytes.run(holder, 7, list) == .check(.invalidFieldInCDB))
        #expect(ReservationTests.out(holder, .release, type: .writeExclusiveAllRegistrants, key: 1) == .good)
        #expect(ReserveBytes.run(holder, 7, list) == .check(.invalidFieldInCDB))
    }

    // MARK: - RESERVE and RELEASE of registrants

    @Test(
        "RESERVE and RELEASE of those whom a reservation admits are GOOD, and do nothing (CRH)",
        arguments: ReservationType.allCases)
    func compatibleReservationHandling(type: ReservationType) {
        let (scene, holder) = holding(type)
        let registrant = scene.initiator(b, port: 1)
        #expect(ReservationTests.out(registrant, .register, newKey: 8) == .good)
        let stranger = scene.initiator("iqn.c,i,0x000000000001", port: 1)
        let before = ReserveBytes.fullStatus(holder)
        let nine = [UInt8](repeating: 0, count: 9)
        for cdb in [[0x16, 0, 0, 0, 0, 0], [0x17, 0, 0, 0, 0, 0], [0x56] + nine, [0x57] + nine] as [[UInt8]] {
            #expect(holder.run(cdb) == .good)
            #expect(registrant.run(cdb) == (type.admitsRegistrants ? .good : .reservationConflict))
            #expect(stranger.run(cdb) == .reservationConflict)
        }
        #expect(ReserveBytes.fullStatus(holder) == before)
    }
}
