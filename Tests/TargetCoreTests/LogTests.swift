// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Log parameters")
struct LogTests {
    private func sense(_ initiator: Initiator, _ page: UInt8, control: UInt8 = 1, pointer: UInt16 = 0) -> Ended {
        initiator.run(joined([0x4D, 0, control << 6 | page, 0, 0], pointer.bytes, [2, 0, 0]))
    }

    /// The value of a counter of eight bytes.
    private func counter(_ initiator: Initiator, _ page: UInt8, _ parameter: UInt16) -> UInt64? {
        let data = sense(initiator, page, pointer: parameter).data
        guard data.count >= 16, Array(data[4..<6]) == parameter.bytes else { return nil }
        return data[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func select(_ initiator: Initiator, _ flags: UInt8, _ page: UInt8, control: UInt8 = 1, list: [UInt8] = [])
        -> Ended
    {
        initiator.run(joined([0x4C, flags, control << 6 | page, 0, 0, 0, 0], UInt16(list.count).bytes, [0]), list)
    }

    private static let block = [UInt8](repeating: 0, count: 512)

    @Test("Page 00h lists the pages, each of which can be read, and no other can")
    func supported() {
        let initiator = Rig().initiator
        let pages = Array(sense(initiator, 0).data.dropFirst(4))
        #expect(pages == [0x00, 0x02, 0x03, 0x05, 0x06, 0x0E, 0x10, 0x19, 0x2F])
        for page in 0...0x3F as ClosedRange<UInt8> {
            let ended = sense(initiator, page)
            if pages.contains(page) {
                #expect(ended.data.first == (page == 0 ? 0 : 0x80 | page))
            } else {
                #expect(ended == .check(.invalidFieldInCDB(byte: 2, bit: 5)))
            }
        }
    }

    @Test("Reads, writes and verifications are counted in bytes, over all nexuses, also those that have gone")
    func bytes() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        #expect(rig.initiator.run(CDB.read10(0, 3)).status == .good)
        #expect(other.run(CDB.read10(0, 2)).status == .good)
        #expect(rig.initiator.run(CDB.write10(0, 1), Self.block) == .good)
        #expect(rig.initiator.run([0x2F, 0, 0, 0, 0, 0, 0, 0, 4, 0]) == .good)
        #expect(counter(rig.initiator, 0x03, 5) == 5 * 512)
        #expect(counter(rig.initiator, 0x02, 5) == 512)
        #expect(counter(other, 0x05, 5) == 4 * 512)
        other.nexus.close {}
        #expect(counter(rig.initiator, 0x03, 5) == 5 * 512)
        let statistics = sense(rig.initiator, 0x19).data
        #expect(Array(statistics[4..<8]) == [0, 1, 0x23, 64])
        let counts: [UInt64] = [2, 1, 1, 5, 0, 0, 0, 0]
        #expect(Array(statistics[8..<72]) == counts.flatMap(\.bytes))
        #expect(Array(statistics[72...]) == [0, 3, 0x23, 8, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("Errors are counted where they belong")
    func errors() {
        let rig = Rig()
        rig.device.failure = {
            $0 == .write ? .failed(.checkCondition, .writeError()) : .failed(.checkCondition, .unrecoveredReadError())
        }
        _ = rig.initiator.run(CDB.read10(0, 1))
        _ = rig.initiator.run(CDB.write10(0, 1), Self.block)
        _ = rig.initiator.run([0x2F, 0x02, 0, 0, 0, 0, 0, 0, 1, 0], Self.block)
        rig.device.failure = { _ in .failed(.checkCondition, .internalTargetFailure) }
        _ = rig.initiator.run(CDB.read10(0, 1))
        // The initiator's own mistakes are no errors of the unit.
        _ = rig.initiator.run(CDB.read10(5000, 1))
        #expect([2, 3, 5].map { counter(rig.initiator, $0, 6) } == [1, 1, 1])
        #expect([2, 3, 5].map { counter(rig.initiator, $0, 5) } == [0, 0, 0])
        #expect(counter(rig.initiator, 6, 0) == 1)
    }

    @Test("PCR resets one page or all, and the other nexuses are told")
    func reset() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        _ = rig.initiator.run(CDB.read10(0, 1))
        _ = rig.initiator.run(CDB.write10(0, 1), Self.block)
        #expect(select(rig.initiator, 0x02, 0x03) == .good)
        #expect(counter(rig.initiator, 0x03, 5) == 0)
        #expect(counter(rig.initiator, 0x02, 5) == 512)
        #expect(other.run(CDB.testUnitReady) == .check(.unitAttention(.logParametersChanged)))
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        _ = other.run(CDB.read10(0, 2))
        #expect(counter(rig.initiator, 0x03, 5) == 1024)
        #expect(Array(sense(other, 0x19).data[8..<16]) == UInt64(2).bytes)
        #expect(select(rig.initiator, 0x00, 0x00, control: 3) == .good)
        #expect([2, 3].map { counter(rig.initiator, $0, 5) } == [0, 0])
        #expect(Array(sense(rig.initiator, 0x19).data[8..<16]) == UInt64(0).bytes)
    }

    @Test(
        "A page that is not there is not reset, one without counters has nothing to tell, and PC 00b and 01b do nothing"
    )
    func resetOfNothing() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        _ = rig.initiator.run(CDB.read10(0, 1))
        #expect(select(rig.initiator, 0x02, 0x04) == .check(.invalidFieldInCDB(byte: 2, bit: 5)))
        #expect(
            rig.initiator.run([0x4C, 2, 0x43, 1, 0, 0, 0, 0, 0, 0]) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(rig.initiator.run([0x4C, 2, 0x40, 1, 0, 0, 0, 0, 0, 0]) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(select(rig.initiator, 0x02, 0x2F) == .good)
        #expect(select(rig.initiator, 0x00, 0x03) == .good)
        #expect(select(rig.initiator, 0x00, 0x03, control: 0) == .good)
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(counter(rig.initiator, 0x03, 5) == 512)
    }

    @Test("A list sets counters, which count on from there; a wrong one changes nothing")
    func set() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        _ = rig.initiator.run(CDB.read10(0, 1))
        let parameter = joined([0, 5, 0x20, 8], UInt64(1_000_000).bytes)
        #expect(select(rig.initiator, 0, 0, list: [0x03, 0, 0, 12] + parameter) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.unitAttention(.logParametersChanged)))
        _ = other.run(CDB.read10(0, 1))
        #expect(counter(rig.initiator, 0x03, 5) == 1_000_512)
        let wrong = joined([0x03, 0, 0, 12], parameter, [0x04, 0, 0, 0])
        #expect(select(rig.initiator, 0, 0, list: wrong) == .check(.invalidFieldInParameterList(byte: 16, bit: 5)))
        #expect(counter(rig.initiator, 0x03, 5) == 1_000_512)
        #expect(other.run(CDB.testUnitReady) == .good)
        let cdb = joined([0x4C, 0, 0x40, 0, 0, 0, 0], UInt16(16).bytes, [0])
        #expect(rig.initiator.run(cdb, [0x03, 0, 0, 12]) == .check(.parameterListLengthError))
    }

