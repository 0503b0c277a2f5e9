// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// A PDU that is sent again: as it was, StatSN included, but for the command window of the moment (RFC 7143 11.16).
public struct RepeatedPDU: Equatable, Sendable, EncodablePDU {
    private let header: [UInt8]
    private let numbers: SequenceNumbers

    /// `header`: the 48 bytes as they were sent.
    public init(header: [UInt8], numbers: SequenceNumbers) {
        self.header = header
        self.numbers = numbers
    }

    public func encode(into header: inout MutableRawSpan) {
        for (offset, byte) in self.header.prefix(BasicHeaderSegment.byteCount).enumerated() {
            header.store(byte, at: offset)
        }
        header.store(numbers.expCmdSN, at: 28)
        header.store(numbers.maxCmdSN, at: 32)
    }
}
