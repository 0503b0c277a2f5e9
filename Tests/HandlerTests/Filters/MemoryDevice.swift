// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore

/// The device below a filter: memory that notes what it is asked, and ends requests when the test wants it.
final class MemoryDevice: BlockDevice, @unchecked Sendable {
    enum Ending { case inline, deferred, onOtherThread }

    let blockByteCount = 512
    private let condition = NSCondition()
    private var bytes: [UInt8]
    private var operations: [BlockRequest.Operation] = []
    private var waiting: [BlockRequest] = []
    private var turns = 0
    private var cancelledOffsets: [UInt64] = []

    // Set by the test before it asks anything.
    var ending = Ending.inline
    var features = BlockDeviceFeatures()
    var blockCount: UInt64
    /// Answers to what is no read, write or flush.
    var answer: (BlockRequest) -> BlockOutcome = { _ in .good }

    init(blockCount: UInt64 = 256) {
        self.blockCount = blockCount
        bytes = [UInt8](repeating: 0, count: Int(blockCount) * 512)
    }

    var canMapReads: Bool { true }
    var copiesWrites: Bool { true }
    var asked: [BlockRequest.Operation] { condition.withLock { operations } }
    var turnCount: Int { condition.withLock { turns } }
    var contents: [UInt8] {
        get { condition.withLock { bytes } }
        set { condition.withLock { bytes = newValue } }
    }

    /// Byte offsets of the requests whose end was wanted soon.
    var cancelled: [UInt64] { condition.withLock { cancelledOffsets } }

    func cancel(_ request: BlockRequest) {
        let isWanted = request.isCancelled
        condition.withLock { cancelledOffsets.append(isWanted ? request.byteOffset : .max) }
    }

    func cancelIfOverdue(_ request: BlockRequest) { condition.withLock { cancelledOffsets.append(request.byteOffset) } }

    func submissionsEnded() { condition.withLock { turns += 1 } }

    func submit(_ request: BlockRequest) {
        condition.withLock {
            operations.append(request.operation)
            if ending == .deferred { waiting.append(request) }
            condition.broadcast()
        }
        switch ending {
        case .inline: request.complete(perform(request))
        case .deferred: break
        case .onOtherThread: Thread.detachNewThread { request.complete(self.perform(request)) }
        }
    }

    /// Waits until so many requests have come, each of which counts.
    func waits(for count: Int) -> Bool {
        let deadline = Date(timeIntervalSinceNow: 30)
        return condition.withLock {
            while operations.count < count {
                guard condition.wait(until: deadline) else { return false }
            }
            return true
        }
    }

    /// Ends all that wait, oldest first.
    func completeAll() {
        let requests = condition.withLock {
            defer { waiting = [] }
            return waiting
        }
        for request in requests { request.complete(perform(request)) }
    }

    private func perform(_ request: BlockRequest) -> BlockOutcome {
        let start = Int(request.byteOffset)
        switch request.operation {
        case .read:
            condition.withLock { request.buffer.copyBytes(from: bytes[start..<start + request.buffer.count]) }
        case .write:
            condition.withLock { bytes.replaceSubrange(start..<start + request.buffer.count, with: request.buffer) }
        case .flush: break
        default: return answer(request)
        }
        return .good
    }
}

extension FaultOptions {
    /// As an operator writes them.
    init(text: String) throws { try self.init(FilterChainText.split("fault:\(text)+ram/1M").filters[0]) }
}

extension FaultFilter {
    convenience init(_ text: String, over inner: any BlockDevice) throws {
        try self.init(
            FaultOptions(text: text), over: inner, FilterContext(deviceName: "memory", diagnostics: .silent),
            description: "fault:\(text)")
    }

    func count(_ name: String) -> UInt64 { counters[name] ?? .max }
}

/// Starts requests without waiting for them, and notes in which order they end.
final class Finishers: @unchecked Sendable {
    private let condition = NSCondition()
    private var ended: [Int] = []
    private var loops: [Finisher] = []
    let requests: [BlockRequest]

    /// Requests with no memory: flushes.
    init(count: Int) {
        let loops = (0..<count).map { Finisher(number: $0) }
        requests = loops.map { BlockRequest(loop: $0) }
        self.loops = loops
        for loop in loops { loop.owner = self }
    }

    func start(_ number: Int, on device: any BlockDevice) {
        if requests[number].start(on: device) { note(number) }
    }

    func startAll(on device: any BlockDevice) {
        for number in requests.indices { start(number, on: device) }
        device.submissionsEnded()
    }

    fileprivate func note(_ number: Int) {
        condition.withLock {
            ended.append(number)
            condition.broadcast()
        }
    }

    /// In the order of their ends, when so many have ended or half a minute is over.
    func order(of count: Int) -> [Int] {
        let deadline = Date(timeIntervalSinceNow: 30)
        return condition.withLock {
            while ended.count < count {
                guard condition.wait(until: deadline) else { break }
            }
            return ended
        }
    }
}

private final class Finisher: OwnerLoop, @unchecked Sendable {
    let number: Int
    weak var owner: Finishers?

    init(number: Int) { self.number = number }

    func post(_ request: BlockRequest) { owner?.note(number) }
    func perform(_ work: @escaping @Sendable () -> Void) { work() }
}
