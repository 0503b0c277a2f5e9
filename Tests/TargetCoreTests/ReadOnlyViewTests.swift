// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Read-only views")
struct ReadOnlyViewTests {
    private static let block = [UInt8](repeating: 0xAB, count: 512)
    private static let modeSense6: [UInt8] = [0x1A, 0x08, 0x0A, 0, 255, 0]
    private static let modeSense10: [UInt8] = [0x5A, 0x08, 0x0A, 0, 0, 0, 0, 1, 0, 0]

    private func wp(_ initiator: Initiator) -> [Bool] {
        [initiator.run(Self.modeSense6).data.dropFirst(2), initiator.run(Self.modeSense10).data.dropFirst(3)].map {
            ($0.first ?? 0) & 0x80 != 0
        }
    }

    @Test("WRITE PROTECTED is DATA PROTECT 27h/00h, and is said before any data are asked for")
    func sense() {
        let rig = MapRig()
        let reader = rig.initiator([0: 0], readOnly: [0])
        let task = reader.makeTask(CDB.write10(3, 1), expectedFromInitiator: 512)
        #expect(reader.nexus.accept(task) == .ended)
        #expect(task.status == .checkCondition && task.plan.fromInitiator == 0)
        #expect(task.sense?.key.rawValue == 0x7)
        #expect(task.sense?.additional == AdditionalSense(0x27, 0x00))
        #expect(rig.devices[0].log.isEmpty)
    }

    @Test("WP is set for the nexus of the view, and for no other")
    func modeSense() {
        let rig = MapRig()
        let reader = rig.initiator([0: 0], readOnly: [0])
        let writer = rig.initiator([0: 0], name: MapRig.nameB)
        #expect(wp(reader) == [true, true] && wp(writer) == [false, false])
        #expect(writer.run(CDB.write10(3, 1), Self.block) == .good)
        #expect(reader.run(CDB.read10(3, 1)).data == Self.block)
        #expect(writer.attentions(0).isEmpty && reader.attentions(0).isEmpty)
    }

    @Test("SWP protects a unit of which the view is not read-only, and one of which it is")
    func softwareWriteProtect() {
        let rig = MapRig()
        let reader = rig.initiator([0: 0], readOnly: [0])
        let writer = rig.initiator([0: 0], name: MapRig.nameB)
        #expect(writer.run(Select.cdb, Select.list(writer, swp: true)) == .good)
        #expect(reader.attentions(0) == [.modeParametersChanged])
        #expect(wp(reader) == [true, true] && wp(writer) == [true, true])
        #expect(writer.run(Select.cdb, Select.list(writer, swp: false)) == .good)
        #expect(reader.attentions(0) == [.modeParametersChanged])
        #expect(wp(reader) == [true, true] && wp(writer) == [false, false])
    }

    /// MODE SELECT(6) of the Control mode page.
    private enum Select {
        static let cdb: [UInt8] = [0x15, 0x10, 0, 0, 16, 0]

        static func list(_ initiator: Initiator, swp: Bool) -> [UInt8] {
            var list = initiator.run(modeSense6).data
            list.replaceSubrange(0..<4, with: [0, 0, 0, 0])
            list[4] &= 0x3F
            list[8] = swp ? list[8] | 0x08 : list[8] & ~0x08
            return list
        }
    }

    @Test("Through a read-only view MODE SELECT that changes nothing is GOOD, and one that would is refused")
    func modeSelect() {
        let rig = MapRig(options: { $0.store = FakeStore() })
        let reader = rig.initiator([0: 0], readOnly: [0])
        let writer = rig.initiator([0: 0], name: MapRig.nameB)
        #expect(reader.run(Select.cdb, Select.list(reader, swp: false)) == .good)
        let refused = reader.run(Select.cdb, Select.list(reader, swp: true))
        #expect(refused.sense?.additional == .invalidFieldInParameterList)
        #expect(wp(writer) == [false, false] && writer.attentions(0).isEmpty)
        // SP: nothing is savable there, and is so elsewhere.
        let saving: [UInt8] = [0x15, 0x11, 0, 0, 16, 0]
        #expect(reader.run(saving, Select.list(reader, swp: false)).sense?.additional == .invalidFieldInCDB)
        #expect(writer.run(saving, Select.list(writer, swp: false)) == .good)
    }

