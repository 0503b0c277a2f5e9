// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerKit
import PluginStore
import Synchronization

@c(handler_init)
public func handlerInit() -> Int32 { registerHandler(AsynchronousHandler.self) }

/// Every callout of an asynchronous handler. The words of the configuration string change what it does.
final class AsynchronousHandler: AsyncBlockHandler {
    static let subtype: StaticString = "kitasync"
    static let name: StaticString = "Asynchronous"
    static let configurationDescription: StaticString = "words"
    static let commandLimit = 8

    let device: HostDevice
    let store: MemoryStore
    let words: String
    let gate = Gate()

    init(_ device: HostDevice) async throws(HandlerRefusal) {
        await Task.yield()
        words = device.configuration.rest
        guard words != "refuse" else { throw HandlerRefusal(code: EIO, reason: "it was asked to refuse") }
        self.device = device
        store = MemoryStore(byteCount: Int(device.blockCount) * Int(device.blockByteCount))
        device.hasVolatileWriteCache = words == "cache"
    }

    func close() async {
        await Task.yield()
        device.log(.information, "closed after \(store.calls)")
    }

    func read(into buffer: inout CommandBuffer, at byteOffset: UInt64) async throws(HandlerError) {
        switch words {
        case "errors": try Failures.check(byteOffset)
        case "gate":
            try await gate.pass { count in
                if count == Self.commandLimit { device.log(.information, "\(count) are at the gate") }
            }
        case "block": gate.block()
        default: await Task.yield()
        }
        var bytes = buffer.mutableBytes
        store.read(into: &bytes, at: byteOffset)
    }

    func write(_ buffer: borrowing CommandBuffer, at byteOffset: UInt64) async throws(HandlerError) {
        store.write(buffer.bytes, at: byteOffset)
        await Task.yield()
    }

    func flush() async throws(HandlerError) {
        await Task.yield()
        store.note("flush")
    }
}

extension AsynchronousHandler: AsyncUnmappingHandler, AsyncWriteSameHandler, AsyncZeroingHandler {
    static let unmappedReadsZero = true

    func unmap(at byteOffset: UInt64, byteCount: UInt64) async throws(HandlerError) {
        store.note("unmap")
        store.zero(at: byteOffset, byteCount: byteCount, keepsStorage: false)
    }

    func writeSame(
        _ block: borrowing CommandBuffer, at byteOffset: UInt64, byteCount: UInt64
    ) async throws(HandlerError) {
        store.note("writeSame")
        store.writeSame(block.bytes, at: byteOffset, byteCount: byteCount)
    }

    func writeZeroes(at byteOffset: UInt64, byteCount: UInt64, mayUnmap: Bool) async throws(HandlerError) {
        store.note("writeZeroes")
        store.zero(at: byteOffset, byteCount: byteCount, keepsStorage: !mayUnmap)
    }
}

extension AsynchronousHandler: AsyncCompareAndWriteHandler, AsyncBlockStatusHandler {
    func compareAndWrite(
        expected: borrowing CommandBuffer, new: borrowing CommandBuffer, at byteOffset: UInt64
    ) async throws(HandlerError) {
        store.note("compareAndWrite")
        try store.compareAndWrite(expected.bytes, new.bytes, at: byteOffset)
    }

    func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) async throws(HandlerError) {
        await Task.yield()
        store.note("blockStatus")
        store.status(at: byteOffset, byteCount: byteCount, into: &extents)
    }
}

extension AsynchronousHandler: AsyncCommandHandler, ResizingHandler, HealthReportingHandler {
    func handles(_ cdb: Span<UInt8>) -> Bool { Request(cdb) != nil }

    func handleCommand(_ command: inout HandlerCommand) async throws(HandlerError) {
        await Task.yield()
        switch Request(command.cdb) {
        case .loseConnection: device.connectionLost()
        case .grow:
            store.resize(byteCount: 2 << 20)
            device.sizeChanged(toByteCount: 2 << 20)
        case .answerCalls: command.answer(Array(store.calls.utf8))
        case .answerIsReopening: command.answer([device.isReopening ? 1 : 0])
        case .answerSerialNumber: command.answer(Array((device.serialNumber ?? "").utf8))
        case .answerReceived: command.answer(command.receivedData().reversed())
        case .answerMostAtOnce: command.answer([UInt8(gate.mostAtOnce)])
        case .fail: throw .sense(key: 0x05, code: 0x2400)
        case nil: throw .notSupported
        }
    }

    /// Opens the gate, too: no command has to pass it for that.
    func resize(toByteCount byteCount: UInt64) throws(HandlerRefusal) {
        gate.open()
        store.resize(byteCount: Int(byteCount))
    }

    var health: DeviceHealth { words == "degraded" ? .degraded("half of it is gone") : .good }
}

/// What reads wait for: in their task, or, against the rules, with the thread that it runs in.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
        var next = 0
        var inside = 0
        var mostAtOnce = 0
    }

    private let state = Mutex(State())
    private let semaphore = DispatchSemaphore(value: 0)

    var mostAtOnce: Int { state.withLock { $0.mostAtOnce } }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for continuation in waiting { continuation.resume() }
        semaphore.signal()
    }

    /// Throws early when the task is cancelled.
    func pass(_ report: (Int) -> Void) async throws(HandlerError) {
        let (number, inside) = state.withLock { state in
            state.inside += 1
            state.mostAtOnce = max(state.mostAtOnce, state.inside)
            state.next += 1
            return (state.next, state.inside)
        }
        report(inside)
        defer { state.withLock { $0.inside -= 1 } }
        do {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { wait($0, number) }
            } onCancel: {
                state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(throwing: CancellationError())
            }
        } catch {
            throw .timeout
        }
    }

    /// In the task: one that was cancelled before it came here goes on at once.
    private func wait(_ continuation: CheckedContinuation<Void, any Error>, _ number: Int) {
        let result: Result<Void, any Error>? = state.withLock { state in
            if state.isOpen { return .success(()) }
            if Task.isCancelled { return .failure(CancellationError()) }
            state.waiting[number] = continuation
            return nil
        }
        if let result { continuation.resume(with: result) }
    }

    func block() { semaphore.wait() }
}
