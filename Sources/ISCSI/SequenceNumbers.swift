// SPDX-License-Identifier: Apache-2.0

/// Comparison of 32-bit serial numbers, which wrap around (RFC 1982 with SERIAL_BITS = 32, as RFC 7143 4.2.2 asks for
/// CmdSN, StatSN, DataSN and R2TSN).
public enum SerialNumber {
    /// Whether `left` is older than `right`. Numbers 2^31 apart are in no order: false both ways.
    @inlinable
    public static func precedes(_ left: UInt32, _ right: UInt32) -> Bool {
        let distance = right &- left
        return distance != 0 && distance < 0x8000_0000
    }

    /// Whether `number` lies in the range from `first` to `last`, both included. A `last` that precedes `first` makes
    /// the range empty.
    @inlinable
    public static func contains(first: UInt32, last: UInt32, _ number: UInt32) -> Bool {
        !precedes(last, first) && number &- first <= last &- first
    }
}

/// StatSN, ExpCmdSN and MaxCmdSN of a PDU from the target.
public struct SequenceNumbers: Equatable, Sendable {
    public var statSN: UInt32
    public var expCmdSN: UInt32
    public var maxCmdSN: UInt32

    @inlinable
    public init(statSN: UInt32, expCmdSN: UInt32, maxCmdSN: UInt32) {
        self.statSN = statSN
        self.expCmdSN = expCmdSN
        self.maxCmdSN = maxCmdSN
    }
}
