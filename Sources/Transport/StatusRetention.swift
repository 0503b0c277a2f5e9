// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// What a connection has sent under a StatSN and the initiator has not acknowledged (RFC 7143 4.2.2.2): it can ask for
/// it again. Only at error recovery levels 1 and 2; at level 0 there is none of this.
///
/// Bounded: when too much is kept the oldest goes, and can then not be sent again.
struct StatusRetention {
    enum Item {
        /// The response of a command, with its data.
        case task(Borrowed<ISCSITask>)
        /// Another answer: its header as it was, and its data segment.
        case control(header: [UInt8], data: [UInt8])
    }

    private struct Entry {
        let statSN: UInt32
        let item: Item
    }

    /// Answers kept at most.
    static let entryLimit = 512
    /// Bytes of answers that are no responses of commands: those have their memory in the session's share.
    static let controlByteLimit = 256 << 10
    /// With so many the initiator is asked for a sign of what it has (a NOP-In).
    static let wantedEntryCount = 64

    private var entries: [Entry] = []
    private var first = 0
    private var controlByteCount = 0

    init() { entries.reserveCapacity(Self.wantedEntryCount * 2) }

    var count: Int { entries.count - first }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ item: Item, statSN: UInt32) {
        if case .control(let header, let data) = item { controlByteCount += header.count + data.count }
        entries.append(Entry(statSN: statSN, item: item))
    }

    /// More is kept than may be.
    var isOverfull: Bool { count > Self.entryLimit || controlByteCount > Self.controlByteLimit }

    /// The oldest answer is kept no longer.
    mutating func removeFirst() -> Item? {
        guard !isEmpty else { return nil }
        let item = entries[first].item
        if case .control(let header, let data) = item { controlByteCount -= header.count + data.count }
        first += 1
        if first == entries.count {
            entries.removeAll(keepingCapacity: true)
            first = 0
        } else if first >= Self.entryLimit {
            entries.removeSubrange(0..<first)
            first = 0
        }
        return item
    }

    /// The oldest answer, if the initiator has told by `expStatSN` that it has it.
    mutating func removeAcknowledged(by expStatSN: UInt32) -> Item? {
        guard !isEmpty, SerialNumber.precedes(entries[first].statSN, expStatSN) else { return nil }
        return removeFirst()
    }

    func item(statSN: UInt32) -> Item? {
        guard let oldest = entries[first...].first else { return nil }
        // StatSNs follow each other without gaps.
        let index = first + Int(statSN &- oldest.statSN)
        guard index < entries.count, entries[index].statSN == statSN else { return nil }
        return entries[index].item
    }

    /// StatSN of the oldest answer.
    var oldestStatSN: UInt32? { entries[first...].first?.statSN }
}
