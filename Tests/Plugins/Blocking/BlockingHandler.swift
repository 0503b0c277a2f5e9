// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerKit
import PluginStore

@c(handler_init)
public func handlerInit() -> Int32 { registerHandler(BlockingHandler.self) }

/// Every callout of a handler that blocks. The words of the configuration string change what it does.
final class BlockingHandler: BlockHandler {
    static let subtype: StaticString = "kitblocking"
    static let name: StaticString = "Blocking"
    static let configurationDescription: StaticString = "words"
    static let threadCount = 4

    let device: HostDevice
    let store: MemoryStore
    private let words: String
    private let meeting = Meeting(size: BlockingHandler.threadCount)

    static func probe(_ configuration: StoreConfiguration) throws(HandlerRefusal) -> StoreDescription {
        guard configuration.rest != "nowhere" else {
            throw HandlerRefusal(code: ENOENT, reason: "there is no such store")
        }
        return StoreDescription(byteCount: 1 << 20, blockByteCount: 512)
    }

    init(_ device: HostDevice) throws(HandlerRefusal) {
        words = device.configuration.rest
        guard words != "refuse" else { throw HandlerRefusal(code: EIO, reason: "it was asked to refuse") }
        self.device = device
        store = MemoryStore(byteCount: Int(device.blockCount) * Int(device.blockByteCount))
        device.hasVolatileWriteCache = words == "cache"
        device.isSolidState = true
        device.setMaximumTransferLength(128)
        device.setUnmapGranularity(8)
        device.setMaximumUnmapLength(1024)
    }

    func close() { device.log(.information, "closed after \(store.calls)") }

    func read(into bytes: inout MutableRawSpan, at byteOffset: UInt64) throws(HandlerError) {
        if words == "errors" { try Failures.check(byteOffset) }
        if words == "meet" { meeting.wait() }
        store.read(into: &bytes, at: byteOffset)
    }

    func write(_ bytes: RawSpan, at byteOffset: UInt64) throws(HandlerError) { store.write(bytes, at: byteOffset) }

    func flush() throws(HandlerError) { store.note("flush") }
}

extension BlockingHandler: UnmappingHandler, WriteSameHandler, ZeroingHandler {
    static let unmappedReadsZero = true

    func unmap(at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError) {
        store.note("unmap")
        store.zero(at: byteOffset, byteCount: byteCount, keepsStorage: false)
    }

    func writeSame(_ block: RawSpan, at byteOffset: UInt64, byteCount: UInt64) throws(HandlerError) {
        store.note("writeSame")
        store.writeSame(block, at: byteOffset, byteCount: byteCount)
    }

    func writeZeroes(at byteOffset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(HandlerError) {
        store.note("writeZeroes")
        store.zero(at: byteOffset, byteCount: byteCount, keepsStorage: !mayUnmap)
    }
}

extension BlockingHandler: CompareAndWriteHandler, BlockStatusHandler {
    func compareAndWrite(expected: RawSpan, new: RawSpan, at byteOffset: UInt64) throws(HandlerError) {
        store.note("compareAndWrite")
        try store.compareAndWrite(expected, new, at: byteOffset)
    }

    func blockStatus(
        at byteOffset: UInt64, byteCount: UInt64, into extents: inout ExtentList
    ) throws(HandlerError) {
        store.note("blockStatus")
        store.status(at: byteOffset, byteCount: byteCount, into: &extents)
    }
}

extension BlockingHandler: CommandHandler, ResizingHandler, HealthReportingHandler {
    func handleCommand(_ command: inout HandlerCommand) throws(HandlerError) -> CommandResult {
        switch Request(command.cdb) {
        case .loseConnection: device.connectionLost()
        case .grow:
            store.resize(byteCount: 2 << 20)
            device.sizeChanged(toByteCount: 2 << 20)
        case .answerCalls: command.answer(Array(store.calls.utf8))
        case .answerIsReopening: command.answer([device.isReopening ? 1 : 0])
        case .answerSerialNumber: command.answer(Array((device.serialNumber ?? "").utf8))
        case .answerReceived: command.answer(command.receivedData().reversed())
        case .fail: throw .sense(key: 0x05, code: 0x2400)
        case .answerMostAtOnce, nil: return .notHandled
        }
        return .done
    }

    func resize(toByteCount byteCount: UInt64) throws(HandlerRefusal) {
        guard byteCount <= 4 << 20 else { throw HandlerRefusal(code: ENOSPC, reason: "there is no room") }
        store.note("resize")
        store.resize(byteCount: Int(byteCount))
    }

    var health: DeviceHealth {
        switch words {
        case "degraded": .degraded("half of it is gone")
        case "failed": .failed("all of it is gone")
        case "errors": .unknown
        default: .good
        }
    }
}

/// Lets threads go on when so many are there.
final class Meeting: @unchecked Sendable {
    private let condition = NSCondition()
    private let size: Int
    private var arrived = 0

    init(size: Int) { self.size = size }

    func wait() {
        condition.withLock {
            arrived += 1
            condition.broadcast()
            while arrived < size { condition.wait() }
        }
    }
}