    @Test(
        "Nothing can be saved: SP is refused",
        arguments: [[0x4D, 1, 0x42], [0x4C, 1, 0x40], [0x4C, 3, 0x40]] as [[UInt8]])
    func saving(start: [UInt8]) {
        let cdb = start + [UInt8](repeating: 0, count: 10 - start.count)
        #expect(Rig().initiator.run(cdb) == .check(.invalidFieldInCDB(byte: 1, bit: 0)))
    }

    @Test("Start-stop cycles and informational exceptions")
    func otherPages() {
        let rig = Rig()
        for _ in 0..<3 {
            _ = rig.initiator.run([0x1B, 0, 0, 0, 0, 0])
            _ = rig.initiator.run([0x1B, 0, 0, 0, 1, 0])
        }
        _ = rig.initiator.run([0x1B, 0, 0, 0, 1, 0])
        #expect(sense(rig.initiator, 0x0E).data == [0x8E, 0, 0, 8, 0, 4, 0x23, 4, 0, 0, 0, 3])
        #expect(sense(rig.initiator, 0x2F).data == [0xAF, 0, 0, 8, 0, 0, 0x23, 4, 0, 0, 0xFF, 0])
        #expect(sense(rig.initiator, 0x10).data.count == 4 + 20 * 20)
    }
}
