// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization
import TargetCore
import Testing

/// Clocks that a test sets.
final class TestClock: Sendable {
    let wall = Atomic<UInt64>(0x0102_0304_0506)
    let monotonic = Atomic<UInt64>(1000)

    var source: DeviceClockSource {
        DeviceClockSource(
            wallMilliseconds: { self.wall.load(ordering: .relaxed) },
            monotonicMilliseconds: { self.monotonic.load(ordering: .relaxed) })
    }
}

@Suite("The timestamp")
struct TimestampTests {
    private func report(_ initiator: Initiator, allocationLength: UInt32 = 12) -> Ended {
        initiator.run(joined([0xA3, 0x0F, 0, 0, 0, 0], allocationLength.bytes, [0, 0]))
    }

    private func set(_ initiator: Initiator, _ list: [UInt8]) -> Ended {
        initiator.run(joined([0xA4, 0x0F, 0, 0, 0, 0], UInt32(list.count).bytes, [0, 0]), list)
    }

    private let clock = TestClock()
    private func rig() -> Rig { Rig(options: { $0.clock = clock.source }) }

    @Test("At first it is the wall clock, and then what SET TIMESTAMP gave, at the pace of the monotonic clock")
    func changes() {
        let rig = rig()
        let other = rig.anotherInitiator()
        #expect(report(rig.initiator).data == [0, 10, 3, 0, 1, 2, 3, 4, 5, 6, 0, 0])
        #expect(report(rig.initiator, allocationLength: 4).data == [0, 10, 3, 0])
        #expect(set(rig.initiator, [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]) == .good)
        #expect(other.run(CDB.testUnitReady) == .check(.unitAttention(.timestampChanged)))
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        clock.monotonic.add(0x105, ordering: .relaxed)
        clock.wall.store(0, ordering: .relaxed)
        #expect(report(other).data == [0, 10, 2, 0, 0, 0, 0, 0, 3, 5, 0, 0])
    }

    @Test("A list of another length, or with reserved bytes, is refused; an empty one is no error")
    func refused() {
        let rig = rig()
        let other = rig.anotherInitiator()
        for byteCount in [1, 11, 13, 4096] {
            #expect(set(rig.initiator, [UInt8](repeating: 0, count: byteCount)) == .check(.parameterListLengthError))
        }
        for index in [0, 3, 10, 11] {
            var list = [UInt8](repeating: 0, count: 12)
            list[index] = 1
            #expect(set(rig.initiator, list) == .check(.invalidFieldInParameterList(byte: index)))
        }
        let cdb: [UInt8] = [0xA4, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0]
        #expect(rig.initiator.run(cdb, [0, 0]) == .check(.parameterListLengthError))
        #expect(set(rig.initiator, []) == .good)
        #expect(other.run(CDB.testUnitReady) == .good)
        #expect(report(rig.initiator).data[2] == 3)
    }

    @Test("Without a clock there is neither command")
    func unsupported() {
        let initiator = Rig().initiator
        #expect(report(initiator) == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        #expect(set(initiator, [UInt8](repeating: 0, count: 12)) == .check(.invalidCommandOperationCode))
    }
}
