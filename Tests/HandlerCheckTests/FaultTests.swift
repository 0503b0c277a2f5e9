// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerConformance
import Testing

/// A handler that is right but for one thing.
@Suite("Planted faults")
struct FaultTests {
    struct Planted: CustomTestStringConvertible, Sendable {
        /// Its name in Faults/faulty.c.
        let fault: String
        /// nr_threads.
        var threads = 4
        /// The case that must fail, and words that it must say.
        let caught: String
        let words: String
        var timeoutSeconds = 30

        var testDescription: String { "\(fault), nr_threads \(threads)" }
    }

    /// Each of these is caught by its case, and no other fails.
    static let planted = [
        Planted(fault: "COMPLETES_TWICE", threads: 0, caught: "completion.once", words: "completed a second time"),
        Planted(
            fault: "NEVER_COMPLETES", threads: 0, caught: "completion.always", words: "has not ended",
            timeoutSeconds: 12),
        Planted(
            fault: "NEVER_COMPLETES", caught: "completion.always", words: "the callout has not returned",
            timeoutSeconds: 12),
        Planted(
            fault: "COMPLETES_AFTER_CLOSE", threads: 0, caught: "completion.late", words: "completed after close"),
        Planted(fault: "FLUSH_DOES_NOTHING", caught: "flush.recorded", words: "followed by no fsync"),
        Planted(fault: "WRITES_BEYOND_IOVEC", caught: "memory.bounds", words: "changed 1 byte(s) outside its data"),
        Planted(fault: "READ_OFF_BY_ONE_AT_END", caught: "data.edges", words: "among the last blocks"),
        Planted(fault: "LOSES_CONCURRENT_WRITES", caught: "concurrency.disjoint", words: "at the same time"),
        Planted(fault: "LEAKS_DESCRIPTOR", caught: "life.leaks", words: "more descriptors"),
        Planted(fault: "LEAKS_MEMORY", caught: "leak.commands", words: "bytes of memory behind"),
        Planted(fault: "CHANGES_SOURCE", caught: "memory.source", words: "changed its own data"),
        Planted(fault: "EXITS_IN_INIT", caught: "load.file", words: "ended itself with exit status 0 in handler_init"),
        Planted(fault: "CRASHES_IN_CLOSE", caught: "life.rounds", words: "was ended by SIGSEGV in close"),
        Planted(fault: "UNMAP_HITS_NEIGHBOURS", caught: "unmap.range", words: "beside an unmap"),
        Planted(fault: "CAW_NOT_ATOMIC", caught: "caw.atomic", words: "caws of one block at the same time"),
        Planted(fault: "PRINTS", caught: "manners.output", words: "beginning with \"a read"),
        Planted(fault: "UNMAPPED_IS_NOT_ZERO", caught: "unmap.zeroes", words: "A5 instead of 00"),
        Planted(fault: "IGNORES_SIGNALS", caught: "manners.process", words: "signal TERM"),
        Planted(fault: "UNKNOWN_STATUS", caught: "completion.status", words: "status -5, which has no meaning"),
        Planted(
            fault: "SPINS_IN_OPEN", caught: "life.rounds", words: "in open", timeoutSeconds: 4),
    ]

    /// These, too; tried with their own case and a few more.
    static let more = [
        Planted(fault: "REASON_IS_CONSTANT", caught: "load.check-config", words: "SIGABRT"),
        Planted(fault: "PROBE_MAKES_STORE", caught: "load.probe", words: "the store had -1 bytes before"),
        Planted(fault: "OPENS_WHAT_IS_NOT_THERE", caught: "life.missing", words: "which is not negative"),
        Planted(fault: "SHARES_ONE_STORE", caught: "life.two", words: "after the other device was written"),
        Planted(fault: "SETS_NO_SIZE", caught: "attributes.sane", words: "there are 0 blocks"),
        Planted(fault: "HIDES_WRITE_CACHE", caught: "attributes.write-cache", words: "the write cache is off"),
        Planted(fault: "SHORTENS_LONG_WRITES", caught: "data.lengths", words: "byte(s) differ"),
        Planted(fault: "CONFUSES_BLOCK_SIZES", caught: "data.block-sizes", words: "in blocks of 2048 bytes"),
        Planted(fault: "TOUCHES_DATA_LATE", caught: "memory.after", words: "after its end"),
        Planted(fault: "TEARS_WRITES", caught: "concurrency.overlap", words: "a mixture of them"),
        Planted(fault: "FILLS_TOO_LITTLE", caught: "writesame.fills", words: "after a writesame over"),
        Planted(fault: "CAW_WRITES_ANYWAY", caught: "caw.compares", words: "last byte differs ended with TCMU_STS_OK"),
        Planted(fault: "EXTENT_OF_NOTHING", caught: "status.extents", words: "no whole blocks"),
        Planted(fault: "ZEROES_TOO_MUCH", caught: "zeroes.written", words: "after a write_zeroes"),
        Planted(fault: "HEALTH_WITHOUT_REASON", caught: "health.answers", words: "without a reason"),
        Planted(fault: "ACCEPTS_ANY_CHANGE", caught: "resize.unknown", words: "which means nothing"),
        Planted(fault: "ANSWERS_UNKNOWN_CDB", caught: "cdb.unknown", words: "the operation code 99 ended OK"),
        Planted(fault: "KEEPS_IN_MEMORY", caught: "flush.kill", words: "were not there after kill -9"),
    ]

