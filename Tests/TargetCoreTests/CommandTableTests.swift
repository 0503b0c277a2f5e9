// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Every row of the command table")
struct CommandTableTests {
    private func rig() -> Rig { SampleCommand.rig() }

    @Test("Its sample command ends well, unless it needs a registration", arguments: SampleCommand.all)
    func sampleSucceeds(sample: SampleCommand) {
        let ended = sample.rig().initiator.run(sample.cdb, sample.data)
        let mayConflict = sample.row.opcode == OperationCode.persistentReserveOut.rawValue
        if sample.asksAboutCopy { return #expect(ended == .check(.invalidFieldInCDB(byte: 2))) }
        #expect(ended.status == .good || mayConflict && ended.status == .reservationConflict)
    }

    @Test("Each reserved bit is refused with a pointer to it, and nothing is touched", arguments: SampleCommand.all)
    func reservedBits(sample: SampleCommand) {
        let rig = sample.rig()
        for byte in 1..<sample.row.usage.byteCount {
            for bit in 0..<8 where sample.row.usage[byte] & 1 << UInt8(bit) == 0 {
                // Bits of the sample are all used ones, so the one set here is the only bad one.
                var cdb = sample.cdb
                cdb[byte] |= 1 << UInt8(bit)
                let ended = rig.initiator.run(cdb, sample.data)
                #expect(ended == .check(.invalidFieldInCDB(byte: byte, bit: bit)))
            }
        }
        #expect(rig.device.log.isEmpty)
    }

    @Test("NACA is refused: no auto contingent allegiance is offered", arguments: SampleCommand.all)
    func naca(sample: SampleCommand) {
        var cdb = sample.cdb
        let control = sample.controlByte
        cdb[control] |= 0x04
        #expect(sample.rig().initiator.run(cdb, sample.data) == .check(.invalidFieldInCDB(byte: control, bit: 2)))
    }

    static let failures: [BlockOutcome] = [
        .failed(.checkCondition, .unrecoveredReadError()),
        .failed(.checkCondition, nil),
        .failed(.checkCondition, .noSense),
        .failed(.checkCondition, SenseData(.recoveredError, .noAdditionalSenseInformation)),
        .failed(.checkCondition, SenseData(.completed, .noAdditionalSenseInformation)),
        .failed(.good, nil), .failed(.conditionMet, nil), .failed(.busy, nil), .failed(.taskSetFull, nil),
        .failed(.reservationConflict, nil), .failed(.taskAborted, nil), .failed(.acaActive, nil),
        .miscompare(atByte: nil), .miscompare(atByte: 9), .notHandled, .failedWithStoreSense,
    ]

    @Test("No failure of a store ends GOOD", arguments: SampleCommand.all, failures)
    func failuresStayFailures(sample: SampleCommand, failure: BlockOutcome) {
        // Each request of the command in turn is the one that fails.
        var requestCount = Int.max
        var failing = 0
        while failing < requestCount {
            let rig = sample.rig()
            var seen = 0
            rig.device.failure = { _ in
                seen += 1
                return seen - 1 == failing ? failure : nil
            }
            let ended = rig.initiator.run(sample.cdb, sample.data)
            if seen <= failing {
                requestCount = seen
            } else {
                let statuses: [Status] = [.checkCondition, .busy, .taskSetFull, .reservationConflict]
                #expect(statuses.contains(ended.status))
                #expect(ended.data.isEmpty)
                if ended.status == .checkCondition {
                    let harmless: [SenseKey] = [.noSense, .recoveredError, .completed]
                    #expect(ended.sense != nil && !harmless.contains(ended.sense!.key))
                }
                #expect(seen == failing + 1, "a failed command goes no further")
            }
            failing += 1
        }
    }

    @Test("A CDB that is cut off is refused with a pointer behind its end", arguments: SampleCommand.all)
    func cutOff(sample: SampleCommand) {
        let rig = sample.rig()
        // Before its end a service action cannot be read.
        let first = sample.row.opcode == OperationCode.variableLength.rawValue ? 10 : 2
        for byteCount in first..<sample.row.usage.byteCount {
            let task = rig.initiator.makeTask([])
            task.cdb = CommandDescriptorBlock(Array(sample.cdb[..<byteCount]))!
            guard case .ended = rig.initiator.nexus.accept(task) else {
                Issue.record("accepted with \(byteCount) bytes")
                continue
            }
            #expect(task.sense == .invalidFieldInCDB(byte: byteCount))
        }
    }

    @Test("Unknown operation codes and service actions are told apart")
    func unknown() {
        let rig = rig()
        let known = Set(CommandTable.directAccess.rows.map(\.opcode))
        for opcode in UInt8.min...UInt8.max where !known.contains(opcode) {
            #expect(rig.initiator.run([opcode, 0, 0, 0, 0, 0]) == .check(.invalidCommandOperationCode))
        }
        #expect(
            rig.initiator.run([0x9E, 0x1F] + [UInt8](repeating: 0, count: 14))
                == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
    }

    @Test("Commands that a store cannot do have no row there")
    func unsupported() {
        let plain = Rig()
        #expect(plain.initiator.run([0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == .check(.invalidCommandOperationCode))
        let unflushable = Rig {
            $0.hasVolatileWriteCache = true
            $0.canFlush = false
        }
        for opcode in [0x35, 0x91, 0x2E, 0xAE, 0x8E] as [UInt8] {
            let cdb = [opcode] + [UInt8](repeating: 0, count: 15)
            #expect(unflushable.initiator.run(cdb) == .check(.invalidCommandOperationCode))
        }
        let list = SanitizeTests.list(1, [1])
        let sanitize = unflushable.initiator.run(SanitizeTests.overwrite(list.count), list)
        #expect(sanitize == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
    }
}
