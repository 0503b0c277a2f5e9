// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// Work on a whole medium that goes on whatever becomes of the command that asked for it, and of its nexus: a format or
/// sanitize operation, or a self-test.
///
/// It runs on the loop of the nexus that asked, one request after the other, and gives the loop back in between. A loop
/// that ends takes it along where it is: requests are short, so the device can be closed once the one under way has
/// ended, and what the operation has noted as durable says that it was cut off.
@safe
final class BackgroundOperation: @unchecked Sendable {
    enum Kind: Sendable, Equatable {
        case sanitize, format
        /// In foreground mode other commands are kept out meanwhile.
        case selfTest(SendDiagnosticRequest.SelfTestCode, isForeground: Bool)

        var canBeCancelled: Bool {
            switch self {
            case .sanitize, .format: false
            case .selfTest: true
            }
        }
    }

    enum Outcome: Sendable, Equatable {
        case good
        /// Before anything was touched: what it needs to be durable could not be saved.
        case notBegun
        /// In the stage so numbered, from 0; `lba` is the first block of the request that failed.
        case failed(stage: Int, lba: UInt64?, SenseData)
        case cancelled(SelfTestResult.Outcome)
    }

    let kind: Kind
    let unit: LogicalUnit
    let loop: any OwnerLoop
    /// PROGRESS INDICATION: 0 to 65,535.
    var progress: UInt16 { UInt16(doneParts.load(ordering: .relaxed)) }

    private let doneParts = Atomic<UInt32>(0)
    /// Zero, or SELF-TEST RESULTS.
    private let cancelReason = Atomic<UInt8>(0)
    private let isCutOff = Atomic<Bool>(false)

    // All that follows belongs to the loop's thread.
    private let stages: [OperationStage]
    private let cdb: CommandDescriptorBlock
    private let completion: (Outcome) -> Void
    private var stageIndex = 0
    /// Blocks that the stage is through with.
    private var position: UInt64 = 0
    private var sampleIndex = 0
    private var blocksBefore: UInt64 = 0
    private var memory = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// Nil until it has ended.
    private(set) var outcome: Outcome?
    private var waiters: [(task: SCSITask, nexus: ITNexus, untilEnd: Bool)] = []

    /// `completion` is called in the loop's thread, before those that wait.
    init(
        _ kind: Kind, on unit: LogicalUnit, loop: any OwnerLoop, cdb: CommandDescriptorBlock,
        stages: [OperationStage], completion: @escaping (Outcome) -> Void
    ) {
        self.kind = kind
        self.unit = unit
        self.loop = loop
        self.cdb = cdb
        self.stages = stages
        self.completion = completion
    }

    // MARK: - Those who wait. In the loop's thread

    /// Resumes `task` when the operation has begun, or ended.
    func wait(_ task: SCSITask, on nexus: ITNexus, untilEnd: Bool) {
        task.operation = self
        waiters.append((task, nexus, untilEnd))
    }

    /// `task` was aborted: it waits no longer. False: it did not wait here.
    func leave(_ task: SCSITask) -> Bool {
        guard let index = waiters.firstIndex(where: { $0.task === task }) else { return false }
        waiters.remove(at: index)
        // A self-test in foreground mode is its command; a format or sanitize operation is not.
        if case .selfTest(_, isForeground: true) = kind { cancel(.abortedOtherwise) }
        return true
    }

    private func tell(_ hasEnded: Bool) {
        let told = waiters.filter { hasEnded || !$0.untilEnd }
        waiters.removeAll { hasEnded || !$0.untilEnd }
        for waiter in told { waiter.nexus.resume(waiter.task) }
    }

    // MARK: - Its way

    /// From any thread. It ends after the request under way.
    func cancel(_ outcome: SelfTestResult.Outcome) { cancelReason.store(outcome.rawValue, ordering: .relaxed) }

    /// As by the end of the process, but the device is left in peace after the request under way. From any thread.
    func cutOff() { isCutOff.store(true, ordering: .relaxed) }

    /// In the loop's thread. Nothing has ended when this returns.
    func start() {
        let request = unit.operations.request(for: loop)
        request.cdb = cdb
        request.resumption = { [self] in requestEnded() }
        loop.perform { [self] in goOn() }
    }

    private func goOn() {
        while stageIndex < stages.count {
            if isCutOff.load(ordering: .relaxed) { break }
            if let reason = SelfTestResult.Outcome(rawValue: cancelReason.load(ordering: .relaxed)),
                reason != .completedWithoutError, kind.canBeCancelled
            {
                return end(.cancelled(reason))
            }
            switch stages[stageIndex] {
            case .save(let change):
                return save(change)
            case .flush:
                guard position == 0, unit.features.canFlush else {
                    nextStage()
                    continue
                }
                position = 1
                unit.operations.request.prepare(.flush)
                unsafe unit.operations.request.buffer = .init(start: nil, count: 0)
                return submit()
            case .fill, .zero, .deallocate, .compare, .read:
                guard let piece = nextPiece() else {
                    nextStage()
                    continue
                }
                prepare(piece)
                return submit()
            }
        }
        if stageIndex < stages.count { letGo() } else { end(.good) }
    }

    private func nextStage() {
        blocksBefore += stages[stageIndex].isPass ? unit.blockCount : 0
        stageIndex += 1
        position = 0
        sampleIndex = 0
        unsafe memory.deallocate()
        unsafe memory = .init(start: nil, count: 0)
        // What the first stage saves has been saved.
        tell(false)
    }