    @Test("No parameter is changeable through a read-only view, in any page")
    func changeable() {
        let rig = MapRig(options: { $0.store = FakeStore() })
        let reader = rig.initiator([0: 0], readOnly: [0])
        let writer = rig.initiator([0: 0], name: MapRig.nameB)
        func changeableBits(_ initiator: Initiator) -> Int {
            var data = initiator.run([0x1A, 0x08, 0x40 | 0x0A, 0, 255, 0]).data.dropFirst(6)
            data += initiator.run([0x1A, 0x08, 0x40 | 0x08, 0, 255, 0]).data.dropFirst(6)
            return data.reduce(0) { $0 + $1.nonzeroBitCount }
        }
        #expect(changeableBits(reader) == 0 && changeableBits(writer) > 0)
    }

    @Test("Persistent reservations know no difference")
    func reservations() {
        let rig = MapRig()
        let reader = rig.initiator([0: 0], readOnly: [0])
        let writer = rig.initiator([0: 0], name: MapRig.nameB)
        let register: [UInt8] = [0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0]
        let reserve: [UInt8] = [0x5F, 1, 0x01, 0, 0, 0, 0, 0, 24, 0]
        let rest = [UInt8](repeating: 0, count: 8)
        #expect(reader.run(register, joined(UInt64(0).bytes, UInt64(5).bytes, rest)) == .good)
        #expect(reader.run(reserve, joined(UInt64(5).bytes, UInt64(0).bytes, rest)) == .good)
        #expect(writer.run(CDB.write10(3, 1), Self.block) == .reservationConflict)
        // Reservations are looked at first, as for everybody.
        #expect(reader.run(CDB.write10(3, 1), Self.block) == .check(.writeProtected))
    }

    @Test("A copy cannot write where its nexus may only read, and can read there")
    func copies() {
        let rig = MapRig()
        let initiator = rig.initiator([0: 0, 1: 1], readOnly: [1])
        func copy(from: Int, to: Int) -> Ended {
            let list = ExtendedCopy.list(
                targets: [from, to].map { ExtendedCopy.target("unit-\($0)") },
                segments: [ExtendedCopy.segment(2, from: 3, to: 9, source: 0, destination: 1)])
            // Also when the read-only unit is the one that is told to copy.
            return initiator.run(ExtendedCopy.cdb(list), list, lun: .lun[1])
        }
        let refused = copy(from: 0, to: 1)
        #expect(refused.sense?.key == .copyAborted && refused.sense?.additional == .writeProtected)
        #expect(!rig.devices[1].operations.contains(.write))
        #expect(copy(from: 1, to: 0) == .good)
        let write = Token.write(Token.zero, [(3, 2)])
        #expect(initiator.run(write.cdb, write.list, lun: .lun[1]) == .check(.writeProtected))
    }

    @Test("A store that answers CDBs itself gets none that may write, and WP is shown for it")
    func passthrough() {
        for passthrough in [BlockDeviceFeatures.Passthrough.first, .always] {
            var features = BlockDeviceFeatures()
            features.passthrough = passthrough
            let device = FakeDevice(features: features)
            device.answersPassthrough = { request in
                for index in request.buffer.indices { request.buffer[index] = 0 }
                return .good
            }
            let rig = MapRig([device, FakeDevice(), FakeDevice()])
            let reader = rig.initiator([0: 0], readOnly: [0])
            // WRITE(10), UNMAP, MODE SELECT, and what nobody knows.
            let unmap: [UInt8] = [0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0]
            for cdb in [CDB.write10(3, 1), unmap, [0x15, 0x10, 0, 0, 16, 0], [0xC1, 0, 0, 0, 0, 0]] {
                #expect(reader.run(cdb, [UInt8](repeating: 0, count: 16)) == .check(.writeProtected))
            }
            #expect(device.log.isEmpty)
            let sensed = reader.run(Self.modeSense10, expectedToInitiator: 256)
            #expect(sensed.status == .good && sensed.data[3] == 0x80)
            #expect(device.operations == [.passthrough])
        }
    }
}
