// SPDX-License-Identifier: Apache-2.0

import Foundation
import SCSI
import Synchronization
import TargetCore

/// A store of blocks in memory that ends its requests in every way that the contract allows, and in one that it does
/// not.
final class FakeDevice: BlockDevice, @unchecked Sendable {
    enum Ending: Sendable {
        /// Before `submit` returns.
        case inline
        /// When the test calls `completeNext` or `completeAll`.
        case deferred
        /// By a thread of its own.
        case onOtherThread
        /// Inline, and then once more with a failure.
        case twice
    }

    struct Entry: Equatable {
        var operation: BlockRequest.Operation
        var byteOffset: UInt64 = 0
        var extentByteCount: UInt64 = 0
        /// Of `writeZeroes`.
        var mayUnmap = false

        /// In blocks of 512 bytes.
        static func at(
            _ operation: BlockRequest.Operation, _ lba: UInt64, _ count: UInt64, mayUnmap: Bool = false
        ) -> Entry {
            Entry(operation: operation, byteOffset: lba * 512, extentByteCount: count * 512, mayUnmap: mayUnmap)
        }
    }

    let blockByteCount: Int
    private let lock = NSLock()
    private var storedBlockCount: UInt64
    private var storedFeatures: BlockDeviceFeatures
    private var storedResources: MappingResources?
    private var bytes: [UInt8]
    private var entries: [Entry] = []
    private var waiting: [BlockRequest] = []
    private var endedTurns = 0
    private var cancelled: [BlockRequest.Operation] = []
    private var askedWhetherOverdue: [BlockRequest.Operation] = []

    // Set by the test's thread between commands.
    var ending = Ending.inline
    /// The outcome of the requests for which it is not nil; those touch nothing.
    var failure: (BlockRequest.Operation) -> BlockOutcome? = { _ in nil }
    var answersPassthrough: (BlockRequest) -> BlockOutcome = { _ in .notHandled }
    var extents: [BlockStatusExtent] = []

    init(blockCount: UInt64 = 1024, blockByteCount: Int = 512, features: BlockDeviceFeatures = .init()) {
        self.blockByteCount = blockByteCount
        storedBlockCount = blockCount
        storedFeatures = features
        bytes = [UInt8](repeating: 0, count: Int(min(blockCount, 65536)) * blockByteCount)
    }

    var blockCount: UInt64 {
        get { lock.withLock { storedBlockCount } }
        set { lock.withLock { storedBlockCount = newValue } }
    }

    var features: BlockDeviceFeatures {
        get { lock.withLock { storedFeatures } }
        set { lock.withLock { storedFeatures = newValue } }
    }

    var log: [Entry] { lock.withLock { entries } }
    var operations: [BlockRequest.Operation] { log.map(\.operation) }
    var turns: Int { lock.withLock { endedTurns } }
    var waitingCount: Int { lock.withLock { waiting.count } }
    func forgetLog() { lock.withLock { entries = [] } }

    var mappingResources: MappingResources? {
        get { lock.withLock { storedResources } }
        set { lock.withLock { storedResources = newValue } }
    }

    var contents: [UInt8] {
        get { lock.withLock { bytes } }
        set { lock.withLock { bytes = newValue } }
    }

    func block(_ lba: Int) -> [UInt8] {
        Array(contents[lba * blockByteCount..<(lba + 1) * blockByteCount])
    }

    /// Operations whose end was wanted soon; they end when the test says so, or at once.
    var cancelledOperations: [BlockRequest.Operation] { lock.withLock { cancelled } }
    var overdueOperations: [BlockRequest.Operation] { lock.withLock { askedWhetherOverdue } }
    var endsCancelled = false

    func cancel(_ request: BlockRequest) {
        let isWaiting = lock.withLock {
            cancelled.append(request.operation)
            guard endsCancelled, let index = waiting.firstIndex(where: { $0 === request }) else { return false }
            waiting.remove(at: index)
            return true
        }
        if isWaiting { request.complete(.failed(.busy, nil)) }
    }

    func cancelIfOverdue(_ request: BlockRequest) {
        lock.withLock { askedWhetherOverdue.append(request.operation) }
    }

    func submissionsEnded() { lock.withLock { endedTurns += 1 } }

    func submit(_ request: BlockRequest) {
        lock.withLock {
            entries.append(
                Entry(
                    operation: request.operation, byteOffset: request.byteOffset,
                    extentByteCount: request.extentByteCount,
                    mayUnmap: request.operation == .writeZeroes && request.mayUnmap))
        }
        switch ending {
        case .inline:
            request.complete(perform(request))
        case .twice:
            request.complete(perform(request))
            request.complete(.failed(.checkCondition, .internalTargetFailure))
        case .deferred:
            lock.withLock { waiting.append(request) }
        case .onOtherThread:
            Thread.detachNewThread { request.complete(self.perform(request)) }
        }
    }

    /// Ends the oldest request that waits. False when there is none.
    @discardableResult
    func completeNext() -> Bool {
        let next: BlockRequest? = lock.withLock { waiting.isEmpty ? nil : waiting.removeFirst() }
        guard let next else { return false }
        next.complete(perform(next))
        return true
    }

    func completeAll() {
        while completeNext() {}
    }

    private func perform(_ request: BlockRequest) -> BlockOutcome {
        if let outcome = failure(request.operation) { return outcome }
        return lock.withLock { performLocked(request) }
    }

    private func performLocked(_ request: BlockRequest) -> BlockOutcome {
        let start = Int(request.byteOffset)
        let length = Int(request.extentByteCount)
        if request.operation != .flush && request.operation != .passthrough {
            guard start + length <= bytes.count else { return .failed(.checkCondition, .writeError()) }
        }
        switch request.operation {
        case .read:
            for index in 0..<length { request.buffer[index] = bytes[start + index] }
        case .write:
            for index in 0..<length { bytes[start + index] = request.buffer[index] }
        case .flush:
            break
        case .unmap, .writeZeroes:
            for index in 0..<length { bytes[start + index] = 0 }
        case .writeSame:
            for index in 0..<length { bytes[start + index] = request.buffer[index % blockByteCount] }
        case .compareAndWrite:
            for index in 0..<length where bytes[start + index] != request.buffer[index] {
                return .miscompare(atByte: UInt64(index))
            }
            for index in 0..<length { bytes[start + index] = request.buffer[length + index] }
        case .blockStatus:
            request.extents = extents
        case .passthrough:
            return answersPassthrough(request)
        }
        return .good
    }
}
