// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Live changes of LUN maps under load")
struct MapStormTests {
    private static let block = [UInt8](repeating: 0, count: 512)

    private struct Storm {
        var generator: SplitMix
        let rig = MapRig((0..<3).map { _ in FakeDevice() })
        let initiators: [Initiator]
        var started: [Set<UInt64>] = [[], []]
        var changes: [MapRig.Completion] = []
        var functions = 0
        let answers = MapRig.Completion()

        init(seed: UInt64) {
            generator = SplitMix(seed)
            for device in rig.devices { device.ending = .deferred }
            initiators = [rig.initiator([0: 0, 1: 1, 2: 2]), rig.initiator([0: 2, 1: 1], name: MapRig.nameB)]
        }

        mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }

        mutating func act() {
            let who = number(0..<2)
            let initiator = initiators[who]
            switch number(0..<12) {
            case 0:
                let numbers = (0..<4).filter { _ in Bool.random(using: &generator) }
                let places = Dictionary(uniqueKeysWithValues: numbers.map { ($0, number(0..<3)) })
                let readOnly = Set(numbers.filter { _ in number(0..<4) == 0 })
                changes.append(rig.change(initiator, to: places, readOnly: readOnly))
            case 1:
                functions += 1
                let answers = answers
                let function = [TaskManagementFunction.logicalUnitReset, .abortTaskSet, .targetWarmReset][number(0..<3)]
                initiator.nexus.perform(function, lun: .lun[number(0..<4)], tag: 0) { _ in answers.count += 1 }
            case 2, 3, 4: rig.devices[number(0..<3)].completeNext()
            case 5, 6: initiator.loop.turn()
            default: start(who)
            }
        }

        mutating func start(_ who: Int) {
            let lba = UInt32(number(0..<4))
            let commands: [([UInt8], [UInt8])] = [
                (CDB.read10(lba, 2), []), (CDB.write10(lba, 1), block), (CDB.testUnitReady, []),
                (CompareAndWriteTests.cdb(UInt64(lba), 1), block + block), copy(number(0..<3), number(0..<3)),
                ([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], []),
            ]
            let (cdb, data) = commands[number(0..<commands.count)]
            let attribute: TaskAttribute = number(0..<6) == 0 ? .ordered : .simple
            let (tag, ended) = initiators[who].start(cdb, data, lun: .lun[number(0..<4)], attribute: attribute)
            if ended == nil || initiators[who].port.finished[tag] != nil { started[who].insert(tag) }
        }

        private func copy(_ source: Int, _ destination: Int) -> ([UInt8], [UInt8]) {
            let list = ExtendedCopy.list(
                usage: 0x18, targets: [source, destination].map { ExtendedCopy.target("unit-\($0)") },
                segments: [ExtendedCopy.segment(2, from: 0, to: 2, source: 0, destination: 1)])
            return (ExtendedCopy.cdb(list), list)
        }

        /// Until nothing is under way any more.
        func settle() {
            var isBusy = true
            while isBusy {
                isBusy = rig.devices.map { $0.completeNext() }.contains(true)
                for initiator in initiators where initiator.loop.turn() { isBusy = true }
            }
        }
    }

    @Test(
        "Whatever is under way when, every command ends once, every change completes once, and nothing is left held",
        arguments: 0..<20)
    func storm(_: Int) {
        let seed = UInt64.random(in: 1...UInt64.max)
        var storm = Storm(seed: seed)
        for _ in 0..<400 { storm.act() }
        for initiator in storm.initiators { storm.changes.append(storm.rig.change(initiator, to: [:])) }
        storm.settle()
        #expect(storm.changes.allSatisfy { $0.count == 1 }, "seed \(seed)")
        #expect(storm.answers.count == storm.functions, "seed \(seed)")
        for (initiator, started) in zip(storm.initiators, storm.started) {
            let ended = initiator.port.order + initiator.port.aborted
            #expect(ended.count == started.count && Set(ended) == started, "seed \(seed)")
        }
        // All of every medium for itself, which others' claims would forbid.
        for device in storm.rig.devices { device.ending = .inline }
        storm.rig.change(storm.initiators[0], to: [0: 0, 1: 1, 2: 2])
        for lun in 0..<3 {
            _ = storm.initiators[0].attentions(lun)
            let atomic = CompareAndWriteTests.cdb(5, 1)
            let ended = storm.initiators[0].start(atomic, Self.block + Self.block, lun: .lun[lun]).ended
            #expect(ended == .good, "seed \(seed)")
        }
    }
}
