// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore
import Testing

/// What is done to single commands.
@Suite("What the filter fault does")
struct FaultFilterTests {
    private let memory = MemoryDevice()

    private static let statuses: [(FaultStatus, BlockOutcome)] = [
        (.medium, .failed(.checkCondition, .unrecoveredReadError(lba: 4))),
        (.read, .failed(.checkCondition, .unrecoveredReadError(lba: 4))),
        (.write, .failed(.checkCondition, .writeError(lba: 4))),
        (.hardware, .failed(.checkCondition, .internalTargetFailure)),
        (.notReady, .failed(.checkCondition, .notReadyCauseNotReportable)),
        (.aborted, .failed(.checkCondition, .commandAborted)),
        (.protected, .failed(.checkCondition, SenseData(.dataProtect, .writeProtected))),
        (.busy, .failed(.busy, nil)), (.taskSetFull, .failed(.taskSetFull, nil)),
    ]

    @Test("A failed command ends with the status that was asked for, and the store is not asked", arguments: statuses)
    func errors(status: FaultStatus, outcome: BlockOutcome) throws {
        let filter = try FaultFilter("error=100%,error-status=\(status.rawValue),on=read", over: memory)
        defer { filter.close() }
        #expect(filter.read(512, at: 2048).outcome == outcome)
        #expect(memory.asked.isEmpty)
        #expect(filter.write(block("x"), at: 2048) == .good)
        #expect(filter.count("faultErrors") == 1)
    }

    @Test("Every status has a test")
    func everyStatus() { #expect(Set(Self.statuses.map(\.0)) == Set(FaultStatus.allCases)) }

    @Test("Without a status what reads ends with UNRECOVERED READ ERROR, everything else with WRITE ERROR")
    func mediumErrors() throws {
        let filter = try FaultFilter("error=100%", over: memory)
        defer { filter.close() }
        #expect(filter.read(512, at: 512).outcome == .failed(.checkCondition, .unrecoveredReadError(lba: 1)))
        #expect(filter.write(block("x"), at: 512) == .failed(.checkCondition, .writeError(lba: 1)))
        #expect(TestRequest(.flush).run(on: filter) == .failed(.checkCondition, .writeError()))
        let status = TestRequest(.blockStatus, extent: 512)
        #expect(status.run(on: filter) == .failed(.checkCondition, .unrecoveredReadError()))
    }

    @Test("A short count does a part of the transfer from its beginning, and ends with the first block that is missing")
    func short() throws {
        let filter = try FaultFilter("short=100%,seed=3", over: memory)
        defer { filter.close() }
        let old = [UInt8](repeating: 0x11, count: 256 * 512)
        var counts: Set<UInt64> = []
        for _ in 0..<200 {
            memory.contents = old
            let outcome = filter.write([UInt8](repeating: 0x22, count: 4096), at: 512)
            guard case .failed(.checkCondition, let sense?) = outcome, let lba = sense.information else {
                Issue.record("\(outcome)")
                return
            }
            #expect(sense == .writeError(lba: lba) && (1..<9).contains(lba))
            let done = Int(lba - 1) * 512
            let expected = old[..<512] + [UInt8](repeating: 0x22, count: done) + old[(512 + done)...]
            #expect(memory.contents == Array(expected))
            counts.insert(lba - 1)
        }
        #expect(counts == Set(0..<8))
        memory.contents = old
        let read = filter.read(4096, at: 0)
        guard case .failed(.checkCondition, let sense?) = read.outcome, let lba = sense.information else {
            Issue.record("\(read.outcome)")
            return
        }
        #expect(read.bytes == old[..<Int(lba * 512)] + [UInt8](repeating: 0, count: 4096 - Int(lba) * 512))
        #expect(filter.count("faultShorts") == 201)
    }

    @Test("A corrupted read differs from the medium in one bit, and the medium does not change")
    func corrupt() throws {
        let filter = try FaultFilter("corrupt=100%", over: memory)
        defer { filter.close() }
        memory.contents = [UInt8](repeating: 0x55, count: 256 * 512)
        for _ in 0..<100 {
            let read = filter.read(4096, at: 8192)
            #expect(read.outcome == .good)
            #expect(read.bytes.reduce(0) { $0 + ($1 ^ 0x55).nonzeroBitCount } == 1)
        }
        #expect(memory.contents.allSatisfy { $0 == 0x55 })
        #expect(filter.write([1, 2] + block("").dropFirst(2), at: 0) == .good)
        #expect(memory.contents.starts(with: [1, 2]))
        #expect(filter.count("faultCorruptions") == 100)
    }

    @Test("A lost flush is acknowledged and does not reach the store, and the operator is warned of the lie")
    func loseFlush() throws {
        let filter = try FaultFilter("lose-flush", over: memory)
        defer { filter.close() }
        #expect(TestRequest(.flush).run(on: filter) == .good)
        #expect(filter.write(block("x"), at: 0) == .good)
        #expect(memory.asked == [.write])
        #expect(filter.count("faultLostFlushes") == 1)
        #expect(filter.warning?.contains("LOSES FLUSHES") == true)
        #expect(try FaultFilter("corrupt=1%", over: memory).warning?.contains("CORRUPTS DATA") == true)
    }

    @Test("What the store fails stays failed, whatever else was to happen")
    func storeFailure() throws {
        let device = MemoryDevice()
        device.answer = { _ in .failed(.reservationConflict, nil) }
        let filter = try FaultFilter("delay=1us,delay-at=end,reorder=2,reorder-hold=1us", over: device)
        defer { filter.close() }
        #expect(TestRequest(.unmap, extent: 512).run(on: filter) == .failed(.reservationConflict, nil))
    }

    @Test("After `max` faults there are none, and delays go on")
    func maximum() throws {
        let filter = try FaultFilter("error=100%,max=3,delay=1us", over: memory)
        defer { filter.close() }
        let outcomes = (0..<10).map { _ in filter.read(512, at: 0).outcome }
        #expect(outcomes.map { $0 == .good } == [false, false, false] + [Bool](repeating: true, count: 7))
        #expect(filter.count("faultErrors") == 3 && filter.count("faultDelays") == 10)
    }

    @Test("The same seed does the same to the same commands", arguments: ["error=20%", "short=20%", "corrupt=20%"])
    func repeatable(options: String) throws {
        func run() throws -> [String] {
            let filter = try FaultFilter("\(options),seed=77", over: memory)
            defer { filter.close() }
            return (0..<200).map { _ in "\(filter.read(2048, at: 0))" }
        }
        let first = try run()
        #expect(Set(first).count > 1)
        #expect(try run() == first)
    }

    @Test("A range that begins behind the medium is refused")
    func range() throws {
        let error = #expect(throws: FilterError.self) { try FaultFilter("error=1%,range=256..300", over: memory) }
        #expect(error?.sentence.contains("only 256 blocks") == true)
        try FaultFilter("error=1%,range=255..300", over: memory).close()
    }

    @Test("Many ways to go on: every request ends exactly once, with its own data", arguments: MemoryDevice.allEndings)
    func verified(ending: MemoryDevice.Ending) throws {
        memory.ending = ending
        let filter = try FaultFilter(
            "delay=0us..300us,late=5%,late-by=1ms,reorder=5,reorder-hold=500us", over: memory)
        RandomIO.run(on: filter, threads: 2, rounds: 20, widest: 12, blockLimit: 4)
        filter.close()
    }
}

extension MemoryDevice {
    static let allEndings = [Ending.inline, .onOtherThread]
}
