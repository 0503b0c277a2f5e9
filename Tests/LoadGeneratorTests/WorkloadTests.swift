// SPDX-License-Identifier: Apache-2.0
import LoadGenerator
import Testing

@Suite("Workload")
struct WorkloadTests {
    private func workload(
        _ access: Access, units: Range<UInt64> = 10..<30, seed: UInt64 = 1, readPercent: Int = 50,
        verifies: Bool = false
    ) -> Workload {
        let workload = Workload(
            access: access, readPercent: readPercent, units: units, seed: seed, verifies: verifies)
        workload.begin(.run)
        return workload
    }

    @Test("In order means one unit after the other, and over again", arguments: [Access.read, .write])
    func inOrder(access: Access) {
        let workload = workload(access)
        for index in 0..<45 as Range<UInt64> {
            #expect(workload.next() == Operation(unit: 10 + index % 20, isWrite: access == .write))
        }
    }

    @Test("At random means every unit, none outside, none favoured", arguments: [1, 2, 3] as [UInt64])
    func random(seed: UInt64) throws {
        // Not a power of two, where a remainder of random bits has no bias to show.
        let units: Range<UInt64> = 1000..<1107
        let workload = workload(.randread, units: units, seed: seed)
        let drawCount = 107_000
        var counts = [UInt64: Int]()
        for _ in 0..<drawCount {
            let operation = try #require(workload.next())
            #expect(units.contains(operation.unit) && !operation.isWrite)
            counts[operation.unit, default: 0] += 1
        }
        let expected = Double(drawCount) / Double(units.count)
        let deviation = units.reduce(0.0) { sum, unit in
            let difference = Double(counts[unit] ?? 0) - expected
            return sum + difference * difference / expected
        }
        // Chi squared with 106 degrees of freedom: beyond 180 once in 100,000 seeds.
        #expect(deviation < 180, "chi squared")
    }

    @Test("A range just over half of 64 bits is not folded: a remainder would favour its first third")
    func wideRandom() throws {
        let end: UInt64 = 3 << 62
        let workload = workload(.randread, units: 0..<end)
        var low = 0
        for _ in 0..<30_000 where try #require(workload.next()).unit < 1 << 62 { low += 1 }
        // A third; by a remainder it were a half. Six standard deviations are 490.
        #expect((9_500...10_500).contains(low))
    }

    @Test(
        "A mix reads as many of a hundred as it was told", arguments: [Access.rw, .randrw], [0, 1, 30, 70, 99, 100])
    func mix(access: Access, percent: Int) throws {
        let workload = workload(access, readPercent: percent)
        let count = 20_000
        var reads = 0
        for _ in 0..<count where try !#require(workload.next()).isWrite { reads += 1 }
        let expected = count * percent / 100
        let isEdge = percent == 0 || percent == 100
        // Six standard deviations at most.
        #expect(abs(reads - expected) <= (isEdge ? 0 : 425))
    }

    @Test("The same seed gives the same run, another one another")
    func seeds() {
        func units(_ seed: UInt64) -> [UInt64] {
            let workload = workload(.randread, units: 0..<1_000_000, seed: seed)
            return (0..<50).compactMap { _ in workload.next()?.unit }
        }
        #expect(units(1) == units(1))
        #expect(units(1) != units(2))
    }

    @Test("Filling writes each unit once and scanning reads each once, whatever the access", arguments: Access.allCases)
    func fillAndScan(access: Access) {
        let workload = workload(access, verifies: true)
        for (phase, isWrite) in [(Workload.Phase.fill, true), (.scan, false)] {
            workload.begin(phase)
            for unit in 10..<30 as Range<UInt64> {
                #expect(workload.next() == Operation(unit: unit, isWrite: isWrite, writeCount: 1))
                workload.finish(unit)
                #expect(workload.isDone == (unit == 29))
            }
            #expect(workload.next() == nil)
        }
        workload.begin(.stopped)
        #expect(workload.next() == nil)
    }

    @Test("Writes of a unit are counted, and reads must find the last")
    func writeCounts() throws {
        let workload = workload(.randrw, units: 0..<3, verifies: true)
        var counts: [UInt32] = [0, 0, 0]
        for _ in 0..<1000 {
            let operation = try #require(workload.next())
            let unit = Int(operation.unit)
            if operation.isWrite { counts[unit] += 1 }
            #expect(operation.writeCount == counts[unit])
            workload.finish(operation.unit)
        }
    }

    @Test("A verified unit takes part in one command at a time", arguments: [Access.randrw, .rw, .write])
    func oneAtATime(access: Access) throws {
        let workload = workload(access, units: 0..<4, verifies: true)
        var busy: Set<UInt64> = []
        // A random look may miss the last free unit a few times.
        for _ in 0..<200 where busy.count < 4 {
            guard let operation = workload.next() else { continue }
            #expect(busy.insert(operation.unit).inserted)
        }
        #expect(busy.count == 4)
        #expect(workload.next() == nil)
        workload.finish(0)
        var next: Operation?
        for _ in 0..<200 where next == nil { next = workload.next() }
        #expect(next?.unit == 0)
    }

    @Test("Shares of an area are all of it, none twice", arguments: [(10, 3), (3, 3), (2, 5), (1_000_003, 7)])
    func shares(unitCount: UInt64, workerCount: Int) {
        let area = Area(firstLBA: 0, blocksPerUnit: 1, unitCount: unitCount)
        var next: UInt64 = 0
        for worker in 0..<workerCount {
            let share = area.share(worker, of: workerCount)
            #expect(share.lowerBound == next)
            #expect(share.count <= Int(unitCount) / workerCount + 1)
            next = share.upperBound
        }
        #expect(next == unitCount)
    }
}
