// SPDX-License-Identifier: Apache-2.0

/// Bytes by which what a command moves differs from what the initiator expected (RFC 7143 11.4.5).
public struct Residual: Equatable, Sendable {
    public enum Amount: Equatable, Sendable {
        case none
        /// So many of the expected bytes were not moved.
        case underflow(UInt32)
        /// So many more would have been moved.
        case overflow(UInt32)
    }

    /// Of the command's only direction; of a bidirectional command the data from the initiator.
    public var amount: Amount
    /// Of a bidirectional command the data to the initiator.
    public var bidirectionalRead: Amount

    public static let none = Residual(amount: .none)

    @inlinable
    public init(amount: Amount, bidirectionalRead: Amount = .none) {
        self.amount = amount
        self.bidirectionalRead = bidirectionalRead
    }

    /// By direction: bytes that the initiator expected, and bytes that the command moves by itself. A command whose
    /// initiator expected both directions is bidirectional. Bytes in a direction that the initiator did not expect
    /// count only when it expected none at all.
    @inlinable
    public init(
        expectedToInitiator: Int, actualToInitiator: Int, expectedFromInitiator: Int, actualFromInitiator: Int
    ) {
        let to = Self.of(expected: expectedToInitiator, actual: actualToInitiator)
        let from = Self.of(expected: expectedFromInitiator, actual: actualFromInitiator)
        if expectedToInitiator > 0 && expectedFromInitiator > 0 {
            self.init(amount: from, bidirectionalRead: to)
        } else if expectedFromInitiator > 0 {
            self.init(amount: from)
        } else if expectedToInitiator > 0 || actualToInitiator > 0 {
            self.init(amount: to)
        } else {
            self.init(amount: from)
        }
    }

    /// One direction. Both counts are in bytes, not negative; a difference beyond 32 bits is told as the largest
    /// number that the field holds.
    @inlinable
    public static func of(expected: Int, actual: Int) -> Amount {
        if actual < expected { return .underflow(UInt32(clamping: expected - actual)) }
        if actual > expected { return .overflow(UInt32(clamping: actual - expected)) }
        return .none
    }
}

extension Residual.Amount {
    /// The count field.
    @inlinable
    var count: UInt32 {
        switch self {
        case .none: 0
        case .underflow(let count), .overflow(let count): count
        }
    }

    /// The flag to set in byte 1.
    @inlinable
    func flag(overflow: UInt8, underflow: UInt8) -> UInt8 {
        switch self {
        case .none: 0
        case .underflow: underflow
        case .overflow: overflow
        }
    }

    /// From flags and count; both flags at once are a protocol error.
    init(isOverflow: Bool, isUnderflow: Bool, count: UInt32) throws(PDUError) {
        switch (isOverflow, isUnderflow) {
        case (false, false): self = .none
        case (true, false): self = .overflow(count)
        case (false, true): self = .underflow(count)
        case (true, true): throw .reject(.protocolError)
        }
    }
}