    @Test("Every case has a fault that it is there for", arguments: more)
    func caughtAmongFew(_ planted: Planted) throws {
        let folder = try StoreFolder(inMemory: true)
        let handler = try FaultyHandler.compile(planted.fault, threads: planted.threads, in: folder)
        let only = ["load.probe", "life.rounds", planted.caught, "data.random", "unmap.zeroes", "flush.recorded"]
        let report = try Program.check(handler, "faulty/\(folder.file("disk"))", only: only)
        #expect(report.failures.map(\.name) == [planted.caught], "\(report)")
        let findings = report[planted.caught]?.findings ?? []
        #expect(findings.contains { $0.seen.contains(planted.words) }, "\(report)")
    }

    @Test("A planted fault is caught by the case that is there for it, and no other case fails", arguments: planted)
    func caught(_ planted: Planted) throws {
        let folder = try StoreFolder(inMemory: true)
        let handler = try FaultyHandler.compile(planted.fault, threads: planted.threads, in: folder)
        let report = try Program.check(
            handler, "faulty/\(folder.file("disk"))", timeoutSeconds: planted.timeoutSeconds)
        #expect(!report.passed)
        #expect(report.failures.map(\.name) == [planted.caught], "\(report)")
        let findings = report[planted.caught]?.findings ?? []
        #expect(findings.contains { $0.seen.contains(planted.words) }, "\(report)")
        #expect(findings.allSatisfy { !$0.contract.isEmpty && $0.document.hasPrefix("docs/") })
    }

    @Test("A handler that acknowledges writes before they are there is told from one that loses them")
    func early() throws {
        let folder = try StoreFolder(inMemory: true)
        let handler = try FaultyHandler.compile("OK_BEFORE_DATA", in: folder)
        let report = try Program.check(handler, "faulty/\(folder.file("disk"))")
        // Others fail, too: nothing can be told of a store whose content is on its way.
        #expect(report["completion.truth"]?.result == .failed, "\(report)")
        #expect(report["data.random"]?.result == .passed)
    }

    @Test(
        "What a sanitizer finds in a handler that was built with it is a finding",
        arguments: [
            ("READS_FREED_MEMORY", "address", "AddressSanitizer: heap-use-after-free"),
            ("RACES", "thread", "ThreadSanitizer: data race"),
        ])
    func sanitized(fault: String, sanitizer: String, words: String) throws {
        let folder = try StoreFolder(inMemory: true)
        let only = ["data.random", "concurrency.disjoint"]
        let flags = ["-g", "-fsanitize=\(sanitizer)"]
        let good = try FaultyHandler.compile("0", flags: flags, in: folder)
        let without = try Program.check(good, "faulty/\(folder.file("disk"))", only: only)
        #expect(without.passed, "\(without)")
        let bad = try FaultyHandler.compile(fault, flags: flags, in: folder)
        let with = try Program.check(bad, "faulty/\(folder.file("disk"))", only: only)
        let findings = with["concurrency.disjoint"]?.findings ?? []
        #expect(findings.contains { $0.rule == "sanitizer" && $0.seen.contains(words) }, "\(with)")
    }

    @Test("Without a fault the same handler passes, with threads of the host's and with its own", arguments: [4, 1, 0])
    func faultless(threads: Int) throws {
        let folder = try StoreFolder(inMemory: true)
        let handler = try FaultyHandler.compile("0", threads: threads, in: folder)
        let report = try Program.check(handler, "faulty/\(folder.file("disk"))")
        #expect(report.passed, "\(report)")
        #expect(report.failures.isEmpty)
        #expect(report.counts.passed >= 30)
    }
}
