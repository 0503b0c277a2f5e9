// SPDX-License-Identifier: Apache-2.0

/// The data of one command, for a method that is asynchronous.
///
/// The memory is the host's, and is the command's until the method has ended. It cannot be copied or kept, so it cannot
/// be touched later: the compiler sees to that. Between one `await` and the next, look at it through its spans.
@safe
public struct CommandBuffer: ~Copyable, @unchecked Sendable {
    // Sendable: one method at a time has it, and the host leaves it alone meanwhile.
    private let memory: UnsafeMutableRawBufferPointer

    /// `memory` stays valid until the command is completed, which is after the buffer has gone.
    init(_ memory: UnsafeMutableRawBufferPointer) { unsafe self.memory = memory }

    /// Bytes of data.
    public var byteCount: Int { unsafe memory.count }

    /// The data.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // The memory outlives the buffer.
            unsafe _overrideLifetime(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory)), borrowing: self)
        }
    }

    /// The data, to be changed.
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            // The memory outlives the buffer, and nobody else has it.
            unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: memory), mutating: &self)
        }
    }

    /// Copies `source`, which is no longer than the buffer, to `byteOffset` bytes from its beginning.
    public mutating func copy(from source: RawSpan, toByteOffset byteOffset: Int = 0) {
        precondition(byteOffset >= 0 && source.byteCount <= byteCount - byteOffset, "the data do not fit the buffer")
        unsafe source.withUnsafeBytes { bytes in
            // Inside the buffer, as was checked.
            unsafe UnsafeMutableRawBufferPointer(rebasing: memory[byteOffset...]).copyMemory(from: bytes)
        }
    }

    /// The memory itself, for interfaces that take pointers and answer later.
    ///
    /// It is valid until the method that was given the buffer has ended: wait for the answer before that, also when
    /// the task has been cancelled.
    @unsafe public var unsafeMemory: UnsafeMutableRawBufferPointer { unsafe memory }
}
