// SPDX-License-Identifier: Apache-2.0

/// Ranges of bytes that R2Ts have asked for: as many as may be outstanding.
struct R2TQueue: Equatable, Sendable {
    private struct Bounds {
        var lower: UInt32 = 0
        var upper: UInt32 = 0
    }

    private var bounds = InlineArray<8, Bounds>(repeating: Bounds())
    private(set) var count = 0

    static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && (0..<left.count).allSatisfy { left[$0] == right[$0] }
    }

    var isEmpty: Bool { count == 0 }
    var first: Range<Int>? { count == 0 ? nil : self[0] }

    subscript(index: Int) -> Range<Int> { Int(bounds[index].lower)..<Int(bounds[index].upper) }

    /// `range` lies inside an Expected Data Transfer Length: 32 bits hold it.
    mutating func append(_ range: Range<Int>) {
        bounds[count] = Bounds(lower: UInt32(range.lowerBound), upper: UInt32(range.upperBound))
        count += 1
    }

    mutating func removeFirst() {
        for index in 1..<max(count, 1) { bounds[index - 1] = bounds[index] }
        count -= 1
    }
}
