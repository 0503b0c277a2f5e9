// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("The reservation matrix")
struct ReservationMatrixTests {
    /// Who sends the command, while another holds the reservation, or holds it itself.
    enum Sender: CaseIterable {
        case holder, registrant, stranger
    }

    static let names: [Sender: String] = [
        .holder: "iqn.2026-11.org.example:a,i,0x000000000001",
        .registrant: "iqn.2026-11.org.example:b,i,0x000000000002",
        .stranger: "iqn.2026-11.org.example:c,i,0x000000000003",
    ]
    static let keys: [Sender: UInt64] = [.holder: 0xAAAA, .registrant: 0xBBBB, .stranger: 0]

    /// A unit with the holder and the registrant registered, and the holder holding a reservation of `type`.
    struct Scene {
        let rig: Rig
        private let initiators: [Sender: Initiator]

        /// `rig`: a unit that does the command in question.
        init(_ type: ReservationType, _ rig: Rig = SampleCommand.rig()) {
            self.rig = rig
            let target = rig.target
            initiators = ReservationMatrixTests.names.mapValues { Initiator(target, name: $0) }
            for sender in [Sender.holder, .registrant] {
                let ended = ReservationTests.out(self[sender], .register, newKey: ReservationMatrixTests.keys[sender]!)
                #expect(ended == .good)
            }
            let key = ReservationMatrixTests.keys[.holder]!
            #expect(ReservationTests.out(self[.holder], .reserve, type: type, key: key) == .good)
        }

        subscript(_ sender: Sender) -> Initiator { initiators[sender]! }

        /// Runs a command to its end; some wait for what other nexuses do on their loops.
        func run(_ sender: Sender, _ cdb: [UInt8], _ data: [UInt8] = []) -> Ended {
            let started = self[sender].start(cdb, data)
            if let ended = started.ended { return ended }
            let loops = initiators.values.map(\.loop)
            for _ in 0..<100 where self[sender].port.finished[started.tag] == nil { for loop in loops { loop.turn() } }
            return self[sender].port.finished[started.tag] ?? .check(.internalTargetFailure)
        }
    }

    /// Whether the standard's table has the command end with RESERVATION CONFLICT.
    static func conflicts(_ columns: String, _ type: ReservationType, _ sender: Sender) -> Bool {
        let column: Int
        switch (sender, type) {
        case (.holder, _): return false
        case (_, .writeExclusive): column = 0
        case (_, .exclusiveAccess): column = 1
        case (.registrant, _): column = 2
        case (.stranger, .writeExclusiveRegistrantsOnly), (.stranger, .writeExclusiveAllRegistrants): column = 3
        case (.stranger, .exclusiveAccessRegistrantsOnly), (.stranger, .exclusiveAccessAllRegistrants): column = 4
        }
        return Array(columns)[column] == "C"
    }

    @Test("Every row of the command table keeps to the standard's tables", arguments: SampleCommand.all)
    func rows(sample: SampleCommand) throws {
        let entry = try #require(
            ReservationMatrix.entry(opcode: sample.row.opcode, serviceAction: sample.row.serviceAction),
            "type in what the standard says of this command")
        guard let columns = entry.columns else { return }
        for type in ReservationType.allCases {
            for sender in Sender.allCases {
                let scene = Scene(type, sample.rig())
                let ended = scene.run(sender, sample.cdb, sample.data)
                let mustConflict = Self.conflicts(columns, type, sender)
                #expect((ended.status == .reservationConflict) == mustConflict, "\(type), \(sender)")
                if mustConflict { #expect(scene.rig.device.log.isEmpty) }
            }
        }
    }