    private func submit() {
        let request = unit.operations.request
        let hasEnded = request.start(on: unit.device)
        unit.device.submissionsEnded()
        // Other work of the loop comes in between.
        if hasEnded { loop.perform { [self] in requestEnded() } }
    }

    private func requestEnded() {
        let request = unit.operations.request
        let isPass = stages[stageIndex].isPass
        let lba = request.byteOffset / UInt64(unit.blockByteCount)
        guard request.outcome == .good else {
            let failure = RequestFailure(request.outcome)
            let sense = failure.sense ?? SenseData(.hardwareError, .internalTargetFailure)
            return end(.failed(stage: stageIndex, lba: isPass ? lba : nil, sense))
        }
        if case .compare(let block, _) = stages[stageIndex], !holds(block, byteCount: unsafe request.buffer.count) {
            return end(.failed(stage: stageIndex, lba: lba, .miscompare()))
        }
        if isPass { pieceDone(lba + request.extentByteCount / UInt64(unit.blockByteCount)) }
        goOn()
    }

    private func save(_ change: @escaping @Sendable (inout DurableUnitState) -> Void) {
        guard unit.durable.isAvailable else {
            nextStage()
            return goOn()
        }
        let loop = loop
        unit.durable.save(change) { [self] isSaved in
            loop.perform { [self] in
                guard isSaved else {
                    let failure = Outcome.failed(stage: stageIndex, lba: nil, .internalTargetFailure)
                    return end(stageIndex == 0 ? .notBegun : failure)
                }
                nextStage()
                goOn()
            }
        }
    }

    private func end(_ outcome: Outcome) {
        self.outcome = outcome
        completion(outcome)
        letGo()
        tell(true)
    }

    private func letGo() {
        unsafe memory.deallocate()
        unsafe memory = .init(start: nil, count: 0)
        unit.operations.request.resumption = nil
        unit.operations.ended(self)
    }

    // MARK: - Pieces of a pass

    private func nextPiece() -> (range: BlockRange, operation: BlockRequest.Operation)? {
        let blockCount = unit.blockCount
        guard position < blockCount else { return nil }
        let rest = BlockRange(lba: position, count: blockCount - position)
        let short = BlockRange(lba: position, count: min(rest.count, MediumAccess.pieceBlockCount(on: unit)))
        switch stages[stageIndex] {
        case .read, .compare:
            return (short, .read)
        case .zero where unit.features.canWriteZeroes:
            return (BlockRange(lba: position, count: min(rest.count, OperationStage.zeroBlockCount)), .writeZeroes)
        case .deallocate:
            let piece = UnmapGrid(unit.features).firstPiece(of: rest)
            if piece.isAligned { return (piece.range, .unmap) }
            let isZeroed = unit.features.canWriteZeroes
            let longest = isZeroed ? OperationStage.zeroBlockCount : short.count
            let range = BlockRange(lba: position, count: min(piece.range.count, longest))
            return (range, isZeroed ? .writeZeroes : .write)
        case .fill, .zero, .flush, .save:
            return (short, .write)
        }
    }

    private func prepare(_ piece: (range: BlockRange, operation: BlockRequest.Operation)) {
        let request = unit.operations.request
        let blockByteCount = UInt64(unit.blockByteCount)
        request.prepare(
            piece.operation, byteOffset: piece.range.lba * blockByteCount,
            extentByteCount: piece.range.count * blockByteCount)
        request.mayUnmap = stages[stageIndex].mayUnmap
        unsafe request.buffer = .init(start: nil, count: 0)
        if piece.operation == .read || piece.operation == .write {
            fillMemory()
            // Safe: the memory is a piece long, and stays until the stage or the operation has ended.
            unsafe request.buffer = .init(rebasing: memory[..<MediumAccess.byteCount(piece.range.count, on: unit)])
        }
    }

    /// Page-aligned memory for a piece, with what the stage writes.
    private func fillMemory() {
        guard unsafe memory.isEmpty else { return }
        let byteCount = MediumAccess.byteCount(MediumAccess.pieceBlockCount(on: unit), on: unit)
        unsafe memory = .allocate(byteCount: byteCount, alignment: 4096)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
        guard case .fill(let block) = stages[stageIndex] else { return }
        for start in stride(from: 0, to: byteCount, by: block.count) {
            unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + block.count]).copyBytes(from: block)
        }
    }

    /// Whether what was read is `block` over and over.
    private func holds(_ block: [UInt8], byteCount: Int) -> Bool {
        for start in stride(from: 0, to: byteCount, by: block.count) {
            let read = unsafe UnsafeRawBufferPointer(rebasing: memory[start..<start + block.count])
            guard unsafe read.elementsEqual(block) else { return false }
        }
        return true
    }

    private func pieceDone(_ end: UInt64) {
        let blockCount = unit.blockCount
        position = end
        if let count = stages[stageIndex].sampleCount, end < blockCount {
            // Spread evenly; the last one ends with the medium.
            sampleIndex += 1
            let last = blockCount - min(blockCount, MediumAccess.pieceBlockCount(on: unit))
            let isLast = sampleIndex >= count
            position = isLast ? blockCount : max(end, last * UInt64(sampleIndex) / UInt64(max(1, count - 1)))
        }
        let passCount = UInt64(stages.count { $0.isPass })
        // At most 33 passes of fewer than 2^54 blocks: nothing overflows.
        let all = max(1, blockCount * passCount)
        let done = min(all, blocksBefore + min(position, blockCount))
        let part: Double = Double(done) / Double(all)
        doneParts.store(UInt32(min(part * 65536, 65535)), ordering: .relaxed)
    }
}
