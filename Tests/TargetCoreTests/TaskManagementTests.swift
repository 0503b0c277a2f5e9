// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Task management")
struct TaskManagementTests {
    /// A response, once it has come.
    final class Response {
        var value: TaskManagementResponse?
    }

    private func perform(
        _ function: TaskManagementFunction, on initiator: Initiator, lun: LogicalUnitNumber = .init(0), tag: UInt64 = 0
    ) -> Response {
        let response = Response()
        initiator.nexus.perform(function, lun: lun, tag: tag) {
            #expect(response.value == nil, "answered twice")
            response.value = $0
        }
        return response
    }

    private func deferred() -> Rig {
        let rig = Rig()
        rig.device.ending = .deferred
        return rig
    }

    @Test("ABORT TASK of a command in the store answers only when the store has let go of it")
    func abortInStore() {
        let rig = deferred()
        let block = [UInt8](repeating: 1, count: 512)
        let tag = rig.initiator.start(CDB.write10(0, 1), block).tag
        let response = perform(.abortTask, on: rig.initiator, tag: tag)
        #expect(response.value == nil)
        #expect(rig.initiator.port.aborted.isEmpty)
        rig.device.completeAll()
        #expect(response.value == nil)
        rig.initiator.loop.turn()
        #expect(response.value == .functionComplete)
        #expect(rig.initiator.port.aborted == [tag])
        #expect(rig.initiator.port.finished.isEmpty)
    }

    @Test("An aborted command of several requests begins no further one")
    func abortBetweenRequests() {
        var features = BlockDeviceFeatures()
        features.hasVolatileWriteCache = true
        let rig = Rig(FakeDevice(features: features))
        rig.device.ending = .deferred
        let tag = rig.initiator.start(CDB.write10(0, 1, flags: 0x08), [UInt8](repeating: 1, count: 512)).tag
        let response = perform(.abortTask, on: rig.initiator, tag: tag)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(response.value == .functionComplete)
        #expect(rig.device.operations == [.write])
    }

