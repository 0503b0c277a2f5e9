// SPDX-License-Identifier: Apache-2.0

import SCSI

// The one file that reaches into the buffer of a task. Each access is checked against what the transport leased;
// to lease less than the plan is a broken invariant, and traps.
extension SCSITask {
    /// Gives the request `byteCount` bytes of data from or for the initiator, from `offset`.
    func useData(at offset: Int = 0, byteCount: Int) {
        // Safe: slicing checks the bounds, and the transport keeps the memory until the task has ended.
        unsafe request.buffer = .init(rebasing: buffer[offset..<offset + byteCount])
    }

    /// Gives the request the first `byteCount` bytes of working memory.
    func useWork(byteCount: Int) {
        useData(at: plan.workOffset, byteCount: byteCount)
    }

    func useNoMemory() {
        unsafe request.buffer = .init(start: nil, count: 0)
    }

    /// A copy of the first `byteCount` bytes from the initiator, or of what came when that is less.
    private func received(_ byteCount: Int) -> [UInt8] {
        unsafe [UInt8](buffer[..<min(byteCount, receivedByteCount)])
    }

    /// Puts an answer at the start of the buffer, cut off at the allocation length.
    func respond(_ bytes: [UInt8]) -> CommandDescriptor.Step {
        let count = min(bytes.count, plan.toInitiator)
        unsafe buffer[..<count].copyBytes(from: bytes[..<count])
        return .finished(toInitiator: count)
    }

    /// Answers with what `body` writes, cut off at the allocation length.
    func respond(writing body: (inout ParameterDataWriter) -> Void) -> CommandDescriptor.Step {
        respond([UInt8](allocationLength: plan.toInitiator, writing: body))
    }

    /// The same, of an answer that `body` may refuse: then nothing is answered.
    func respondChecking(
        _ body: (inout ParameterDataWriter) throws(SenseData) -> Void
    ) throws(SenseData) -> CommandDescriptor.Step {
        var refusal: SenseData?
        let step = respond { writer in
            do throws(SenseData) { try body(&writer) } catch { refusal = error }
        }
        if let refusal { throw refusal }
        return step
    }

    /// The parameter list of `byteCount` bytes. Throws when fewer came: half a list is not looked at.
    func parameterList(_ byteCount: Int) throws(SenseData) -> [UInt8] {
        guard receivedByteCount >= byteCount else { throw .parameterListLengthError }
        return received(byteCount)
    }

    /// The offset of the first byte in which `byteCount` bytes of working memory differ from the data at `offset`;
    /// nil when they are equal.
    func firstDifference(fromDataAt offset: Int, byteCount: Int) -> Int? {
        let data = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + byteCount])
        let work = unsafe UnsafeRawBufferPointer(rebasing: buffer[plan.workOffset..<plan.workOffset + byteCount])
        return unsafe Self.firstDifference(data, work)
    }

    /// The same against one block of data that stands for each of the blocks; the offset counts within the block.
    func firstDifference(fromRepeatedBlock blockByteCount: Int, byteCount: Int) -> Int? {
        let block = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<blockByteCount])
        for start in stride(from: plan.workOffset, to: plan.workOffset + byteCount, by: blockByteCount) {
            let work = unsafe UnsafeRawBufferPointer(rebasing: buffer[start..<start + blockByteCount])
            if let offset = unsafe Self.firstDifference(block, work) { return offset }
        }
        return nil
    }

    /// The same of any two runs of bytes in the buffer.
    func firstDifference(at left: Int, from right: Int, byteCount: Int) -> Int? {
        unsafe Self.firstDifference(
            UnsafeRawBufferPointer(rebasing: buffer[left..<left + byteCount]),
            UnsafeRawBufferPointer(rebasing: buffer[right..<right + byteCount]))
    }

    /// Fills `byteCount` bytes of working memory with copies of the block at the start of the data, or with zeroes.
    func fillWork(withBlockOf blockByteCount: Int, isZero: Bool, byteCount: Int) {
        for start in stride(from: plan.workOffset, to: plan.workOffset + byteCount, by: blockByteCount) {
            let work = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + blockByteCount])
            if isZero {
                unsafe work.initializeMemory(as: UInt8.self, repeating: 0)
            } else {
                unsafe work.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<blockByteCount]))
            }
        }
    }

    /// Whether so many bytes that came from the initiator, which are there, are all zero.
    func isZero(byteCount: Int) -> Bool {
        unsafe UnsafeRawBufferPointer(rebasing: buffer[..<byteCount]).allSatisfy { $0 == 0 }
    }

    /// ORs `byteCount` bytes of working memory into the data at `offset`.
    func orWork(intoDataAt offset: Int, byteCount: Int) {
        let data = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + byteCount])
        let work = unsafe UnsafeRawBufferPointer(rebasing: buffer[plan.workOffset..<plan.workOffset + byteCount])
        // Safe: within both slices, which have the same size; blocks are multiples of a word.
        for start in stride(from: 0, to: byteCount, by: 8) {
            let word =
                unsafe data.loadUnaligned(fromByteOffset: start, as: UInt64.self)
                | work.loadUnaligned(fromByteOffset: start, as: UInt64.self)
            unsafe data.storeBytes(of: word, toByteOffset: start, as: UInt64.self)
        }
    }

    /// Word by word, then the bytes of the first word that differs. Both have the same size.
    private static func firstDifference(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int? {
        var offset = 0
        while offset + 8 <= left.count {
            // Safe: within both buffers, and every bit pattern is an integer.
            let isEqual =
                unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard isEqual else { break }
            offset += 8
        }
        while offset < left.count {
            if unsafe left[offset] != right[offset] { return offset }
            offset += 1
        }
        return nil
    }
}
