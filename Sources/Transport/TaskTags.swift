// SPDX-License-Identifier: Apache-2.0

/// Which of a session's tasks have an Initiator Task Tag (RFC 7143 11.2.1.8). Several may have the same one: the newest
/// is under way, older ones have been answered and wait for the acknowledgement of their status.
///
/// A hash table over the positions of the session's tasks, chained, newest first. It grows as the session's tasks do; a
/// command allocates nothing. Whatever tags a peer chooses, no chain is longer than the tasks of its own session.
package struct TaskTags {
    private struct Entry {
        var tag: UInt32 = 0
        /// The position of the next entry of the chain, or `none`.
        var next = TaskTags.none
    }

    /// By the position of the task.
    private var entries: [Entry] = []
    /// Where the chain of each hash value begins; made with the first entry.
    private var chains: [UInt16] = []

    /// Positions are below it.
    package static let none = UInt16.max
    private static let hashBitCount = 8

    package init() {}

    /// The tags of consecutive commands, and those that differ in their high bits only, go to chains of their own.
    private static func hash(_ tag: UInt32) -> Int {
        Int((tag &* 0x9E37_79B1) >> UInt32(UInt32.bitWidth - hashBitCount))
    }

    /// The task at `position`, which is in no chain, has `tag` from now on.
    package mutating func insert(_ tag: UInt32, position: Int) {
        precondition(position < Int(Self.none))
        if chains.isEmpty { chains = Array(repeating: Self.none, count: 1 << Self.hashBitCount) }
        while entries.count <= position { entries.append(Entry()) }
        let hash = Self.hash(tag)
        entries[position] = Entry(tag: tag, next: chains[hash])
        chains[hash] = UInt16(position)
    }

    /// The task at `position` has no tag any more. One that has none stays as it is.
    package mutating func remove(position: Int) {
        guard position < entries.count, !chains.isEmpty else { return }
        let hash = Self.hash(entries[position].tag)
        var place = chains[hash]
        if Int(place) == position {
            chains[hash] = entries[position].next
            return
        }
        while place != Self.none {
            let next = entries[Int(place)].next
            if Int(next) == position {
                entries[Int(place)].next = entries[position].next
                return
            }
            place = next
        }
    }

    /// The position of the newest task with this tag.
    package func newest(of tag: UInt32) -> Int? {
        chains.isEmpty ? nil : first(of: tag, from: chains[Self.hash(tag)])
    }

    /// The position of the newest task with the tag of the one at `position` that is older than that.
    package func older(than position: Int) -> Int? {
        first(of: entries[position].tag, from: entries[position].next)
    }

    private func first(of tag: UInt32, from place: UInt16) -> Int? {
        var place = place
        while place != Self.none {
            let entry = entries[Int(place)]
            if entry.tag == tag { return Int(place) }
            place = entry.next
        }
        return nil
    }
}
