// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// READ BUFFER(10), (16) and WRITE BUFFER (SPC-4 6.18, 6.19, 6.49): a buffer of the unit in data mode, and an echo
/// buffer of each I_T_L nexus. Microcode and error history are refused.
enum BufferCommands {
    static let rows = [
        read("READ BUFFER(10)", .readBuffer10, [0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00]),
        read("READ BUFFER(16)", .readBuffer16, [0x1F] + [UInt8](repeating: 0xFF, count: 13) + [0x00]),
        CommandDescriptor(
            name: "WRITE BUFFER", opcode: .writeBuffer,
            usage: [0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00], data: .fromInitiator, reservation: .never,
            plan: { task, _ throws(SenseData) in
                let request = try BufferRequest(task.cdb)
                let room = try room(request)
                guard request.length <= room else { throw .invalidFieldInCDB(byte: request.lengthByte) }
                return TransferPlan(fromInitiator: request.length)
            },
            perform: write),
    ]

    private static func read(_ name: String, _ opcode: OperationCode, _ usage: [UInt8]) -> CommandDescriptor {
        CommandDescriptor(
            name: name, opcode: opcode, usage: usage, data: .toInitiator, reservation: .duringWriteExclusive,
            plan: { task, _ throws(SenseData) in
                let request = try BufferRequest(task.cdb)
                return TransferPlan(toInitiator: min(request.length, try room(request)))
            },
            perform: read)
    }

    /// Bytes that there are from BUFFER OFFSET on. Throws for an offset or a buffer that is not there. BUFFER ID and
    /// BUFFER OFFSET mean nothing to the echo buffer; the descriptors have no offset.
    private static func room(_ request: BufferRequest) throws(SenseData) -> Int {
        switch request.mode {
        case .data:
            guard request.bufferID == 0 else { throw .invalidFieldInCDB(byte: request.bufferIDByte) }
            guard request.offset < UInt64(TargetLimits.bufferByteCount) else {
                throw .invalidFieldInCDB(byte: request.offsetByte)
            }
            return TargetLimits.bufferByteCount - Int(request.offset)
        case .echoBuffer:
            return BufferDescriptor.maximumEchoByteCount
        case .descriptor, .echoBufferDescriptor:
            guard request.offset == 0 else { throw .invalidFieldInCDB(byte: request.offsetByte) }
            return descriptorByteCount
        }
    }

    private static let descriptorByteCount = 4

    @Sendable
    private static func read(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let request = try BufferRequest(task.cdb)
        switch request.mode {
        case .data:
            return task.respond(nexus.unit.buffer.bytes(from: Int(request.offset), count: task.plan.toInitiator))
        case .descriptor:
            let byteCount = request.bufferID == 0 ? UInt32(TargetLimits.bufferByteCount) : 0
            return task.respond { BufferDescriptor.write(byteCount: byteCount, to: &$0) }
        case .echoBuffer:
            // Nothing has been written to it: SPC-4 6.18.7.
            guard let echo = nexus.echoBuffer else { throw .commandSequenceError }
            return task.respond(echo)
        case .echoBufferDescriptor:
            return task.respond {
                BufferDescriptor.writeEcho(byteCount: UInt16(BufferDescriptor.maximumEchoByteCount), to: &$0)
            }
        }
    }

    @Sendable
    private static func write(_ task: SCSITask, _ nexus: NexusUnit) throws(SenseData) -> CommandDescriptor.Step {
        let request = try BufferRequest(task.cdb)
        let bytes = try task.parameterList(request.length)
        switch request.mode {
        case .data: nexus.unit.buffer.store(bytes, at: Int(request.offset))
        case .echoBuffer: nexus.echoBuffer = bytes
        case .descriptor, .echoBufferDescriptor: throw .internalTargetFailure
        }
        return .finished(toInitiator: 0)
    }
}

/// The buffer of a logical unit that READ BUFFER and WRITE BUFFER reach in data mode: shared by all initiators, zeroes
/// until somebody writes to it, and memory only from then on.
final class UnitBuffer: Sendable {
    private let contents = Mutex<[UInt8]>([])

    /// A range within the buffer.
    func bytes(from offset: Int, count: Int) -> [UInt8] {
        contents.withLock { contents in
            contents.isEmpty ? [UInt8](repeating: 0, count: count) : Array(contents[offset..<offset + count])
        }
    }

    /// At a place where the bytes fit.
    func store(_ bytes: [UInt8], at offset: Int) {
        contents.withLock { contents in
            if contents.isEmpty { contents = [UInt8](repeating: 0, count: TargetLimits.bufferByteCount) }
            contents.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
    }
}
