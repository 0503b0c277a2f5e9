// SPDX-License-Identifier: Apache-2.0

/// Processors, or NUMA nodes, by the kernel's numbers, and the kernel's way of writing them down: "0-3,8".
public struct ProcessorSet: Equatable, Sendable, CustomStringConvertible {
    /// One more than the largest number: no kernel is built for more processors.
    public static let limit = 8192

    private static let wordBitCount = UInt64.bitWidth

    /// Bit n of word w is number 64 w + n. The last word is not 0.
    private var words: [UInt64] = []

    public init() {}

    public init(_ numbers: some Sequence<Int>) {
        for number in numbers { insert(number) }
    }

    /// A list as the kernel writes them, such as "0-3,8"; blanks around it count nothing, and an empty one is the
    /// empty set. Nil for anything else.
    public init?(list text: String) {
        let trimmed = text.drop { $0.isWhitespace }
        guard !trimmed.isEmpty else { return }
        for range in trimmed.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count <= 2, let first = Self.number(ends[0]), let last = Self.number(ends[ends.count - 1]),
                first <= last
            else { return nil }
            for number in first...last { insert(number) }
        }
    }

    /// Digits, with blanks after them at most: a file of sysfs ends its line.
    private static func number(_ text: Substring) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard text.dropFirst(digits.count).allSatisfy(\.isWhitespace), let number = Int(digits), number < limit else {
            return nil
        }
        return number
    }

    public mutating func insert(_ number: Int) {
        precondition((0..<Self.limit).contains(number), "a number that no kernel gives")
        let index = number / Self.wordBitCount
        while words.count <= index { words.append(0) }
        words[index] |= 1 << UInt64(number % Self.wordBitCount)
    }

    public func contains(_ number: Int) -> Bool {
        guard number >= 0, number / Self.wordBitCount < words.count else { return false }
        return words[number / Self.wordBitCount] & 1 << UInt64(number % Self.wordBitCount) != 0
    }

    public func intersection(_ other: ProcessorSet) -> ProcessorSet {
        var result = ProcessorSet()
        result.words = zip(words, other.words).map { $0 & $1 }
        while result.words.last == 0 { result.words.removeLast() }
        return result
    }

    public func subtracting(_ other: ProcessorSet) -> ProcessorSet {
        ProcessorSet(numbers.filter { !other.contains($0) })
    }

    public var isEmpty: Bool { words.isEmpty }
    public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// In ascending order.
    public var numbers: [Int] {
        words.enumerated().flatMap { index, word in
            (0..<Self.wordBitCount).filter { word & 1 << UInt64($0) != 0 }.map { index * Self.wordBitCount + $0 }
        }
    }

    /// The words of a kernel mask, least significant first.
    public var mask: [UInt64] { words }

    public init(mask: some Sequence<UInt64>) {
        words = Array(mask)
        while words.last == 0 { words.removeLast() }
    }

    public var description: String {
        var parts: [String] = []
        var rest = numbers[...]
        while let first = rest.first {
            var last = first
            rest = rest.dropFirst()
            while rest.first == last + 1 {
                last += 1
                rest = rest.dropFirst()
            }
            parts.append(first == last ? "\(first)" : "\(first)-\(last)")
        }
        return parts.joined(separator: ",")
    }
}
