// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Stores that look at CDBs themselves")
struct PassthroughTests {
    private func rig(_ passthrough: BlockDeviceFeatures.Passthrough) -> Rig { Rig { $0.passthrough = passthrough } }

    @Test("What the store leaves is done by the core", arguments: SampleCommand.all)
    func notHandled(sample: SampleCommand) {
        var features = SampleCommand.features
        let plain = SampleCommand.rig(features).initiator.run(sample.cdb, sample.data)
        features.passthrough = .first
        let rig = SampleCommand.rig(features)
        #expect(rig.initiator.run(sample.cdb, sample.data) == plain)
    }

    @Test(
        "A command that only the store knows moves what the transport expects",
        arguments: [BlockDeviceFeatures.Passthrough.first, .always])
    func foreign(passthrough: BlockDeviceFeatures.Passthrough) {
        let rig = rig(passthrough)
        rig.device.answersPassthrough = { request in
            #expect(request.cdb.opcode == 0xC1)
            for index in request.buffer.indices { request.buffer[index] = 0x42 }
            request.transferredByteCount = 5
            return .good
        }
        let ended = rig.initiator.run([0xC1, 1, 2, 3, 4, 5], expectedToInitiator: 16)
        #expect(ended == Ended(status: .good, sense: nil, data: [UInt8](repeating: 0x42, count: 5)))
    }

    @Test(
        "A store that claims to have moved more than there is room for is not believed", arguments: [-1, 17, Int.max])
    func overclaim(count: Int) {
        let rig = rig(.always)
        rig.device.answersPassthrough = { request in
            request.transferredByteCount = count
            return .good
        }
        let ended = rig.initiator.run([0xC1, 1, 2, 3, 4, 5], expectedToInitiator: 16)
        #expect(ended.status == .good && ended.data.count <= 16)
    }

    @Test("The store's own sense data go to the initiator, and nonsense does not")
    func storeSense() {
        let rig = rig(.always)
        let sense = SenseData.mediumNotPresent.encode(descriptor: false)
        rig.device.answersPassthrough = { request in
            request.storeSense = sense
            return .failedWithStoreSense
        }
        #expect(rig.initiator.run([0xC1, 0, 0, 0, 0, 0]) == Ended(status: .checkCondition, sense: nil))
        #expect(rig.initiator.port.storeSense[1] == sense)
        rig.device.answersPassthrough = { request in
            request.storeSense = [UInt8](repeating: 0, count: 18)
            return .failedWithStoreSense
        }
        #expect(rig.initiator.run([0xC1, 0, 0, 0, 0, 0]) == .check(.internalTargetFailure))
    }

    @Test(
        "What neither knows is an invalid operation code", arguments: [BlockDeviceFeatures.Passthrough.first, .always])
    func unknown(passthrough: BlockDeviceFeatures.Passthrough) {
        #expect(rig(passthrough).initiator.run([0xC1, 0, 0, 0, 0, 0]) == .check(.invalidCommandOperationCode))
    }

    @Test("REPORT LUNS, reservations and pending unit attentions stay the core's")
    func ownedByCore() {
        let rig = rig(.always)
        rig.device.answersPassthrough = { _ in .good }
        #expect(rig.initiator.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).status == .good)
        #expect(ReservationTests.out(rig.initiator, .register, newKey: 1) == .good)
        #expect(ReservationTests.out(rig.initiator, .reserve, type: .exclusiveAccess, key: 1) == .good)
        #expect(rig.device.log.isEmpty)
        let b = rig.anotherInitiator()
        #expect(b.run([0xC1, 0, 0, 0, 0, 0]) == .reservationConflict)
        rig.unit.capacityChanged()
        #expect(SenseData(b.run(CDB.requestSense()).data) == .capacityDataHasChanged)
        #expect(rig.device.log.isEmpty)
    }

    @Test("A write protected unit shows the store no writing command that the core knows")
    func writeProtected() {
        let rig = Rig {
            $0.passthrough = .first
            $0.isReadOnly = true
        }
        #expect(rig.initiator.run(CDB.write10(0, 1), [1]) == .check(.writeProtected))
        #expect(rig.device.log.isEmpty)
    }

    private static func bytes(_ request: BlockRequest, _ count: Int) -> [UInt8] { (0..<count).map { request.cdb[$0] } }

    private static func read10(_ count: UInt8) -> [UInt8] { [0x28, 0, 0, 0, 0, 0, 0, 0, count, 0] }

