// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization
import TargetCore
import Testing

@Suite("Identifying information")
struct IdentifyingInformationTests {
    private func report(_ initiator: Initiator, _ type: UInt8, allocationLength: UInt32 = 1024) -> Ended {
        initiator.run(joined([0xA3, 0x05, 0, 0, 0, 0], allocationLength.bytes, [type << 1, 0]))
    }

    private func set(_ initiator: Initiator, _ type: UInt8, _ data: [UInt8]) -> Ended {
        initiator.run(joined([0xA4, 0x06, 0, 0, 0, 0], UInt32(data.count).bytes, [type << 1, 0]), data)
    }

    private func rig(_ store: FakeStore = FakeStore()) -> Rig { Rig(options: { $0.store = store }) }

    @Test("What was set is reported, told to the others, and there again after a restart")
    func kept() {
        let store = FakeStore()
        let rig = rig(store)
        let other = rig.anotherInitiator()
        #expect(report(rig.initiator, 0).data == [0, 0, 0, 0])
        #expect(set(rig.initiator, 0, [1, 2, 3]) == .good)
        #expect(set(rig.initiator, 2, Array("Käse".utf8) + [0]) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.deviceIdentifierChanged))
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        let again = self.rig(FakeStore(store.saved)).initiator
        #expect(report(again, 0).data == [0, 0, 0, 3, 1, 2, 3])
        #expect(report(again, 2).data == [0, 0, 0, 6] + Array("Käse".utf8) + [0])
        #expect(report(again, 0, allocationLength: 5).data == [0, 0, 0, 3, 1])
        #expect(set(again, 0, []) == .good)
        #expect(report(again, 0).data == [0, 0, 0, 0])
        #expect(report(again, 2).data.count == 10)
    }

    @Test("The types are told with their longest information")
    func types() {
        let data = report(rig().initiator, 0x7F).data
        #expect(data == [0, 0, 0, 8, 0, 0, 2, 0, 4, 0, 1, 0])
    }

    @Test("Types that are not there are refused", arguments: [1, 3, 4, 0x7E] as [UInt8])
    func otherTypes(type: UInt8) {
        let initiator = rig().initiator
        #expect(report(initiator, type) == .check(.invalidFieldInCDB(byte: 10, bit: 7)))
        #expect(set(initiator, type, [1]) == .check(.invalidFieldInCDB(byte: 10, bit: 7)))
    }

    @Test("What is too long, cut off, or no text is refused, and nothing changes")
    func refused() {
        let rig = rig()
        let other = rig.anotherInitiator()
        let long = [UInt8](repeating: 1, count: 513)
        #expect(set(rig.initiator, 0x7F, [1]) == .check(.invalidFieldInCDB(byte: 10, bit: 7)))
        #expect(set(rig.initiator, 0, long) == .check(.invalidFieldInCDB(byte: 6)))
        #expect(set(rig.initiator, 2, Array(long.prefix(257))) == .check(.invalidFieldInCDB(byte: 6)))
        #expect(set(rig.initiator, 2, [0x41, 0x42]) == .check(.invalidFieldInParameterList(byte: 1)))
        #expect(set(rig.initiator, 2, [0xC3, 0x28, 0]) == .check(.invalidFieldInParameterList(byte: 0)))
        let cdb: [UInt8] = [0xA4, 0x06, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]
        #expect(rig.initiator.run(cdb, [1, 2]) == .check(.parameterListLengthError))
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(report(rig.initiator, 0).data == [0, 0, 0, 0])
        #expect(set(rig.initiator, 0, Array(long.dropLast())) == .good)
    }

    @Test("A store that cannot keep it makes the command fail, and nobody is told")
    func failing() {
        let rig = rig(FakeStore(fails: true))
        let other = rig.anotherInitiator()
        #expect(set(rig.initiator, 0, [1]) == .check(.internalTargetFailure))
        #expect(report(rig.initiator, 0).data == [0, 0, 0, 0])
        #expect(other.run(CDB.testUnitReady) == .good)
    }

    @Test("Without a place to keep it there is neither command")
    func unsupported() {
        let initiator = Rig().initiator
        #expect(report(initiator, 0) == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        #expect(set(initiator, 0, [1]) == .check(.invalidCommandOperationCode))
    }
}
