// SPDX-License-Identifier: Apache-2.0

/// How often something happens: a part of 2^64, so that a draw of 64 random bits decides without rounding.
public struct FaultRate: Equatable, Sendable {
    public static let never = FaultRate(threshold: 0, isAlways: false)
    public static let always = FaultRate(threshold: .max, isAlways: true)

    private let threshold: UInt64
    /// 2^64 of 2^64 is no 64-bit number.
    private let isAlways: Bool

    private init(threshold: UInt64, isAlways: Bool) {
        self.threshold = threshold
        self.isAlways = isAlways
    }

    /// `numerator` of `denominator`; nil above 1, and for a denominator of 0.
    public init?(_ numerator: UInt64, of denominator: UInt64) {
        guard denominator > 0, numerator <= denominator else { return nil }
        guard numerator < denominator else {
            self = .always
            return
        }
        self.init(threshold: denominator.dividingFullWidth((numerator, 0)).quotient, isAlways: false)
    }

    /// A percentage such as `0.1%` with at most 9 places, or `1/N`. Nil for anything else, for 0, and above 100%.
    public init?(_ text: String) {
        if text.hasSuffix("%") {
            guard let (digits, scale) = Self.decimal(text.dropLast()), digits > 0 else { return nil }
            self.init(digits, of: 100 * scale)
        } else {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "1", let count = Self.number(parts[1]), count > 0 else { return nil }
            self.init(1, of: count)
        }
    }

    public var isNever: Bool { self == .never }

    /// Whether a draw of 64 random bits meets it.
    public func isMet(by bits: UInt64) -> Bool { isAlways || bits < threshold }

    private static let maximumPlaceCount = 9

    /// "12.5" as 125 over 10.
    private static func decimal(_ text: Substring) -> (digits: UInt64, scale: UInt64)? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = number(parts[0]), whole <= 100 else { return nil }
        guard parts.count == 2 else { return (whole, 1) }
        guard let places = number(parts[1]), parts[1].count <= maximumPlaceCount else { return nil }
        let scale = (0..<parts[1].count).reduce(UInt64(1)) { scale, _ in scale * 10 }
        return (whole * scale + places, scale)
    }

    private static func number(_ text: Substring) -> UInt64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(text)
    }
}
