// SPDX-License-Identifier: Apache-2.0

internal import EventLoop

/// The keys of the section "performance"; those that are options of `martlet serve` have the same names there.
enum PerformanceKey: String, CaseIterable, Sendable {
    case loops
    case poller
    case coalesce
    case coalesceHold = "coalesce-hold"
    case polling
    case pollingBudget = "polling-budget"
    case numa
    case numaBuffers = "numa-buffers"
    case pin
    case statsSample = "stats-sample"

    static let names = allCases.map(\.rawValue)

    /// What a value may be, as the end of a sentence.
    var expectation: String {
        switch self {
        case .loops: "write a number from 1 to \(PerformanceSettings.maximumLoopCount)"
        case .poller: "write \(Self.alternatives(PollerChoice.self))"
        case .coalesce: "write \(Self.alternatives(PerformanceSettings.Coalescing.self))"
        case .coalesceHold:
            "write a time up to \(PerformanceSettings.maximumHoldMicroseconds)us with its unit, such as 30us"
        case .polling: "write \(Self.alternatives(PollingMode.self))"
        case .pollingBudget: "write a percentage from 0 to 100, such as 25"
        case .numa: "write \(Self.alternatives(NUMAMode.self))"
        case .numaBuffers: "write a number from 0 to \(PerformanceSettings.maximumBufferCount)"
        case .pin: "write yes, no, or a list of processors such as 0-3,8"
        case .statsSample: "write 0, or a power of two up to \(PerformanceSettings.maximumSampleInterval)"
        }
    }

    /// Puts `value` in its place. False when it is none that `expectation` allows.
    func apply(_ value: String, to settings: inout PerformanceSettings) -> Bool {
        switch self {
        case .loops: Self.choose(&settings.loopCount, Self.number(value, 1...PerformanceSettings.maximumLoopCount))
        case .poller: Self.set(&settings.poller, .init(rawValue: value))
        case .coalesce: Self.choose(&settings.coalescing, .init(rawValue: Self.word(value)))
        case .coalesceHold: Self.choose(&settings.holdMicroseconds, Self.microseconds(value))
        case .polling: Self.set(&settings.polling.mode, .init(rawValue: Self.word(value)))
        case .pollingBudget:
            Self.set(
                &settings.polling.budgetPercent,
                Self.number(value.hasSuffix("%") ? String(value.dropLast()) : value, PollingSettings.budgetPercents))
        case .numa: Self.set(&settings.placement.numa, .init(rawValue: Self.word(value)))
        case .numaBuffers:
            Self.set(&settings.bufferCount, Self.number(value, 0...PerformanceSettings.maximumBufferCount))
        case .pin: Self.set(&settings.placement.pinning, Self.pinning(value))
        case .statsSample: Self.choose(&settings.sampleInterval, Self.sampleInterval(value))
        }
    }

    private static func set<Value>(_ place: inout Value, _ value: Value?) -> Bool {
        guard let value else { return false }
        place = value
        return true
    }

    /// The same for a place that is empty as long as nothing is chosen.
    private static func choose<Value>(_ place: inout Value?, _ value: Value?) -> Bool {
        guard let value else { return false }
        place = value
        return true
    }

    /// "off" under the other names that YAML has for it.
    private static func word(_ value: String) -> String {
        ["no", "false"].contains(value.lowercased()) ? "off" : value
    }

    /// Decimal digits alone.
    private static func number(_ text: String, _ range: ClosedRange<Int>) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number)
        else { return nil }
        return number
    }

    /// "30us", "1ms", or 0. A number alone would leave open what it counts.
    private static func microseconds(_ text: String) -> Int? {
        if text == "0" { return 0 }
        let longest = PerformanceSettings.maximumHoldMicroseconds
        if text.hasSuffix("us") || text.hasSuffix("µs") { return number(String(text.dropLast(2)), 0...longest) }
        guard text.hasSuffix("ms") else { return nil }
        return number(String(text.dropLast(2)), 0...longest / 1000).map { $0 * 1000 }
    }

    private static func pinning(_ text: String) -> Pinning? {
        switch text.lowercased() {
        case "yes", "on", "true": return .yes
        case "no", "off", "false": return .no
        default:
            guard let processors = ProcessorSet(list: text), !processors.isEmpty else { return nil }
            return .processors(processors)
        }
    }

    private static func sampleInterval(_ text: String) -> Int? {
        guard let interval = number(text, 0...PerformanceSettings.maximumSampleInterval),
            interval & (interval - 1) == 0
        else { return nil }
        return interval
    }

    /// "off, auto or strict".
    private static func alternatives<Word: CaseIterable & RawRepresentable>(_ type: Word.Type) -> String
    where Word.RawValue == String {
        let words = type.allCases.map(\.rawValue)
        return words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
    }
}
