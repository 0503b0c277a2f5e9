// SPDX-License-Identifier: Apache-2.0

/// One command's work: a unit of the area, to be read or written whole.
package struct Operation: Equatable, Sendable {
    package var unit: UInt64
    package var isWrite: Bool
    /// Which write of the unit a verified read must find, or a write is. The first is 1.
    package var writeCount: UInt32

    package init(unit: UInt64, isWrite: Bool, writeCount: UInt32 = 0) {
        self.unit = unit
        self.isWrite = isWrite
        self.writeCount = writeCount
    }
}

/// Where the area lies on the LUN. It is cut into units of one command each; what does not fill a unit is left out.
package struct Area: Equatable, Sendable {
    /// Address of the first block.
    package let firstLBA: UInt64
    package let blocksPerUnit: UInt32
    package let unitCount: UInt64

    package init(firstLBA: UInt64, blocksPerUnit: UInt32, unitCount: UInt64) {
        self.firstLBA = firstLBA
        self.blocksPerUnit = blocksPerUnit
        self.unitCount = unitCount
    }

    package func lba(of unit: UInt64) -> UInt64 { firstLBA + unit * UInt64(blocksPerUnit) }

    /// The units of worker `index` of `count`: shares that differ by one unit at most.
    package func share(_ index: Int, of count: Int) -> Range<UInt64> {
        let (index, count) = (UInt64(index), UInt64(count))
        let (size, rest) = unitCount.quotientAndRemainder(dividingBy: count)
        let start = index * size + min(index, rest)
        return start..<start + size + (index < rest ? 1 : 0)
    }
}

/// What the connections of one thread do next. When contents are verified a unit takes part in one command at a time,
/// so that every read knows what it must find.
package final class Workload {
    package enum Phase: Sendable, Equatable {
        /// Each unit is written once, in order.
        case fill
        /// What was asked for, without end.
        case run
        /// Each unit is read once, in order.
        case scan
        case stopped
    }

    package private(set) var phase = Phase.stopped
    private let access: Access
    private let readPercent: UInt64
    private let units: Range<UInt64>
    private var random: SplitMix64
    /// The next unit of what goes in order.
    private var cursor: UInt64
    /// Of each unit. Empty when contents are not verified.
    private var writeCounts: [UInt32]
    private var isBusy: [Bool]

    /// Looks at so many random units for one that is not busy; then the next turn looks again.
    private static let attemptLimit = 16

    /// `units` are not empty. `readPercent` counts in a mix only.
    package init(access: Access, readPercent: Int, units: Range<UInt64>, seed: UInt64, verifies: Bool) {
        precondition(!units.isEmpty)
        self.access = access
        self.readPercent =
            switch access {
            case .read, .randread: 100
            case .write, .randwrite: 0
            case .rw, .randrw: UInt64(readPercent)
            }
        self.units = units
        random = SplitMix64(seed: seed)
        cursor = units.lowerBound
        writeCounts = verifies ? Array(repeating: 0, count: units.count) : []
        isBusy = verifies ? Array(repeating: false, count: units.count) : []
    }

    package var verifies: Bool { !isBusy.isEmpty }

    package func begin(_ phase: Phase) {
        self.phase = phase
        cursor = units.lowerBound
    }

    /// Nothing will be started any more, whatever ends.
    package var isDone: Bool {
        switch phase {
        case .fill, .scan: cursor == units.upperBound
        case .run: false
        case .stopped: true
        }
    }

    /// Nil when nothing is to be started now: the phase has come to its end, or the units that it wants are busy.
    package func next() -> Operation? {
        guard var operation = choose() else { return nil }
        guard verifies else { return operation }
        let index = Int(operation.unit - units.lowerBound)
        isBusy[index] = true
        if operation.isWrite { writeCounts[index] &+= 1 }
        operation.writeCount = writeCounts[index]
        return operation
    }

    /// The command of `operation` has ended.
    package func finish(_ unit: UInt64) {
        if verifies { isBusy[Int(unit - units.lowerBound)] = false }
    }

    private func choose() -> Operation? {
        switch phase {
        case .fill: inOrder(isWrite: true)
        case .scan: inOrder(isWrite: false)
        case .run where access.isRandom: atRandom()
        case .run: wrapping()
        case .stopped: nil
        }
    }

    private func inOrder(isWrite: Bool) -> Operation? {
        guard cursor < units.upperBound, !isBusy(cursor) else { return nil }
        cursor += 1
        return Operation(unit: cursor - 1, isWrite: isWrite)
    }

    private func wrapping() -> Operation? {
        if cursor == units.upperBound { cursor = units.lowerBound }
        guard !isBusy(cursor) else { return nil }
        return inOrder(isWrite: choosesWrite())
    }

    private func atRandom() -> Operation? {
        for _ in 0..<Self.attemptLimit {
            // Without bias: the generator is asked again where a remainder would favour some units.
            let unit = units.lowerBound + random.next(upperBound: units.upperBound - units.lowerBound)
            if !isBusy(unit) { return Operation(unit: unit, isWrite: choosesWrite()) }
        }
        return nil
    }

    private func choosesWrite() -> Bool {
        switch readPercent {
        case 0: true
        case 100: false
        default: random.next(upperBound: 100 as UInt64) >= readPercent
        }
    }

    private func isBusy(_ unit: UInt64) -> Bool {
        verifies && isBusy[Int(unit - units.lowerBound)]
    }
}

extension Area {
    /// The area that `options` ask for, on a LUN of so many blocks.
    package static func laid(
        out options: LoadOptions, blockCount: UInt64, blockByteCount: Int
    ) throws(LoadFailure) -> Area {
        let blockBytes = UInt64(blockByteCount)
        let unitBytes = UInt64(options.blockByteCount)
        guard unitBytes % blockBytes == 0 else {
            throw .usage("--block-size \(unitBytes) is no multiple of the LUN's blocks of \(blockBytes) bytes")
        }
        guard options.offset % blockBytes == 0 else {
            throw .usage("--offset \(options.offset) is no multiple of the LUN's blocks of \(blockBytes) bytes")
        }
        let lunBytes = blockCount * blockBytes
        guard options.offset < lunBytes else {
            throw .usage("--offset \(options.offset) lies behind the end of the LUN of \(ByteSize.describe(lunBytes))")
        }
        let available = lunBytes - options.offset
        if let asked = options.areaByteCount, asked > available {
            throw .usage(
                "--area \(asked) from --offset \(options.offset) on is more than the LUN of "
                    + "\(ByteSize.describe(lunBytes)) has")
        }
        let byteCount =
            options.areaByteCount ?? (options.verifies ? min(available, LoadOptions.verifiedAreaLimit) : available)
        guard byteCount >= unitBytes else {
            throw .usage(
                "a command of \(ByteSize.describe(unitBytes)) does not fit in the \(ByteSize.describe(byteCount)) "
                    + "that the LUN has there")
        }
        return Area(
            firstLBA: options.offset / blockBytes, blocksPerUnit: UInt32(unitBytes / blockBytes),
            unitCount: byteCount / unitBytes)
    }
}
