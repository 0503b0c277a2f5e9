// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Write protection, for every row")
struct WriteProtectTests {
    private static let harmless: [BlockRequest.Operation] = [.read, .flush, .blockStatus]

    private func check(_ sample: SampleCommand, _ rig: Rig, by initiator: Initiator? = nil) {
        // Protection information alone brings those of 32 bytes.
        guard sample.row.opcode != OperationCode.variableLength.rawValue else { return }
        // A sample that is another command's says nothing of its row.
        let action = CommandDescriptorBlock(sample.cdb)?.serviceAction
        guard sample.row.serviceAction == nil || sample.row.serviceAction == action else { return }
        // Those of 32 bytes are there on units with protection information alone.
        if sample.row.opcode == OperationCode.variableLength.rawValue { return }
        let ended = (initiator ?? rig.initiator).run(sample.cdb, sample.data)
        if sample.row.traits.contains(.writesMedium) {
            #expect(ended == .check(.writeProtected))
            #expect(rig.device.log.isEmpty)
        } else {
            #expect(rig.device.operations.allSatisfy(Self.harmless.contains))
        }
    }

    @Test("A store that is read-only is not written, and whatever would is told so", arguments: SampleCommand.all)
    func readOnly(sample: SampleCommand) {
        var features = SampleCommand.features
        features.isReadOnly = true
        check(sample, SampleCommand.rig(features))
    }

    @Test("SWP of the Control mode page does the same", arguments: SampleCommand.all)
    func softwareWriteProtect(sample: SampleCommand) {
        let rig = SampleCommand.rig()
        var list = rig.initiator.run([0x1A, 0x08, 0x0A, 0, 255, 0]).data
        list.replaceSubrange(0..<4, with: [0, 0, 0, 0])
        list[4] &= 0x3F
        list[8] |= 0x08
        #expect(rig.initiator.run([0x15, 0x10, 0, 0, UInt8(list.count), 0], list) == .good)
        check(sample, rig)
    }

    private func readOnlyView(_ rig: Rig) -> Initiator {
        let name = "iqn.2026-11.org.example:reader,i,0x000000000009"
        // One loop turns both nexuses: what one waits for, the other gives.
        return Initiator(
            rig.target, name: name, loop: rig.initiator.loop, map: LUNMap([0: .init(unit: rig.unit, isReadOnly: true)]))
    }

    @Test("A read-only view does the same for its nexus", arguments: SampleCommand.all)
    func readOnlyView(sample: SampleCommand) {
        let rig = SampleCommand.rig()
        check(sample, rig, by: readOnlyView(rig))
    }

    @Test("Protection information changes nothing about that", arguments: SampleCommand.all)
    func protected(sample: SampleCommand) {
        guard sample.row.opcode == OperationCode.variableLength.rawValue else { return }
        let rig = sample.rig()
        let ended = readOnlyView(rig).run(sample.cdb, sample.data)
        #expect((ended == .check(.writeProtected)) == sample.row.traits.contains(.writesMedium))
        #expect(rig.device.operations.allSatisfy(Self.harmless.contains))
    }

    @Test("Beside a read-only view everybody else does what the row says", arguments: SampleCommand.all)
    func others(sample: SampleCommand) {
        let rig = sample.rig()
        let reader = readOnlyView(rig)
        let alone = sample.rig().initiator.run(sample.cdb, sample.data)
        #expect(rig.initiator.run(sample.cdb, sample.data) == alone)
        withExtendedLifetime(reader) {}
    }
}
