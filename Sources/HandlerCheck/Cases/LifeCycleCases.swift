// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import CLinux
internal import HandlerHost

/// Opening and closing.
enum LifeCycleCases {
    static let all = [
        ConformanceCase("life.rounds", "opens and closes three times, and once as a reopen", rounds),
        ConformanceCase("life.missing", "refuses a store that is not there, and opens another after it", missing),
        ConformanceCase("life.two", "serves two devices at once without mixing their blocks", two),
        ConformanceCase("life.leaks", "gives back all that it took over many openings", leaks),
    ]

    /// One small piece of work, so that open is not all that happened.
    private static func touch(_ device: CheckedDevice) throws {
        guard !device.run.handler.takesOnlyCDBs else {
            _ = try device.end(try device.start(CHECK_CDB, cdb: [0, 0, 0, 0, 0, 0]))
            return
        }
        let (offset, _) = device.area(4096)
        _ = try device.read(at: offset, max(4096, device.blockByteCount))
    }

    private static func rounds(_ run: CaseRun) throws {
        let shape = try run.shape()
        for _ in 0..<3 {
            try touch(try run.open(shape: shape))
            run.close()
        }
        try touch(try run.open(shape: shape))
        run.close()
        let again = try run.open(again: 0, reopen: true)
        if again.byteCount == 0 { run.finding("life.open", "after a reopen the device has no blocks") }
        try touch(again)
        run.close()
    }

    private static func missing(_ run: CaseRun) throws {
        guard let config = run.store.replacing("/nowhere/at/all/martlet-check") else {
            throw CaseStop.skip("no file can be seen in the configuration string")
        }
        let good = try run.shape()
        var shape = good
        shape.config = config
        for _ in 0..<3 {
            do {
                _ = try run.open(1, shape: shape, mayFail: true)
                run.finding("life.missing", "open of \(config) returned 0")
                run.close(1)
            } catch let refused as OpenRefused {
                if refused.result > 0 {
                    run.finding("life.missing", "open of \(config) returned \(refused.result), which is not negative")
                }
            }
        }
        try touch(try run.open(shape: good))
        run.close()
    }

    /// A second store: given, or a file beside the first where the handler would make one, or, of what is no file, the
    /// same string.
    private static func secondShape(_ run: CaseRun) throws -> (shape: DeviceShape, toRemove: String?) {
        if let config = run.request.secondConfig { return (try run.shape(config: config), nil) }
        guard let path = run.store.path else {
            guard run.store.isPrivate else {
                throw CaseStop.skip("there is no second store: give one with --second-config")
            }
            return (try run.shape(), nil)
        }
        let other = path + ".martlet-check"
        guard run.callouts.hasProbe, unsafe access(other, F_OK) != 0, let config = run.store.replacing(other) else {
            throw CaseStop.skip("there is no second store: give one with --second-config")
        }
        let first = try run.shape()
        return (
            DeviceShape(config: config, byteCount: first.byteCount, blockByteCount: first.blockByteCount), other
        )
    }

    private static func two(_ run: CaseRun) throws {
        guard !run.handler.takesOnlyCDBs else { throw CaseStop.skip("the handler takes commands as CDBs only") }
        let (shape, toRemove) = try secondShape(run)
        let first = try run.openForBlocks()
        let second: CheckedDevice
        do {
            second = try run.open(1, shape: shape, mayFail: true)
        } catch is OpenRefused {
            throw CaseStop.skip("the second store cannot be opened: give one with --second-config")
        }
        // The name goes now, the file with the last descriptor.
        defer { if let toRemove { _ = unsafe unlink(toRemove) } }
        let (one, count) = first.area(65536)
        let (other, otherCount) = second.area(65536)
        let mine = run.random.bytes(count)
        let theirs = run.random.bytes(otherCount)
        try first.write(mine, at: one)
        try second.write(theirs, at: other)
        try first.expect(mine, at: one, rule: "life.two", "after the other device was written")
        try second.expect(theirs, at: other, rule: "life.two", "after the other device was written")
        run.close(1)
        try first.expect(mine, at: one, rule: "life.two", "after the other device was closed")
    }

    private struct Held {
        var descriptors = check_open_descriptor_count()
        var threads = check_thread_count()
        var allocated = check_allocated_byte_count()
        var resident = check_resident_byte_count()
    }

    /// Bytes of memory that may stay behind each round without a word: less is what allocators do.
    private static let tolerance = 24

    private static func leftByCommand(_ run: CaseRun, _ shape: DeviceShape) throws -> Int {
        let device = try run.open(shape: shape)
        let count = 100
        let before = check_allocated_byte_count()
        for _ in 0..<count { try touch(device) }
        let after = check_allocated_byte_count()
        run.close()
        return (after - before) / count
    }

    private static func leaks(_ run: CaseRun) throws {
        let shape = try run.shape()
        let quarter = run.rounds(15, quick: 6)
        var held: [Held] = []
        for round in 0..<(4 * quarter + 5) {
            try touch(try run.open(shape: shape))
            run.close()
            // What is made once, for the first device, is made now.
            if round >= 5, (round - 5) % quarter == 0 || round == 4 * quarter + 4 { held.append(Held()) }
        }
        let rounds = 4 * quarter
        let descriptors = held.last!.descriptors - held[0].descriptors
        if descriptors >= quarter {
            run.finding(
                "life.leak", "after \(rounds) rounds of open and close there are \(descriptors) more descriptors")
        }
        let threads = held.last!.threads - held[0].threads
        if threads >= quarter {
            run.finding("life.leak", "after \(rounds) rounds of open and close there are \(threads) more threads")
        }
        // A sanitizer keeps memory for reasons of its own.
        guard !run.request.isSanitized else { return }
        let grown = zip(held.dropFirst(), held).map { $0.allocated - $1.allocated }
        if grown.count >= 4, grown.allSatisfy({ $0 >= tolerance * quarter }) {
            let each = grown.reduce(0, +) / rounds
            // What its one command leaves behind is another case's.
            if each - (try leftByCommand(run, shape)) >= tolerance {
                let words = "each round of open and close leaves about \(each) bytes of memory behind"
                let theirs = LibraryMemory(of: run.request.handlerPath)
                if theirs.mayKeep(each, of: LibraryMemory.roundLimit) {
                    run.note("\(words): \(theirs.words)")
                } else {
                    run.finding("life.leak", words)
                }
            }
        }
        let resident = zip(held.dropFirst(), held).map { $0.resident - $1.resident }
        if resident.count >= 4, resident.allSatisfy({ $0 >= 4096 * quarter }) {
            run.finding(
                "life.leak", "each round leaves about \(resident.reduce(0, +) / rounds) bytes of resident memory behind"
            )
        }
    }
}
