// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("Diagnostics, defect data, PRE-FETCH")
struct DiagnosticTests {
    static func send(_ flags: UInt8, _ length: UInt16 = 0) -> [UInt8] { [0x1D, flags, 0] + length.bytes + [0] }

    static func selfTest(_ code: SendDiagnosticRequest.SelfTestCode) -> [UInt8] { send(code.rawValue << 5) }

    static let defaultSelfTest = send(0x04)

    private func rig(blockCount: UInt64 = 1024) -> Rig {
        var features = BlockDeviceFeatures()
        features.hasVolatileWriteCache = true
        return Rig(FakeDevice(blockCount: blockCount, features: features))
    }

    // MARK: - Pages

    @Test("RECEIVE DIAGNOSTIC RESULTS lists the one page, whether it is asked for by code or by SEND DIAGNOSTIC")
    func supportedPages() {
        let rig = rig()
        #expect(rig.initiator.run(Self.send(0x10, 4), [0, 0, 0, 0]) == .good)
        for cdb in [[0x1C, 1, 0, 0, 255, 0], [0x1C, 0, 0, 0, 255, 0]] as [[UInt8]] {
            #expect(rig.initiator.run(cdb).data == [0, 0, 0, 1, 0])
        }
        #expect(rig.initiator.run([0x1C, 1, 0, 0, 3, 0]).data == [0, 0, 0])
        #expect(rig.initiator.run([0x1C, 1, 0x40, 0, 255, 0]) == .check(.invalidFieldInCDB(byte: 2)))
        #expect(rig.initiator.run([0x1C, 0, 0x40, 0, 255, 0]) == .check(.invalidFieldInCDB(byte: 2)))
    }

    static let badPages: [(page: [UInt8], sense: SenseData)] = [
        ([0], .parameterListLengthError), ([0, 0, 0], .parameterListLengthError),
        ([0x40, 0, 0, 0], .invalidFieldInParameterList(byte: 0)),
        ([0, 1, 0, 0], .invalidFieldInParameterList(byte: 1, bit: 0)),
        ([0, 0, 0, 1, 0], .invalidFieldInParameterList(byte: 2)), ([0, 0, 0, 0, 0], .parameterListLengthError),
    ]

    @Test("Wrong pages are refused", arguments: 0..<6)
    func badPage(index: Int) {
        let (page, sense) = Self.badPages[index]
        #expect(rig().initiator.run(Self.send(0x10, UInt16(page.count)), page) == .check(sense))
    }

    @Test("Reserved codes and contradictions in the CDB are refused")
    func badCDB() {
        let rig = rig()
        for code in [3, 7] as [UInt8] {
            #expect(rig.initiator.run(Self.send(code << 5)) == .check(.invalidFieldInCDB(byte: 1, bit: 7)))
        }
        #expect(rig.initiator.run(Self.send(0x24)) == .check(.invalidFieldInCDB(byte: 1, bit: 7)))
        #expect(rig.initiator.run(Self.send(0x14, 4), [0, 0, 0, 0]) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(rig.initiator.run(Self.send(0x30, 4), [0, 0, 0, 0]) == .check(.invalidFieldInCDB(byte: 3)))
        #expect(rig.initiator.run(Self.send(0x00, 4), [0, 0, 0, 0]) == .check(.invalidFieldInCDB(byte: 1, bit: 4)))
        #expect(rig.initiator.run(Self.send(0x10, 0xFFFF)) == .check(.parameterListLengthError))
        #expect(rig.initiator.run(Self.send(0x13)) == .good, "nothing to do, and leave for what does not happen")
        #expect(rig.device.log.isEmpty)
    }

    // MARK: - Self-tests

    @Test("A self-test flushes, and reads samples of the medium or all of it")
    func reads() {
        let blockCount: UInt64 = 65536 * 4
        let perPiece = UInt64(TargetLimits.workByteCount / 512)
        for (cdb, expected) in [
            (Self.defaultSelfTest, 64), (Self.selfTest(.foregroundShort), 64),
            (Self.selfTest(.foregroundExtended), Int(blockCount / perPiece)),
        ] {
            let rig = Rig(FakeDevice(blockCount: blockCount, blockByteCount: 512, features: features))
            rig.device.contents = [UInt8](repeating: 0, count: Int(blockCount) * 512)
            #expect(rig.initiator.run(cdb) == .good)
            let log = rig.device.log
            #expect(log.first?.operation == .flush)
            let reads = log.dropFirst()
            #expect(reads.count == expected && reads.allSatisfy { $0.operation == .read })
            #expect(reads.first?.byteOffset == 0)
            #expect(reads.last.map { $0.byteOffset + $0.extentByteCount } == blockCount * 512)
        }
    }

