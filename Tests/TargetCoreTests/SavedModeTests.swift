// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Saved mode pages")
struct SavedModeTests {
    private static let saves: UInt8 = 0x11
    private static let writeCache: UInt8 = 0x04

    private func page(_ initiator: Initiator, _ code: UInt8, control: UInt8 = 0) -> [UInt8] {
        Array(initiator.run([0x1A, 0x08, control << 6 | code, 0, 255, 0]).data.dropFirst(4))
    }

    /// `page` as MODE SENSE gave it: PS is reserved here.
    private func select(_ initiator: Initiator, _ page: [UInt8], flags: UInt8) -> Ended {
        let page = [page[0] & 0x7F] + page.dropFirst()
        return initiator.run([0x15, flags, 0, 0, UInt8(4 + page.count), 0], [0, 0, 0, 0] + page)
    }

    private func cacheOff(_ initiator: Initiator, flags: UInt8 = saves) -> Ended {
        var caching = page(initiator, 0x08)
        caching[2] &= ~Self.writeCache
        return select(initiator, caching, flags: flags)
    }

    @Test("PS is set where something of the page can change, and a store is there", arguments: [0, 1, 2, 3])
    func parametersSavable(control: UInt8) {
        let initiator = Rig(FakeStore()).initiator
        for (code, isSavable) in [(0x01, false), (0x08, true), (0x0A, true), (0x1C, false)] as [(UInt8, Bool)] {
            let page = page(initiator, code, control: control)
            #expect(page[0] == code | (isSavable ? 0x80 : 0))
        }
        #expect(page(Rig().initiator, 0x0A)[0] == 0x0A)
    }

    @Test("Without a store saving is refused, saved values as well")
    func withoutStore() {
        let initiator = Rig { $0.hasVolatileWriteCache = true }.initiator
        #expect(cacheOff(initiator) == .check(.invalidFieldInCDB(byte: 1, bit: 0)))
        #expect(initiator.run([0x1A, 0, 0xC8, 0, 255, 0]) == .check(.savingParametersNotSupported))
        #expect(initiator.run([0x5A, 0, 0xFF, 0, 0, 0, 0, 1, 0, 0]) == .check(.savingParametersNotSupported))
    }

    @Test("SP saves before the status, then the cache is flushed; saved values are told, and are back after a restart")
    func saving() {
        let store = FakeStore()
        let rig = Rig(store)
        let other = rig.anotherInitiator()
        #expect(page(other, 0x08, control: 3)[2] & Self.writeCache != 0, "the default, while nothing is saved")
        var caching = page(rig.initiator, 0x08)
        caching[2] &= ~Self.writeCache
        caching[0] &= 0x7F
        store.isDeferred = true
        let tag = rig.initiator.start([0x15, Self.saves, 0, 0, 24, 0], [0, 0, 0, 0] + caching).tag
        #expect(rig.initiator.port.finished[tag] == nil)
        #expect(page(other, 0x08)[2] & Self.writeCache != 0, "nobody sees it before it is saved")
        #expect(rig.device.log.isEmpty)
        store.endSave()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[tag] == .good)
        #expect(rig.device.operations == [.flush])
        #expect(other.run(CDB.testUnitReady) == .check(.modeParametersChanged))
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(page(other, 0x08, control: 3)[2] & Self.writeCache == 0)
        #expect(page(other, 0x08, control: 2)[2] & Self.writeCache != 0, "the default stays")

        let later = Rig(FakeStore(store.saved))
        #expect(page(later.initiator, 0x08)[2] & Self.writeCache == 0)
        #expect(page(later.initiator, 0x08, control: 3)[2] & Self.writeCache == 0)
    }

    @Test("SP saves all pages that can be saved, also what was current before, and with an empty list")
    func savesAll() {
        let store = FakeStore()
        let rig = Rig(store)
        var control = page(rig.initiator, 0x0A)
        control[4] |= 0x08  // SWP
        #expect(select(rig.initiator, control, flags: 0x10) == .good)
        #expect(store.saved.modePages == nil)
        #expect(rig.initiator.run([0x15, Self.saves, 0, 0, 0, 0]) == .good)
        #expect(store.saved.modePages?.map(\.code) == [0x08, 0x0A])
        #expect(page(Rig(FakeStore(store.saved)).initiator, 0x0A)[4] & 0x08 != 0)
    }

    @Test("A reset brings back saved values, or defaults where there are none", arguments: [false, true])
    func reset(isSaved: Bool) {
        let rig = Rig(FakeStore())
        if isSaved { #expect(cacheOff(rig.initiator) == .good) }
        var caching = page(rig.initiator, 0x08)
        caching[2] ^= Self.writeCache
        #expect(select(rig.initiator, caching, flags: 0x10) == .good)
        var answer: TaskManagementResponse?
        rig.initiator.nexus.perform(.logicalUnitReset, lun: .init(0), tag: 0) { answer = $0 }
        rig.initiator.loop.turn()
        #expect(answer == .functionComplete)
        _ = rig.initiator.run(CDB.testUnitReady)
        #expect((page(rig.initiator, 0x08)[2] & Self.writeCache == 0) == isSaved)
    }

    @Test("A save that fails changes nothing and tells nobody")
    func failedSave() {
        let store = FakeStore()
        let rig = Rig(store)
        let other = rig.anotherInitiator()
        store.fails = true
        #expect(cacheOff(rig.initiator) == .check(.internalTargetFailure))
        #expect(page(rig.initiator, 0x08)[2] & Self.writeCache != 0)
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(rig.device.log.isEmpty)
        store.fails = false
        #expect(cacheOff(rig.initiator) == .good)
    }

    @Test("Saved bits that cannot change on this unit are left alone")
    func otherUnit() {
        let store = FakeStore()
        #expect(cacheOff(Rig(store).initiator) == .good)
        // The same file over a device whose cache cannot be switched, and with a page of another length.
        var state = store.saved
        state.modePages?.append(SavedModePage(code: 0x1C, subpage: 0, bytes: [0x1C, 1, 0xFF]))
        let later = Rig(FakeDevice()) { $0.store = FakeStore(state) }
        #expect(page(later.initiator, 0x08)[2] & Self.writeCache == 0, "no cache")
        #expect(page(later.initiator, 0x1C, control: 3).count == 12)
    }
}
