// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// A PDU in the receive buffer, or one that was held. Valid until its connection receives again.
@safe struct ReceivedPDU {
    let frame: PDUFramer.Frame
    /// From the first byte of the basic header segment on: at least the headers, checked by the framer.
    private let bytes: UnsafeRawBufferPointer

    /// `bytes` hold the headers, and of the data segment what has come.
    init(frame: PDUFramer.Frame, bytes: UnsafeRawBufferPointer) {
        self.frame = frame
        unsafe self.bytes = bytes
    }

    /// The basic header segment.
    var header: RawSpan {
        @_lifetime(borrow self) get { span(from: 0, byteCount: BasicHeaderSegment.byteCount) }
    }

    var additionalHeaders: RawSpan {
        @_lifetime(borrow self) get { span(from: BasicHeaderSegment.byteCount, byteCount: frame.ahsByteCount) }
    }

    /// What there is of the data segment, without padding.
    var dataAtHand: UnsafeRawBufferPointer {
        let start = unsafe min(frame.dataOffset, bytes.count)
        let end = unsafe min(frame.dataOffset + frame.dataByteCount, bytes.count)
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    /// All of it has come.
    var isWhole: Bool { unsafe bytes.count >= frame.totalByteCount }

    /// The data segment by itself: for the few PDUs whose data are kept.
    var data: [UInt8] { unsafe Array(dataAtHand) }

    /// The basic header segment by itself: what a Reject shows.
    var headerCopy: [UInt8] { unsafe Array(bytes.prefix(BasicHeaderSegment.byteCount)) }

    /// The whole PDU by itself: for those that are held.
    var wholeCopy: [UInt8] { unsafe Array(bytes.prefix(frame.totalByteCount)) }

    @_lifetime(borrow self)
    private func span(from offset: Int, byteCount: Int) -> RawSpan {
        let span = unsafe bytes.bytes.extracting(offset..<offset + byteCount)
        // Safe: the receive buffer outlives the PDU, as this type says.
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    var opcode: InitiatorOpcode? { BasicHeaderSegment.initiatorOpcode(of: header) }
    var isImmediate: Bool { BasicHeaderSegment.isImmediate(header) }
    var initiatorTaskTag: UInt32 { BasicHeaderSegment.initiatorTaskTag(of: header) }
    var cmdSN: UInt32 { BasicHeaderSegment.cmdSN(of: header) }
}