    private var features: BlockDeviceFeatures {
        var features = BlockDeviceFeatures()
        features.hasVolatileWriteCache = true
        return features
    }

    @Test("A self-test in foreground mode keeps others out, and says how it went by its status")
    func foreground() {
        let rig = rig()
        rig.device.ending = .deferred
        let (tag, _) = rig.initiator.start(Self.selfTest(.foregroundShort))
        rig.initiator.loop.turn()
        let other = rig.anotherInitiator()
        #expect(other.run(CDB.testUnitReady) == .check(.selfTestInProgress(progress: 0)))
        #expect(SenseData(other.run(CDB.requestSense()).data) == .selfTestInProgress(progress: 0))
        #expect(rig.unit.selfTestResults == [SelfTestResult(code: .foregroundShort, outcome: .inProgress)])
        rig.device.ending = .inline
        rig.device.failure = { $0 == .read ? .failed(.checkCondition, .unrecoveredReadError()) : nil }
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.port.finished[tag] == .check(.logicalUnitFailedSelfTest))
        #expect(other.run(CDB.testUnitReady) == .good)
        var result = SelfTestResult(code: .foregroundShort, outcome: .failedSecondSegment)
        result.segmentNumber = 2
        result.firstFailureLBA = 0
        result.sense = .unrecoveredReadError()
        #expect(rig.unit.selfTestResults == [result])
    }

    @Test("A self-test in background mode lets others work, and leaves its result")
    func background() {
        let rig = rig()
        rig.device.ending = .deferred
        #expect(rig.initiator.run(Self.selfTest(.backgroundExtended)) == .good)
        rig.initiator.loop.turn()
        rig.device.ending = .inline
        #expect(rig.initiator.run(CDB.read10(0, 1)).status == .good)
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .selfTestInProgress(progress: 0))
        let second = rig.initiator.run(Self.selfTest(.backgroundShort))
        #expect(second == .check(.selfTestInProgress(progress: 0)))
        rig.device.completeAll()
        rig.initiator.loop.turn()
        let result = SelfTestResult(code: .backgroundExtended, outcome: .completedWithoutError)
        #expect(rig.unit.selfTestResults == [result])
        #expect(SenseData(rig.initiator.run(CDB.requestSense()).data) == .noSense)
    }

    enum Abort: CaseIterable { case sendDiagnostic, logicalUnitReset, stop, sanitize }

    @Test("A background self-test is aborted, and its result says by what", arguments: Abort.allCases)
    func aborted(abort: Abort) {
        let rig = rig()
        rig.device.ending = .deferred
        #expect(rig.initiator.run(Self.selfTest(.backgroundExtended)) == .good)
        rig.initiator.loop.turn()
        rig.device.ending = .inline
        switch abort {
        case .sendDiagnostic: #expect(rig.initiator.run(Self.selfTest(.abortBackground)) == .good)
        case .logicalUnitReset: rig.initiator.nexus.perform(.logicalUnitReset, lun: .init(0), tag: 0) { _ in }
        case .stop: #expect(rig.initiator.run([0x1B, 0, 0, 0, 4, 0]) == .good)
        case .sanitize:
            let list = SanitizeTests.list(1, [3])
            rig.initiator.start(SanitizeTests.overwrite(list.count), list)
        }
        rig.device.completeAll()
        rig.initiator.loop.turn()
        let outcome: SelfTestResult.Outcome = abort == .sendDiagnostic ? .abortedBySendDiagnostic : .abortedOtherwise
        #expect(rig.unit.selfTestResults == [SelfTestResult(code: .backgroundExtended, outcome: outcome)])
        if abort == .sanitize { #expect(rig.device.contents.allSatisfy { $0 == 3 }) }
    }

    @Test("A foreground self-test ends with its command")
    func abortedForeground() {
        let rig = rig()
        rig.device.ending = .deferred
        let (tag, _) = rig.initiator.start(Self.selfTest(.foregroundShort))
        rig.initiator.loop.turn()
        var answer: TaskManagementResponse?
        rig.initiator.nexus.perform(.abortTask, lun: .init(0), tag: tag) { answer = $0 }
        #expect(answer == .functionComplete)
        rig.device.completeAll()
        rig.initiator.loop.turn()
        #expect(rig.initiator.run(CDB.testUnitReady) == .good)
        #expect(rig.unit.selfTestResults == [SelfTestResult(code: .foregroundShort, outcome: .abortedOtherwise)])
    }

    @Test("Twenty results are kept, newest first")
    func results() {
        let rig = rig()
        #expect(rig.initiator.run(Self.selfTest(.foregroundShort)) == .good)
        for _ in 0..<20 {
            #expect(rig.initiator.run(Self.selfTest(.backgroundShort)) == .good)
            rig.initiator.loop.turn()
        }
        #expect(rig.unit.selfTestResults.count == 20)
        #expect(rig.unit.selfTestResults.allSatisfy { $0.code == .backgroundShort })
        #expect(rig.initiator.run(Self.defaultSelfTest) == .good)
        #expect(rig.unit.selfTestResults.count == 20, "the default self-test has no entry")
    }

    // MARK: - READ DEFECT DATA

    @Test("Both defect lists are there and empty, in each format", arguments: 0...5 as ClosedRange<UInt8>)
    func defects(format: UInt8) {
        let rig = rig()
        for lists in [0x00, 0x08, 0x10, 0x18] as [UInt8] {
            let ten = rig.initiator.run([0x37, 0, lists | format, 0, 0, 0, 0, 1, 0, 0])
            #expect(ten.data == [0, lists | format, 0, 0])
            let twelve = rig.initiator.run([0xB7, lists | format, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
            #expect(twelve.data == [0, lists | format, 0, 0, 0, 0, 0, 0])
        }
        #expect(rig.initiator.run([0x37, 0, format, 0, 0, 0, 0, 0, 2, 0]).data.count == 2)
    }

    @Test("The vendor specific format and the reserved one are refused", arguments: [6, 7] as [UInt8])
    func badFormat(format: UInt8) {
        let rig = rig()
        #expect(
            rig.initiator.run([0x37, 0, format, 0, 0, 0, 0, 1, 0, 0]) == .check(.invalidFieldInCDB(byte: 2, bit: 2)))
        let twelve = rig.initiator.run([0xB7, format, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(twelve == .check(.invalidFieldInCDB(byte: 1, bit: 2)))
    }

    // MARK: - PRE-FETCH

    @Test("PRE-FETCH reads once, no more than a piece, and nothing with IMMED")
    func preFetch() {
        let rig = rig(blockCount: 8192)
        #expect(rig.initiator.run([0x34, 0, 0, 0, 0, 9, 3, 0, 4, 0]) == .good)
        #expect(rig.device.log == [.at(.read, 9, 4)])
        rig.device.forgetLog()
        // Length 0: to the last block.
        #expect(rig.initiator.run([0x90, 0] + UInt64(8190).bytes + [0, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.device.log == [.at(.read, 8190, 2)])
        rig.device.forgetLog()
        #expect(rig.initiator.run([0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == .good)
        #expect(rig.device.log == [.at(.read, 0, 2048)])
        rig.device.forgetLog()
        #expect(rig.initiator.run([0x34, 2, 0, 0, 0, 9, 0, 0, 4, 0]) == .good)
        #expect(rig.device.log.isEmpty)
    }

    @Test("PRE-FETCH behind the last block is refused, and a block that cannot be read is told")
    func preFetchRefused() {
        let rig = rig()
        #expect(
            rig.initiator.run([0x34, 0] + UInt32(1024).bytes + [0, 0, 1, 0]) == .check(.logicalBlockAddressOutOfRange))
        #expect(
            rig.initiator.run([0x34, 0] + UInt32(1023).bytes + [0, 0, 2, 0]) == .check(.logicalBlockAddressOutOfRange))
        let far = [0x90, 2] + UInt64.max.bytes + [0, 0, 0, 1, 0, 0]
        #expect(rig.initiator.run(far) == .check(.logicalBlockAddressOutOfRange))
        rig.device.failure = { _ in .failed(.checkCondition, .unrecoveredReadError()) }
        #expect(rig.initiator.run([0x34, 0, 0, 0, 0, 0, 0, 0, 1, 0]) == .check(.unrecoveredReadError()))
    }
}
