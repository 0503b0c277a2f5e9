// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI

/// A SCSI command as the initiator sent it.
@safe
public struct HandlerCommand: ~Copyable, @unchecked Sendable {
    // Sendable: one method at a time has it, and the host leaves the command alone until it has ended.
    private let command: UnsafeMutablePointer<tcmulib_cmd>
    private let cdbByteCount: Int
    private let elements: UnsafeMutableBufferPointer<iovec>
    /// Bytes of data that the command asks for or brings.
    public let dataByteCount: Int

    /// Nil when the CDB does not tell its own length: no such command is for a handler.
    ///
    /// `pointer` and what it points to are the host's, until the command is completed.
    init?(_ pointer: UnsafeMutablePointer<tcmur_cmd>) {
        guard let command = unsafe pointer.pointee.lib_cmd, let cdb = unsafe command.pointee.cdb else { return nil }
        let byteCount = unsafe tcmu_cdb_get_length(cdb)
        guard byteCount > 0 else { return nil }
        unsafe self.command = command
        cdbByteCount = Int(byteCount)
        unsafe elements = UnsafeMutableBufferPointer(start: command.pointee.iovec, count: command.pointee.iov_cnt)
        dataByteCount = unsafe elements.reduce(0) { unsafe $0 + $1.iov_len }
    }

    /// The command descriptor block: 6, 10, 12 or 16 bytes, or the length of a variable one.
    public var cdb: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            // The initializer has seen that it is there and how long it is.
            unsafe _overrideLifetime(
                Span(_unsafeStart: UnsafePointer(command.pointee.cdb), count: cdbByteCount), borrowing: self)
        }
    }

    /// The first byte of the CDB.
    public var operationCode: UInt8 { cdb[0] }

    /// Copies what the initiator sent with the command (the data-out buffer).
    public func receivedData() -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: dataByteCount) { room, count in
            for index in unsafe elements.indices {
                let element = unsafe elements[index]
                // The lengths add up to the capacity.
                unsafe UnsafeMutableRawBufferPointer(room).baseAddress?.advanced(by: count)
                    .copyMemory(from: element.iov_base, byteCount: element.iov_len)
                unsafe count += element.iov_len
            }
        }
    }

    /// Answers with `data` (the data-in buffer), behind what was answered before. What the command has no room for is
    /// left out, as the standard has it of allocation lengths.
    ///
    /// - Returns: the bytes taken.
    @discardableResult
    public mutating func answer(_ data: [UInt8]) -> Int {
        // The callee reads `data` and no more than its length; the prototype lacks the const.
        unsafe data.withUnsafeBytes { bytes in
            unsafe tcmu_memcpy_into_iovec(
                elements.baseAddress, elements.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        }
    }
}
