// SPDX-License-Identifier: Apache-2.0

/// The logical unit inventory of an I_T nexus (SAM-5 4.7.1): which logical unit it finds behind each number, and whether
/// it may write there. What is not in it does not exist for the nexus.
public struct LUNMap: Sendable {
    public struct Entry: Sendable {
        public var unit: LogicalUnit
        /// The nexus may not change the medium: as if the unit were write protected (SBC-4 4.12), for it alone.
        public var isReadOnly: Bool

        public init(unit: LogicalUnit, isReadOnly: Bool = false) {
            self.unit = unit
            self.isReadOnly = isReadOnly
        }
    }

    /// By flat logical unit number.
    public let entries: [Int: Entry]

    /// No logical unit at all.
    public static let empty = LUNMap([Int: Entry]())

    /// Numbers outside 0..<16384 are a programming error.
    public init(_ entries: [Int: Entry]) {
        precondition(
            entries.keys.allSatisfy { (0..<TargetLimits.logicalUnitCount).contains($0) },
            "no logical unit number for this index")
        self.entries = entries
    }

    /// All of them may be written.
    public init(_ units: [Int: LogicalUnit]) {
        self.init(units.mapValues { Entry(unit: $0) })
    }

    public subscript(number: Int) -> Entry? { entries[number] }

    /// Ascending.
    public var logicalUnitNumbers: [Int] { entries.keys.sorted() }

    /// One more than the highest number: the length of an array with room for all.
    var endNumber: Int { (entries.keys.max() ?? -1) + 1 }

    /// Each logical unit once.
    var units: [ObjectIdentifier: LogicalUnit] {
        Dictionary(entries.values.map { (ObjectIdentifier($0.unit), $0.unit) }) { first, _ in first }
    }
}
