// SPDX-License-Identifier: Apache-2.0

internal import ISCSI

/// What a connection has still to put into PDUs, in the order in which it became ready.
struct Outbox {
    enum Item {
        /// A task with R2Ts or a response to send; the tag says for which of its commands.
        case task(ISCSITask, command: UInt32)
        case control(ControlPDU)
        case resend(Resend)
    }

    /// Data-Ins that the initiator asked for again, and perhaps the status behind them.
    final class Resend {
        let task: ISCSITask
        /// Says for which of its commands.
        let command: UInt32
        var read: ReadTransfer
        /// Up to here, not included.
        let endDataSN: UInt32
        let sendsStatus: Bool

        init(_ task: ISCSITask, read: ReadTransfer, endDataSN: UInt32, sendsStatus: Bool) {
            self.task = task
            command = task.targetTransferTag
            self.read = read
            self.endDataSN = endDataSN
            self.sendsStatus = sendsStatus
        }
    }

    /// A PDU that belongs to no task. Its sequence numbers are filled in when it is queued for sending.
    final class ControlPDU {
        /// Makes the header; told StatSN, ExpCmdSN and MaxCmdSN of the moment.
        let encode: (SequenceNumbers) -> any EncodablePDU
        let data: [UInt8]
        /// StatSN goes up by one after it: it carries a status (RFC 7143 4.2.2.2).
        let advancesStatSN: Bool
        /// Runs when it is queued: what may only happen after everything before it and itself is on its way.
        let whenQueued: () -> Void

        init(
            advancesStatSN: Bool, data: [UInt8] = [], whenQueued: @escaping () -> Void = {},
            encode: @escaping (SequenceNumbers) -> any EncodablePDU
        ) {
            self.encode = encode
            self.data = data
            self.advancesStatSN = advancesStatSN
            self.whenQueued = whenQueued
        }
    }

    /// Bytes that a queued control PDU stands for besides its data.
    private static let controlOverhead = 256

    /// Bytes that queued control PDUs hold.
    private(set) var controlByteCount = 0
    private var items: [Item] = []
    private var first = 0

    var isEmpty: Bool { first == items.count }
    var next: Item? { isEmpty ? nil : items[first] }

    mutating func append(_ item: Item) {
        if isEmpty && first > 0 {
            items.removeAll(keepingCapacity: true)
            first = 0
        }
        controlByteCount += Self.byteCount(of: item)
        items.append(item)
    }

    mutating func removeNext() {
        controlByteCount -= Self.byteCount(of: items[first])
        first += 1
        // What has been taken is let go in large pieces, so that a long queue costs no shifting per item.
        if first == items.count {
            items.removeAll(keepingCapacity: true)
            first = 0
        } else if first >= 1024 {
            items.removeSubrange(0..<first)
            first = 0
        }
    }

    private static func byteCount(of item: Item) -> Int {
        switch item {
        case .task: 0
        case .control(let control): control.data.count + controlOverhead
        case .resend: controlOverhead
        }
    }

    mutating func removeAll() {
        controlByteCount = 0
        items.removeAll()
        first = 0
    }
}