    @Test("Commands that the tables split keep to them, too", arguments: ReservationMatrix.variants.indices)
    func variants(index: Int) {
        let variant = ReservationMatrix.variants[index]
        guard CommandTable.directAccess.rows.contains(where: { $0.opcode == variant.cdb[0] }) else { return }
        for type in ReservationType.allCases {
            for sender in Sender.allCases {
                let ended = Scene(type).run(sender, variant.cdb)
                let mustConflict = Self.conflicts(variant.columns, type, sender)
                // What a unit refuses for another reason tells nothing of reservations.
                if ended.status == .checkCondition { continue }
                #expect((ended.status == .reservationConflict) == mustConflict, "\(variant.name), \(type), \(sender)")
            }
        }
    }

    // MARK: - PERSISTENT RESERVE OUT

    /// SPC-4 table 67: what a registrant and a stranger may do, with their own key, where another holds the
    /// reservation. Nil: as with the holder, since with an all registrants type a registrant is one.
    static let serviceActions: [(action: UInt8, registrant: Status, stranger: Status)] = [
        (0x00, .good, .good),  // REGISTER
        (0x01, .reservationConflict, .reservationConflict),  // RESERVE
        (0x02, .good, .reservationConflict),  // RELEASE
        (0x03, .good, .reservationConflict),  // CLEAR
        (0x04, .good, .reservationConflict),  // PREEMPT
        (0x05, .good, .reservationConflict),  // PREEMPT AND ABORT
        (0x06, .good, .good),  // REGISTER AND IGNORE EXISTING KEY
        (0x07, .reservationConflict, .reservationConflict),  // REGISTER AND MOVE
    ]

    @Test(
        "The service actions of PERSISTENT RESERVE OUT keep to theirs", arguments: serviceActions.indices,
        ReservationType.allCases)
    func reserveOut(index: Int, type: ReservationType) {
        let (action, registrant, stranger) = Self.serviceActions[index]
        for sender in Sender.allCases {
            let scene = Scene(type)
            let ended = Self.send(action, by: sender, type, scene)
            var expected: Ended
            switch sender {
            case .holder: expected = .good
            case .registrant: expected = Ended(status: registrant, sense: nil)
            case .stranger: expected = Ended(status: stranger, sense: nil)
            }
            if type.isAllRegistrants, sender != .stranger {
                // Every registrant is a holder; a reservation of all cannot be moved to one.
                expected = action == 0x07 ? .check(.invalidFieldInCDB) : .good
            }
            #expect(ended == expected, "\(sender)")
            // Who was refused has changed nothing.
            if expected.status == .reservationConflict {
                let full = scene[.stranger].run(ReservationTests.inCDB(1)).data
                #expect(Array(full[0..<8]) == [0, 0, 0, 2, 0, 0, 0, 16] && full[21] == type.rawValue)
            }
        }
    }

    private static func send(_ action: UInt8, by sender: Sender, _ type: ReservationType, _ scene: Scene) -> Ended {
        let key = keys[sender]!
        let victim: UInt64 = type.isAllRegistrants ? 0 : keys[.holder]!
        let newKey: UInt64 = action == 0x04 || action == 0x05 ? victim : action == 0x07 ? 9 : 7
        var list = joined(key.bytes, newKey.bytes, [0, 0, 0, 0, 0, 0, 0, 0])
        if action == 0x07 {
            let name = Array("iqn.2026-11.org.example:d,i,0x000000000004".utf8)
            list = joined(key.bytes, newKey.bytes, [0, 0, 0, 1, 0, 0, 0, 48, 0x45, 0, 0, 44], name, [0, 0])
        }
        return scene.run(sender, [0x5F, action, type.rawValue, 0, 0, 0, 0, 0, UInt8(list.count), 0], list)
    }

    @Test("REPLACE LOST RESERVATION is refused: nothing is ever lost")
    func replaceLostReservation() {
        let scene = Scene(.writeExclusive)
        let ended = scene[.holder].run([0x5F, 0x08, 0x01, 0, 0, 0, 0, 0, 24, 0], [UInt8](repeating: 0, count: 24))
        #expect(ended == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
    }
}