    @Test("Tasks that gather data or wait for others end at once, and never reach the store")
    func abortOutsideStore() {
        let rig = deferred()
        rig.initiator.start(CDB.read10(0, 1))
        let blocked = rig.initiator.start(CDB.read10(1, 1), attribute: .ordered).tag
        let gathering = rig.initiator.makeTask(CDB.write10(0, 1), expectedFromInitiator: 512)
        _ = rig.initiator.nexus.accept(gathering)
        #expect(perform(.abortTask, on: rig.initiator, tag: blocked).value == .functionComplete)
        #expect(perform(.abortTask, on: rig.initiator, tag: gathering.tag).value == .functionComplete)
        #expect(rig.initiator.port.aborted == [blocked, gathering.tag])
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.device.operations == [.read])
    }

    @Test("ABORT TASK of an unknown tag says so; so does one in another unit's task set")
    func unknownTag() {
        let rig = deferred()
        #expect(perform(.abortTask, on: rig.initiator, tag: 77).value == .taskDoesNotExist)
        #expect(perform(.abortTask, on: rig.initiator, lun: .init(3), tag: 77).value == .incorrectLogicalUnitNumber)
    }

    @Test(
        "ABORT TASK SET and CLEAR TASK SET end all tasks of the nexus, and nobody else's",
        arguments: [TaskManagementFunction.abortTaskSet, .clearTaskSet])
    func taskSet(function: TaskManagementFunction) {
        let rig = deferred()
        let other = rig.anotherInitiator()
        for lba in 0..<3 as Range<UInt32> { rig.initiator.start(CDB.read10(lba, 1)) }
        other.start(CDB.read10(9, 1))
        let response = perform(function, on: rig.initiator)
        #expect(response.value == nil)
        rig.device.completeNext()
        rig.device.completeNext()
        rig.initiator.loop.turn()
        #expect(response.value == nil)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        other.loop.turn()
        #expect(response.value == .functionComplete)
        #expect(rig.initiator.port.aborted == [1, 2, 3])
        #expect(other.port.order == [1])
        #expect(other.run(CDB.requestSense()).data.dropFirst(2).first == 0)
    }

    @Test("Two functions that wait for the same command both answer at its end")
    func twoWaits() {
        let rig = deferred()
        let tag = rig.initiator.start(CDB.read10(0, 1)).tag
        let first = perform(.abortTask, on: rig.initiator, tag: tag)
        let second = perform(.abortTaskSet, on: rig.initiator)
        #expect(first.value == nil && second.value == nil)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(first.value == .functionComplete && second.value == .functionComplete)
        #expect(rig.initiator.port.aborted == [tag])
    }

    @Test("LOGICAL UNIT RESET ends the tasks of every nexus, on every loop, before it answers")
    func unitReset() {
        let rig = deferred()
        let other = rig.anotherInitiator()
        rig.initiator.start(CDB.read10(0, 1))
        other.start(CDB.read10(1, 1))
        let response = perform(.logicalUnitReset, on: rig.initiator)
        rig.device.completeNext()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.aborted == [1])
        #expect(response.value == nil, "the other loop has not even heard of it")
        other.loop.turn()
        rig.initiator.loop.turn()
        #expect(response.value == nil, "the other's command is still in the store")
        rig.device.completeAll()
        other.loop.turn()
        #expect(other.port.aborted == [1])
        rig.initiator.loop.turn()
        #expect(response.value == .functionComplete)
        rig.device.ending = .inline
        for initiator in [rig.initiator, other] {
            #expect(initiator.run(CDB.testUnitReady) == .check(.busDeviceResetFunctionOccurred))
            #expect(initiator.run(CDB.testUnitReady) == .good)
        }
    }

    @Test(
        "A reset ends RESERVE, starts the unit and restores the mode parameters",
        arguments: [
            (TaskManagementFunction.logicalUnitReset, SenseData.busDeviceResetFunctionOccurred),
            (.targetWarmReset, .unitAttention(.scsiBusResetOccurred)),
            (.targetColdReset, .powerOnOccurred),
        ])
    func resetState(function: TaskManagementFunction, sense: SenseData) {
        let rig = Rig()
        let other = rig.anotherInitiator()
        #expect(other.run([0x16, 0, 0, 0, 0, 0]) == .good)
        #expect(other.run([0x1B, 0, 0, 0, 0, 0]) == .good)
        let response = perform(function, on: rig.initiator)
        other.loop.turn()
        rig.initiator.loop.turn()
        #expect(response.value == .functionComplete)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(sense))
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
    }

    @Test("Queries tell what is there")
    func queries() {
        let rig = deferred()
        #expect(perform(.queryTaskSet, on: rig.initiator).value == .functionComplete)
        let tag = rig.initiator.start(CDB.read10(0, 1)).tag
        #expect(perform(.queryTask, on: rig.initiator, tag: tag).value == .functionSucceeded)
        #expect(perform(.queryTask, on: rig.initiator, tag: tag + 1).value == .functionComplete)
        #expect(perform(.queryTaskSet, on: rig.initiator).value == .functionSucceeded)
        #expect(perform(.queryAsynchronousEvent, on: rig.initiator).value == .functionComplete)
        rig.unit.capacityChanged()
        #expect(perform(.queryAsynchronousEvent, on: rig.initiator).value == .functionSucceeded)
        #expect(perform(.clearACA, on: rig.initiator).value == .serviceNotSupported)
    }

    @Test("Closing a nexus waits for the store, and releases what it reserved")
    func close() {
        let rig = deferred()
        let other = rig.anotherInitiator()
        #expect(rig.initiator.run([0x16, 0, 0, 0, 0, 0]) == .good)
        rig.initiator.start(CDB.read10(0, 1))
        var isClosed = false
        rig.initiator.nexus.close { isClosed = true }
        #expect(!isClosed)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(isClosed)
        #expect(rig.initiator.port.aborted.count == 1)
        rig.device.ending = .inline
        #expect(other.run(CDB.read10(0, 1)).status == .good)
        // Nobody is left to be reset but the one who asks.
        #expect(perform(.logicalUnitReset, on: other).value == .functionComplete)
    }

    @Test("I_T NEXUS RESET ends the tasks of the nexus alone and leaves it I_T NEXUS LOSS OCCURRED")
    func nexusReset() {
        let rig = Rig()
        let other = rig.anotherInitiator()
        #expect(perform(.iTNexusReset, on: rig.initiator).value == .functionComplete)
        #expect(rig.initiator.run(CDB.testUnitReady) == .check(.iTNexusLossOccurred))
        #expect(other.run(CDB.testUnitReady) == .good)
    }

    @Test("Aborts at random moments, with a store of its own threads: each task ends once, each function answers once")
    func random() {
        let seed = UInt64.random(in: 1...UInt64.max)
        var generator = SplitMix(seed)
        let rig = Rig()
        rig.device.ending = .onOtherThread
        var started = 0
        var responses: [Response] = []
        for _ in 0..<400 {
            if Int.random(in: 0..<4, using: &generator) > 0 {
                rig.initiator.start(CDB.read10(0, 1))
                started += 1
            } else {
                let tag = UInt64.random(in: 1...UInt64(max(1, started)), using: &generator)
                responses.append(perform(.abortTask, on: rig.initiator, tag: tag))
            }
            if Bool.random(using: &generator) { rig.initiator.loop.turn() }
        }
        let port = rig.initiator.port
        rig.initiator.loop.turn { port.finished.count + port.aborted.count >= started }
        #expect(port.order.count + port.aborted.count == started, "seed \(seed)")
        #expect(responses.allSatisfy { $0.value != nil }, "seed \(seed)")
    }
}
