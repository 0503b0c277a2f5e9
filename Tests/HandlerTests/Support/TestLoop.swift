// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import SCSI
import TargetCore

/// An owner that waits for its requests in the test's thread.
final class TestLoop: OwnerLoop, @unchecked Sendable {
    private let condition = NSCondition()
    private var ended: [ObjectIdentifier: Int] = [:]

    func post(_ request: BlockRequest) {
        condition.withLock {
            ended[ObjectIdentifier(request), default: 0] += 1
            condition.broadcast()
        }
    }

    func perform(_ work: @escaping @Sendable () -> Void) { work() }

    /// Waits until `request` has been posted.
    func wait(for request: BlockRequest) {
        condition.withLock {
            while ended[ObjectIdentifier(request), default: 0] == 0 { condition.wait() }
            ended[ObjectIdentifier(request)]! -= 1
        }
    }
}

/// A request with memory of its own, page-aligned.
final class TestRequest: @unchecked Sendable {
    let loop = TestLoop()
    let request: BlockRequest
    private let memory: UnsafeMutableRawBufferPointer

    init(_ operation: BlockRequest.Operation, at byteOffset: UInt64 = 0, byteCount: Int = 0, extent: UInt64? = nil) {
        memory = .allocate(byteCount: max(byteCount, 1), alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        request = BlockRequest(loop: loop)
        request.operation = operation
        request.byteOffset = byteOffset
        request.extentByteCount = extent ?? UInt64(byteCount)
        request.buffer = UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount])
    }

    convenience init(cdb: [UInt8], byteCount: Int = 0) {
        self.init(.passthrough, byteCount: byteCount)
        request.cdb = CommandDescriptorBlock(cdb)!
    }

    convenience init(write bytes: [UInt8], at byteOffset: UInt64) {
        self.init(.write, at: byteOffset, byteCount: bytes.count)
        memory.copyBytes(from: bytes)
    }

    deinit { memory.deallocate() }

    var bytes: [UInt8] { Array(request.buffer) }

    /// Starts it without waking anybody. True when it has ended already.
    func start(on device: any BlockDevice) -> Bool { request.start(on: device) }

    /// Runs it to its end.
    @discardableResult
    func run(on device: any BlockDevice) -> BlockOutcome {
        if !start(on: device) {
            device.submissionsEnded()
            loop.wait(for: request)
        }
        return request.outcome
    }
}

extension BlockDevice {
    func read(_ byteCount: Int, at offset: UInt64) -> (outcome: BlockOutcome, bytes: [UInt8]) {
        let request = TestRequest(.read, at: offset, byteCount: byteCount)
        return (request.run(on: self), request.bytes)
    }

    func write(_ bytes: [UInt8], at offset: UInt64) -> BlockOutcome {
        TestRequest(write: bytes, at: offset).run(on: self)
    }
}

/// One block that begins with `text`.
func block(_ text: String, byteCount: Int = 512) -> [UInt8] {
    Array(text.utf8) + [UInt8](repeating: 0x20, count: byteCount - text.utf8.count)
}
