// SPDX-License-Identifier: Apache-2.0

/// When the responses of a connection leave.
public enum CoalescingPolicy: Sendable, Equatable {
    /// Each response leaves by itself, as soon as it is made.
    case off
    /// What a turn of the loop makes leaves together, at the end of the turn.
    case turn
    /// As `turn`, and the end of a turn may hold responses for more to join them, where that has been seen to pay.
    case adaptive(CoalescingBounds)
    /// Each response goes to the socket by itself, and the kernel's Nagle algorithm is switched on and off as SCST
    /// Usermode does. For comparison in benchmarks: it looks at requests only, and has no bound in time.
    case classic

    /// As in the settings: `off`, `turn`, `adaptive` or `classic`. The bounds count for `adaptive` only.
    public init(parsing word: String, bounds: CoalescingBounds = .standard) throws(CoalescingSettingError) {
        switch word {
        case "off": self = .off
        case "turn": self = .turn
        case "adaptive": self = .adaptive(bounds)
        case "classic": self = .classic
        default: throw .unknownPolicy(word)
        }
    }

    public var name: String {
        switch self {
        case .off: "off"
        case .turn: "turn"
        case .adaptive: "adaptive"
        case .classic: "classic"
        }
    }

    /// Whether a response goes to the socket as soon as it is queued, and not at the end of the turn.
    public var sendsEachResponse: Bool {
        switch self {
        case .off, .classic: true
        case .turn, .adaptive: false
        }
    }
}

/// How long, and how much, the adaptive policy may hold.
public struct CoalescingBounds: Sendable, Equatable {
    /// 0 never holds: then `adaptive` does what `turn` does.
    public static let maximumHoldMicrosecondsRange = 0...1_000
    /// The lower end is one response with one block; the upper end is more than a socket buffer takes at once.
    public static let byteLimitRange = 512...(16 << 20)
    /// A few of the wake-ups that holding saves, and a fraction of the round trip of a local network.
    public static let standardMaximumHoldMicroseconds = 30
    /// What one send can hand to the network in one piece (a generic segmentation offload packet).
    public static let standardByteLimit = 64 * 1024

    public static let standard = CoalescingBounds(
        checkedHoldMicroseconds: standardMaximumHoldMicroseconds, byteLimit: standardByteLimit)

    /// No response waits longer than this, from the end of the turn that made it.
    public let maximumHoldNanoseconds: UInt64
    /// Nothing is held when this many bytes are queued.
    public let byteLimit: Int

    public init(
        maximumHoldMicroseconds: Int = standardMaximumHoldMicroseconds, byteLimit: Int = standardByteLimit
    ) throws(CoalescingSettingError) {
        guard Self.maximumHoldMicrosecondsRange.contains(maximumHoldMicroseconds) else {
            throw .maximumHoldOutOfRange(maximumHoldMicroseconds)
        }
        guard Self.byteLimitRange.contains(byteLimit) else { throw .byteLimitOutOfRange(byteLimit) }
        self.init(checkedHoldMicroseconds: maximumHoldMicroseconds, byteLimit: byteLimit)
    }

    private init(checkedHoldMicroseconds: Int, byteLimit: Int) {
        maximumHoldNanoseconds = UInt64(checkedHoldMicroseconds) * 1_000
        self.byteLimit = byteLimit
    }
}

/// A setting that is not one.
public enum CoalescingSettingError: Error, Equatable, CustomStringConvertible {
    case unknownPolicy(String)
    case maximumHoldOutOfRange(Int)
    case byteLimitOutOfRange(Int)

    public var description: String {
        switch self {
        case .unknownPolicy(let word):
            "\"\(word)\" is no way to coalesce: it is off, turn, adaptive, or classic (for comparison)"
        case .maximumHoldOutOfRange(let microseconds):
            "responses may be held for \(Self.words(CoalescingBounds.maximumHoldMicrosecondsRange)) microseconds, "
                + "not \(microseconds)"
        case .byteLimitOutOfRange(let byteCount):
            "the limit of held bytes is \(Self.words(CoalescingBounds.byteLimitRange)), not \(byteCount)"
        }
    }

    private static func words(_ range: ClosedRange<Int>) -> String { "\(range.lowerBound) to \(range.upperBound)" }
}