    @Test(
        "A store with block commands gets memory for what the CDB says, whatever the transport announced",
        arguments: [UInt8(0x00), 0x05, 0x07, 0x0E, 0x14])
    func exactMemory(deviceType: UInt8) {
        let rig = Rig {
            $0.passthrough = .always
            $0.peripheralDeviceType = deviceType
        }
        let blockByteCount = rig.device.blockByteCount
        for expected in [1, blockByteCount, 2 * blockByteCount, 9 * blockByteCount] {
            rig.device.answersPassthrough = { request in
                #expect(request.buffer.count == 2 * blockByteCount)
                return .good
            }
            #expect(rig.initiator.run(Self.read10(2), expectedToInitiator: expected).status == .good)
        }
        rig.device.answersPassthrough = { request in
            #expect(request.buffer.count == 0)
            return .good
        }
        #expect(rig.initiator.run(Self.read10(0), expectedToInitiator: blockByteCount).status == .good)
        let seen = rig.device.log.count
        // Less data than the CDB speaks of, or more blocks than one transfer takes.
        #expect(rig.initiator.run(CDB.write10(0, 2), [UInt8](repeating: 1, count: blockByteCount)).status != .good)
        #expect(
            rig.initiator.run([0xA8, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0], expectedToInitiator: 512).status != .good)
        #expect(rig.device.log.count == seen)
    }

    @Test("A VERIFY that compares nothing is shown as a READ, with memory that nobody else sees")
    func verifyWithoutData() {
        let rig = Rig {
            $0.passthrough = .always
            $0.peripheralDeviceType = 5
        }
        let byteCount = 3 * rig.device.blockByteCount
        rig.device.answersPassthrough = { request in
            #expect(Self.bytes(request, 10) == [0x28, 0, 0, 0, 0, 7, 0, 0, 3, 0] && request.buffer.count == byteCount)
            return .good
        }
        #expect(rig.initiator.run([0x2F, 0, 0, 0, 0, 7, 0, 0, 3, 0]) == Ended(status: .good, sense: nil))
        rig.device.answersPassthrough = { request in
            #expect(Self.bytes(request, 10) == [0x2F, 2, 0, 0, 0, 7, 0, 0, 3, 0] && request.buffer.count == byteCount)
            return .good
        }
        let data = [UInt8](repeating: 1, count: byteCount)
        #expect(rig.initiator.run([0x2F, 2, 0, 0, 0, 7, 0, 0, 3, 0], data).status == .good)
    }

    @Test("READ(6) of 256 blocks is shown in the form that says so", arguments: [UInt8(0x08), 0x0A])
    func sixByte(opcode: UInt8) {
        let rig = Rig {
            $0.passthrough = .always
            $0.peripheralDeviceType = 0
        }
        let byteCount = 256 * rig.device.blockByteCount
        rig.device.answersPassthrough = { request in
            let expected: CommandDescriptorBlock = [opcode | 0x20, 0, 0, 0x12, 0x34, 0x56, 0, 1, 0, 0]
            #expect(request.cdb == expected && request.buffer.count == byteCount)
            return .good
        }
        let data = opcode == 0x0A ? [UInt8](repeating: 1, count: byteCount) : []
        let ended = rig.initiator.run(
            [opcode, 0x12, 0x34, 0x56, 0, 0], data, expectedToInitiator: opcode == 0x08 ? byteCount : 0)
        #expect(ended.status == .good)
    }

    @Test(
        "Where READ may mean anything the transport's length counts: a tape, a changer, a type that is not known",
        arguments: [UInt8(0x01), 0x08, nil])
    func otherTypes(deviceType: UInt8?) {
        let rig = Rig {
            $0.passthrough = .always
            $0.peripheralDeviceType = deviceType
        }
        rig.device.answersPassthrough = { request in
            #expect(Self.bytes(request, 6) == [0x08, 1, 0, 0, 0, 0] && request.buffer.count == 700)
            return .good
        }
        #expect(rig.initiator.run([0x08, 1, 0, 0, 0, 0], expectedToInitiator: 700).data.count == 700)
    }

    @Test("ALLOCATION LENGTH cuts what every device type answers", arguments: [UInt8(0x01), 0x05])
    func allocationLength(deviceType: UInt8) {
        let rig = Rig {
            $0.passthrough = .always
            $0.peripheralDeviceType = deviceType
        }
        rig.device.answersPassthrough = { request in
            #expect(request.buffer.count == 20)
            return .good
        }
        for cdb in [[0x12, 0, 0, 0, 20, 0], [0x1A, 0, 0x3F, 0, 20, 0], [0x5A, 0, 0x3F, 0, 0, 0, 0, 0, 20, 0]]
            as [[UInt8]]
        {
            #expect(rig.initiator.run(cdb, expectedToInitiator: 255).data.count == 20)
        }
    }
}
