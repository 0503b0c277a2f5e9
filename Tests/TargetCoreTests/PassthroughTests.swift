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
        let plain = Rig(FakeDevice(features: features)).initiator.run(sample.cdb, sample.data)
        features.passthrough = .first
        let rig = Rig(FakeDevice(features: features))
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
}
