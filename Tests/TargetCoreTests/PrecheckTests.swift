// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("What a command must pass before it runs")
struct PrecheckTests {
    @Test("A number without a logical unit answers INQUIRY, REQUEST SENSE and REPORT LUNS, and refuses the rest")
    func absentUnit() {
        let rig = Rig()
        for lun in [LogicalUnitNumber(1), LogicalUnitNumber(16000), .reportLUNs, .init(rawValue: .max)] {
            let inquiry = rig.initiator.run([0x12, 0, 0, 0, 96, 0], lun: lun)
            #expect(inquiry.status == .good)
            #expect(inquiry.data.first == 0x7F)
            let sense = rig.initiator.run(CDB.requestSense(), lun: lun)
            #expect(sense.status == .good)
            #expect(SenseData(sense.data) == .logicalUnitNotSupported)
            let luns = rig.initiator.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], lun: lun)
            #expect(luns.data == [0, 0, 0, 8] + [UInt8](repeating: 0, count: 12))
            #expect(rig.initiator.run(CDB.testUnitReady, lun: lun) == .check(.logicalUnitNotSupported))
            #expect(rig.initiator.run(CDB.read10(0, 1), lun: lun) == .check(.logicalUnitNotSupported))
        }
    }

    @Test("A unit attention stops everything but INQUIRY, REPORT LUNS and REQUEST SENSE, bad commands included")
    func unitAttentionFirst() {
        for cdb in [CDB.testUnitReady, CDB.read10(5000, 1), [0xFF, 0, 0, 0, 0, 0], [0x12 &+ 1, 0xFF, 0, 0, 0, 0]] {
            let rig = Rig(postsPowerOnAttention: true)
            #expect(rig.initiator.run([0x12, 0, 0, 0, 96, 0]).status == .good)
            #expect(rig.initiator.run([0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).status == .good)
            #expect(rig.initiator.run(cdb) == .check(.powerOnOrReset))
            #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        }
    }

    @Test("REQUEST SENSE returns the unit attention, clears it, and has nothing afterwards", arguments: [false, true])
    func requestSense(descriptor: Bool) {
        let rig = Rig(postsPowerOnAttention: true)
        let first = rig.initiator.run(CDB.requestSense(descriptor: descriptor))
        #expect(first.status == .good)
        #expect(first.data.first == (descriptor ? 0x72 : 0x70))
        #expect(SenseData(first.data) == .powerOnOrReset)
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .noSense)
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
    }

    @Test("Unit attentions are reported by precedence, each once, to each nexus")
    func precedence() {
        let rig = Rig(postsPowerOnAttention: true)
        let other = rig.anotherInitiator()
        rig.unit.capacityChanged()
        rig.unit.capacityChanged()
        for initiator in [rig.initiator, other] {
            #expect(initiator.run(CDB.testUnitReady) == .check(.powerOnOrReset))
            #expect(initiator.run(CDB.testUnitReady) == .check(.capacityDataHasChanged))
            #expect(initiator.run(CDB.testUnitReady) == .good)
        }
    }

    @Test("Operation code, then reserved bits, then reservation, then readiness, then the range")
    func order() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        #expect(other.run([0x16, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.initiator.run([0xFF, 0xFF, 0, 0, 0, 0]) == .check(.invalidCommandOperationCode))
        #expect(rig.initiator.run(CDB.read10(5000, 1, flags: 0x80)) == .check(.invalidFieldInCDB(byte: 1, bit: 7)))
        #expect(rig.initiator.run(CDB.read10(5000, 1)) == .reservationConflict)
        #expect(other.run([0x1B, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.initiator.run(CDB.read10(5000, 1)) == .reservationConflict)
        #expect(other.run([0x17, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.initiator.run(CDB.read10(5000, 1)) == .check(.initializingCommandRequired))
        #expect(rig.initiator.run([0x1B, 0, 0, 0, 1, 0]) == .good)
        #expect(rig.initiator.run(CDB.read10(5000, 1)) == .check(.logicalBlockAddressOutOfRange))
    }

    @Test("A stopped unit tells so, and identifies itself all the same")
    func stopped() {
        let rig = Rig()
        #expect(rig.initiator.run([0x1B, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.initializingCommandRequired))
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .initializingCommandRequired)
        #expect(rig.initiator.run([0x12, 0, 0, 0, 96, 0]).status == .good)
        #expect(rig.initiator.run([0x25] + [UInt8](repeating: 0, count: 9)).status == .good)
    }

    @Test("The ACA attribute is refused")
    func acaAttribute() {
        let ended = Rig().initiator.run(CDB.testUnitReady, attribute: .aca)
        #expect(ended == .check(SenseData(.illegalRequest, .invalidMessageError)))
    }
}
