// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Mode parameters")
struct ModeTests {
    private func page(_ initiator: Initiator, _ code: UInt8, control: UInt8 = 0) -> [UInt8] {
        let data = initiator.run([0x1A, 0x08, control << 6 | code, 0, 255, 0]).data
        return Array(data.dropFirst(4))
    }

    private func select(_ initiator: Initiator, _ page: [UInt8], flags: UInt8 = 0x10) -> Ended {
        initiator.run([0x15, flags, 0, 0, UInt8(4 + page.count), 0], [0, 0, 0, 0] + page)
    }

    private func volatile() -> Rig { Rig { $0.hasVolatileWriteCache = true } }

    @Test(
        "WCE tells the truth",
        arguments: [
            (false, true, true, false), (true, true, true, true), (true, true, false, false),
            (true, false, false, true),
        ])
    func writeCache(isVolatile: Bool, canFlush: Bool, isConfiguredOn: Bool, expected: Bool) {
        var features = BlockDeviceFeatures()
        features.hasVolatileWriteCache = isVolatile
        features.canFlush = canFlush
        let rig = Rig(FakeDevice(features: features), writeCacheEnabled: isConfiguredOn)
        #expect((page(rig.initiator, 0x08)[2] & 0x04 != 0) == expected)
        #expect((page(rig.initiator, 0x08, control: 1)[2] & 0x04 != 0) == (isVolatile && canFlush))
    }

    @Test("Switching the cache off flushes it, makes writes stable, and is told to the others")
    func switchOff() {
        let rig = volatile()
        let other = rig.anotherInitiator()
        var caching = page(rig.initiator, 0x08)
        caching[2] &= ~0x04
        #expect(select(rig.initiator, caching) == .good)
        #expect(rig.device.operations == [.flush])
        #expect(page(rig.initiator, 0x08)[2] & 0x04 == 0)
        #expect(other.run(CDB.testUnitReady) == .check(.modeParametersChanged))
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        _ = rig.initiator.run(CDB.write10(0, 1), [UInt8](repeating: 0, count: 512))
        #expect(rig.device.operations == [.flush, .write, .flush])
    }

    @Test("Selecting what is there already tells nobody")
    func unchanged() {
        let rig = volatile()
        let other = rig.anotherInitiator()
        #expect(select(rig.initiator, page(rig.initiator, 0x08)) == .good)
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(rig.device.log.isEmpty)
    }

    @Test("SWP write protects the unit, and MODE SENSE says so")
    func softwareWriteProtect() {
        let rig = volatile()
        var control = page(rig.initiator, 0x0A)
        control[4] |= 0x08
        #expect(select(rig.initiator, control) == .good)
        #expect(rig.initiator.run(CDB.write10(0, 1), [1]) == .check(.writeProtected))
        #expect(rig.initiator.run([0x1A, 0x08, 0x0A, 0, 255, 0]).data[2] & 0x80 != 0)
        control[4] &= ~0x08
        #expect(select(rig.initiator, control) == .good)
        #expect(rig.initiator.run(CDB.write10(0, 1), [UInt8](repeating: 0, count: 512)) == .good)
    }

    @Test("The Control mode page says how task sets are kept")
    func control() {
        let control = page(Rig().initiator, 0x0A)
        #expect(control[2] >> 5 == 0b001)
        #expect(control[3] >> 4 == 0b0001)
    }

    @Test("DPOFUA is told where it can be kept")
    func forceUnitAccess() {
        #expect(Rig().initiator.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[2] & 0x10 != 0)
        let rig = Rig {
            $0.hasVolatileWriteCache = true
            $0.canFlush = false
        }
        #expect(rig.initiator.run([0x1A, 0x08, 0x08, 0, 255, 0]).data[2] & 0x10 == 0)
    }

    @Test("Bad requests change nothing and tell nobody")
    func refusals() {
        let rig = volatile()
        let other = rig.anotherInitiator()
        let caching = page(rig.initiator, 0x08)
        var unchangeable = caching
        unchangeable[12] = 1
        #expect(select(rig.initiator, unchangeable) == .check(.invalidFieldInParameterList(byte: 16, bit: 0)))
        #expect(select(rig.initiator, caching, flags: 0x11) == .check(.invalidFieldInCDB(byte: 1, bit: 0)))
        #expect(rig.initiator.run([0x15, 0x10, 0, 0, 24, 0], [0, 0]) == .check(.parameterListLengthError))
        #expect(rig.initiator.run([0x15, 0x10, 0, 0, 3, 0], [0, 0, 0]) == .check(.parameterListLengthError))
        #expect(rig.initiator.run([0x1A, 0, 0xC8, 0, 255, 0]) == .check(.savingParametersNotSupported))
        #expect(rig.initiator.run([0x1A, 0, 0x05, 0, 255, 0]) == .check(.invalidFieldInCDB(byte: 2, bit: 5)))
        #expect(rig.initiator.run([0x15, 0x10, 0, 0, 0, 0]) == .good)
        #expect(page(rig.initiator, 0x08) == caching)
        #expect(other.run(CDB.testUnitReady) == .good)
    }
}
