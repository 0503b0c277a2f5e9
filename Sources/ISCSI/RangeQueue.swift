// SPDX-License-Identifier: Apache-2.0

/// Ranges of bytes of one command's data, oldest first. A plain value without heap memory: a command that writes has
/// two of them, and copying it counts nothing.
struct RangeQueue: Equatable, Sendable {
    /// As many as R2Ts may be outstanding.
    static let capacity = 8

    private struct Bounds {
        var lower: UInt32 = 0
        var upper: UInt32 = 0
    }

    private var bounds = InlineArray<8, Bounds>(repeating: Bounds())
    private var length: UInt32 = 0

    static func == (left: Self, right: Self) -> Bool {
        left.count == right.count && (0..<left.count).allSatisfy { left[$0] == right[$0] }
    }

    var count: Int { Int(length) }
    var isEmpty: Bool { length == 0 }
    var isFull: Bool { count == Self.capacity }
    var first: Range<Int>? { isEmpty ? nil : self[0] }
    var last: Range<Int>? { isEmpty ? nil : self[count - 1] }

    /// A range lies inside an Expected Data Transfer Length: 32 bits hold it.
    subscript(index: Int) -> Range<Int> {
        get { Int(bounds[index].lower)..<Int(bounds[index].upper) }
        set { bounds[index] = Bounds(lower: UInt32(newValue.lowerBound), upper: UInt32(newValue.upperBound)) }
    }

    /// It is not full.
    mutating func append(_ range: Range<Int>) {
        self[count] = range
        length += 1
    }

    mutating func removeFirst() {
        for index in 1..<max(count, 1) { bounds[index - 1] = bounds[index] }
        length -= 1
    }
}
