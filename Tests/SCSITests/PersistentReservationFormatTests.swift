// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct PersistentReservationFormatTests {
    static let reserveIn = PersistentReserveInData(generation: 0x0102_0304)

    @Test("READ KEYS lists every key")
    func readKeys() {
        #expect(written { Self.reserveIn.write(keys: [], to: &$0) } == hex("01 02 03 04 00 00 00 00"))
        #expect(
            written { Self.reserveIn.write(keys: [0x1122_3344_5566_7788, 9], to: &$0) }
                == hex("01 02 03 04 00 00 00 10 11 22 33 44 55 66 77 88 00 00 00 00 00 00 00 09"))
        #expect(isCutOffCleanly { Self.reserveIn.write(keys: [1, 2, 3], to: &$0) })
    }

    @Test("READ RESERVATION tells holder, scope and type, or that there is none")
    func readReservation() {
        #expect(written { Self.reserveIn.write(reservation: nil, to: &$0) } == hex("01 02 03 04 00 00 00 00"))
        #expect(
            written {
                Self.reserveIn.write(reservation: (0x1122_3344_5566_7788, .exclusiveAccessRegistrantsOnly), to: &$0)
            } == hex("01 02 03 04 00 00 00 10 11 22 33 44 55 66 77 88 00 00 00 00 00 06 00 00"))
        #expect(isCutOffCleanly { Self.reserveIn.write(reservation: (1, .writeExclusive), to: &$0) })
    }

    @Test("REPORT CAPABILITIES has a bit for everything")
    func capabilities() {
        var capabilities = ReservationCapabilities()
        #expect(written { capabilities.write(to: &$0) } == hex("00 08 00 80 EA 01 00 00"))
        capabilities.handlesCompatibleReservation = true
        capabilities.canSpecifyInitiatorPorts = true
        capabilities.canSpecifyAllTargetPorts = true
        capabilities.canPersistThroughPowerLoss = true
        capabilities.isPersistingThroughPowerLoss = true
        #expect(written { capabilities.write(to: &$0) } == hex("00 08 1D 81 EA 01 00 00"))
        #expect(isCutOffCleanly { capabilities.write(to: &$0) })
    }

    @Test(
        "each reservation type has its bit in the type mask",
        arguments: [
            (ReservationType.writeExclusive, "02 00"), (.exclusiveAccess, "08 00"),
            (.writeExclusiveRegistrantsOnly, "20 00"), (.exclusiveAccessRegistrantsOnly, "40 00"),
            (.writeExclusiveAllRegistrants, "80 00"), (.exclusiveAccessAllRegistrants, "00 01"),
        ])
    func typeMask(type: ReservationType, mask: String) {
        var capabilities = ReservationCapabilities()
        capabilities.types = [type]
        #expect(Array(written { capabilities.write(to: &$0) }[4...5]) == hex(mask))
    }

    @Test("READ FULL STATUS describes each registered nexus")
    func fullStatus() {
        let port = TransportID(iSCSIName: "iqn.2026-11.org.example:a,i,0x00023d000001")
        let device = TransportID(iSCSIName: "iqn.a")
        let data = written {
            Self.reserveIn.write(
                fullStatus: [
                    RegistrationStatus(
                        key: 0x1122_3344_5566_7788, held: .writeExclusiveAllRegistrants, relativeTargetPort: 1,
                        initiatorPort: port, isForAllTargetPorts: true),
                    RegistrationStatus(key: 9, relativeTargetPort: 2, initiatorPort: device),
                ], to: &$0)
        }
        let portName = Array("iqn.2026-11.org.example:a,i,0x00023d000001".utf8) + [0, 0]
        let first =
            hex("11 22 33 44 55 66 77 88 00 00 00 00 03 07 00 00 00 00 00 01 00 00 00 30 45 00 00 2C") + portName
        let deviceName = Array("iqn.a".utf8) + [UInt8](repeating: 0, count: 15)
        let second =
            hex("00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 00 00 00 00 02 00 00 00 18 05 00 00 14") + deviceName
        #expect(data == hex("01 02 03 04 00 00 00 78") + first + second)
        #expect(
            isCutOffCleanly {
                Self.reserveIn.write(
                    fullStatus: [RegistrationStatus(key: 9, relativeTargetPort: 2, initiatorPort: device)], to: &$0)
            })
    }

    @Test(
        "a TransportID read back is the same",
        arguments: [
            "iqn.a", "iqn.2026-11.org.example:host-with-a-long-name", "eui.02004567A425678D",
            "iqn.2026-11.org.example:a,i,0x00023d000001", "iqn.2026-11.org.ex:é",
        ])
    func transportID(name: String) throws {
        let identifier = TransportID(iSCSIName: name)
        #expect(identifier.isPort == name.contains(",i,0x"))
        let bytes = [0xEE] + written { identifier.write(to: &$0) } + [0xEE]
        let read = try TransportID.read(from: bytes.span.bytes, at: 1)
        #expect(read.0 == identifier)
        #expect(read.byteCount == bytes.count - 2)
        #expect((read.byteCount - 4) % 4 == 0)
    }

    static let name20 = [UInt8]("iqn.2026-11.org.a:bc".utf8.prefix(19)) + [0]

    @Test(
        "a wrong TransportID is refused with the field named",
        arguments: [
            (hex("05 00 00"), .parameterListLengthError),
            (hex("06 00 00 14") + name20, .invalidFieldInParameterList(byte: 0, bit: 3)),
            (hex("00 00 00 14") + name20, .invalidFieldInParameterList(byte: 0, bit: 3)),
            (hex("85 00 00 14") + name20, .invalidFieldInParameterList(byte: 0, bit: 7)),
            (hex("45 00 00 14") + name20, .invalidFieldInParameterList(byte: 0, bit: 7)),
            (hex("05 00 00 10") + name20, .invalidFieldInParameterList(byte: 2)),
            (hex("05 00 00 15") + name20 + [0], .invalidFieldInParameterList(byte: 2)),
            (hex("05 00 FF FC") + name20, .invalidFieldInParameterList(byte: 2)),
            (hex("05 00 00 18") + name20, .parameterListLengthError),
            (hex("05 00 00 14") + [UInt8](repeating: 0x61, count: 20), .invalidFieldInParameterList(byte: 4)),
            (hex("05 00 00 14") + [UInt8](repeating: 0, count: 20), .invalidFieldInParameterList(byte: 4)),
            (
                hex("05 00 00 14") + [0xFF] + [UInt8](repeating: 0, count: 19), .invalidFieldInParameterList(byte: 4)
            ),
            (
                hex("05 00 00 18") + Array("iqn.a,i,0x00023d000001".utf8) + [0, 0],
                .invalidFieldInParameterList(byte: 0, bit: 7)
            ),
        ] as [([UInt8], SenseData)])
    func wrongTransportID(bytes: [UInt8], sense: SenseData) {
        #expect(refusal { () throws(SenseData) in try TransportID.read(from: bytes.span.bytes, at: 0) } == sense)
    }

    static let keys = "00 00 00 00 00 00 00 01 11 22 33 44 55 66 77 88 00 00 00 00 "

    private func reserveOut(
        _ bytes: [UInt8], _ action: PersistentReserveOutServiceAction
    ) throws(SenseData) -> PersistentReserveOutParameterList {
        try PersistentReserveOutParameterList(bytes.span.bytes, serviceAction: action)
    }

    @Test("the parameter list of 24 bytes gives keys and flags", arguments: PersistentReserveOutServiceAction.allCases)
    func parameterList(action: PersistentReserveOutServiceAction) throws {
        let plain = try reserveOut(hex(Self.keys + "00 00 00 00"), action)
        #expect(plain.key == 1)
        #expect(plain.serviceActionKey == 0x1122_3344_5566_7788)
        #expect(!plain.isForAllTargetPorts && !plain.persistsThroughPowerLoss && plain.initiatorPorts == nil)
        #expect(try reserveOut(hex(Self.keys + "04 00 00 00"), action).isForAllTargetPorts)
        #expect(try reserveOut(hex(Self.keys + "01 00 00 00"), action).persistsThroughPowerLoss)
    }

    @Test("SPEC_I_PT brings TransportIDs")
    func specifiedPorts() throws {
        let first = TransportID(iSCSIName: "iqn.2026-11.org.example:a,i,0x00023d000001")
        let second = TransportID(iSCSIName: "iqn.b")
        let identifiers = written { first.write(to: &$0) } + written { second.write(to: &$0) }
        let list = hex(Self.keys + "08 00 00 00") + written { $0.append(UInt32(identifiers.count)) } + identifiers
        #expect(try reserveOut(list, .register).initiatorPorts == [first, second])
        #expect(try reserveOut(hex(Self.keys + "08 00 00 00 00 00 00 00"), .register).initiatorPorts == [])
        for length in 0..<list.count {
            #expect(
                refusal { () throws(SenseData) in
                    try reserveOut(Array(list.prefix(length)), .register)
                } == .parameterListLengthError)
        }
    }

    @Test("a wrong parameter list is refused")
    func wrongParameterList() {
        func refused(_ bytes: [UInt8], _ action: PersistentReserveOutServiceAction = .register) -> SenseData? {
            refusal { () throws(SenseData) in try reserveOut(bytes, action) }
        }
        #expect(refused([]) == .parameterListLengthError)
        #expect(refused(hex(Self.keys + "00 00 00")) == .parameterListLengthError)
        #expect(refused(hex(Self.keys + "00 00 00 00 00")) == .parameterListLengthError)
        #expect(refused(hex(Self.keys + "08 00 00 00")) == .parameterListLengthError)
        #expect(refused(hex(Self.keys + "08 00 00 00 00 00 00 04")) == .parameterListLengthError)
        #expect(refused(hex(Self.keys + "08 00 00 00 FF FF FF FF")) == .parameterListLengthError)
        for action in PersistentReserveOutServiceAction.allCases where action != .register {
            #expect(
                refused(hex(Self.keys + "08 00 00 00 00 00 00 00"), action)
                    == .invalidFieldInParameterList(byte: 20, bit: 3))
        }
        let foreign = hex("06 00 00 14") + Self.name20
        #expect(
            refused(hex(Self.keys + "08 00 00 00 00 00 00 18") + foreign)
                == .invalidFieldInParameterList(byte: 28, bit: 3))
    }

    @Test("more TransportIDs than the limit are refused for want of resources")
    func tooManyPorts() throws {
        let identifier = written { TransportID(iSCSIName: "iqn.a").write(to: &$0) }
        func list(_ count: Int) -> [UInt8] {
            let all = [[UInt8]](repeating: identifier, count: count).flatMap { $0 }
            return hex(Self.keys + "08 00 00 00") + written { $0.append(UInt32(all.count)) } + all
        }
        let limit = PersistentReserveOutParameterList.maximumTransportIDCount
        #expect(try reserveOut(list(limit), .register).initiatorPorts?.count == limit)
        #expect(throws: SenseData.insufficientRegistrationResources) { try reserveOut(list(limit + 1), .register) }
    }

    @Test("REGISTER AND MOVE names the new holder")
    func registerAndMove() throws {
        let identifier = TransportID(iSCSIName: "iqn.2026-11.org.example:a,i,0x00023d000001")
        let bytes = written { identifier.write(to: &$0) }
        let list =
            hex("00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 02 00 03 00 07")
            + written { $0.append(UInt32(bytes.count)) }
            + bytes
        let move = try RegisterAndMoveParameterList(list.span.bytes)
        #expect(move.key == 1 && move.serviceActionKey == 2)
        #expect(move.unregisters && move.persistsThroughPowerLoss)
        #expect(move.relativeTargetPort == 7)
        #expect(move.initiatorPort == identifier)
        for length in 0..<list.count {
            let prefix = Array(list.prefix(length))
            #expect(
                refusal { () throws(SenseData) in
                    try RegisterAndMoveParameterList(prefix.span.bytes)
                } == .parameterListLengthError)
        }
        var two = list + bytes
        two[23] = UInt8(2 * bytes.count)
        #expect(throws: SenseData.parameterListLengthError) { try RegisterAndMoveParameterList(two.span.bytes) }
    }

    @Test("the CDB gives scope, type and list length")
    func request() throws {
        let request = PersistentReserveOutRequest([0x5F, 0x01, 0x05, 0, 0, 0x00, 0x00, 0x01, 0x18, 0])
        #expect(request.parameterListLength == 0x118)
        #expect(try request.checkedType() == .writeExclusiveRegistrantsOnly)
        for type in [0x00, 0x02, 0x04, 0x09, 0x0F] as [UInt8] {
            let reserved = PersistentReserveOutRequest([0x5F, 0x01, type, 0, 0, 0, 0, 0, 0x18, 0])
            #expect(throws: SenseData.invalidFieldInCDB(byte: 2, bit: 3)) { try reserved.checkedType() }
        }
        let element = PersistentReserveOutRequest([0x5F, 0x01, 0x21, 0, 0, 0, 0, 0, 0x18, 0])
        #expect(throws: SenseData.invalidFieldInCDB(byte: 2, bit: 7)) { try element.checkedType() }
    }

    @Test("reservation types know whom they let in")
    func types() {
        #expect(ReservationType.allCases.map(\.rawValue) == [1, 3, 5, 6, 7, 8])
        #expect(ReservationType.allCases.filter(\.isExclusiveAccess).map(\.rawValue) == [3, 6, 8])
        #expect(ReservationType.allCases.filter(\.isAllRegistrants).map(\.rawValue) == [7, 8])
        #expect(ReservationType.allCases.filter(\.admitsRegistrants).map(\.rawValue) == [5, 6, 7, 8])
    }
}
