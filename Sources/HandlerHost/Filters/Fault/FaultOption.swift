// SPDX-License-Identifier: Apache-2.0

/// The options of the filter `fault`, by the words that operators write.
enum FaultOption: String, CaseIterable, Sendable {
    case seed, on, range
    case delay
    case delayAt = "delay-at"
    case delayRate = "delay-rate"
    case error
    case errorStatus = "error-status"
    case short, corrupt
    case loseFlush = "lose-flush"
    case hang, release
    case late
    case lateBy = "late-by"
    case reorder
    case reorderHold = "reorder-hold"
    case after
    case duration = "for"
    case max

    static let names = allCases.map(\.rawValue)

    /// An hour: a longer wait is a hang.
    private static let maximumNanoseconds: UInt64 = 3600 * 1_000_000_000
    /// More than initiators have under way, and completions wait for one another.
    private static let maximumReorder = 1024

    /// Without which it means nothing.
    var companion: FaultOption? {
        switch self {
        case .delayAt, .delayRate: .delay
        case .errorStatus: .error
        case .release: .hang
        case .lateBy: .late
        case .reorderHold: .reorder
        case .seed, .on, .range, .delay, .error, .short, .corrupt, .loseFlush, .hang, .late, .reorder, .after,
            .duration, .max:
            nil
        }
    }

    /// What a value may be, as the end of a sentence.
    var expectation: String {
        switch self {
        case .seed: "write a number, such as seed=7"
        case .on: "write operations with commas between them, of \(FaultOperation.names.joined(separator: ", "))"
        case .range: "write the first and the last block, such as range=0..2047"
        case .delay: "write a time up to 3600s in us, ms or s, or two, such as 5ms or 1ms..20ms"
        case .delayAt: "write start or end"
        case .delayRate, .error, .short, .corrupt, .hang, .late:
            "write a rate above 0, such as 0.1% or 1/1000"
        case .loseFlush: "write a rate above 0, such as 0.1% or 1/1000, or the word lose-flush alone for all"
        case .errorStatus: "write one of \(FaultStatus.allCases.map(\.rawValue).joined(separator: ", "))"
        case .release, .lateBy, .reorderHold: "write a time above 0, up to 3600s, in us, ms or s, such as 5ms"
        case .reorder: "write a number from 2 to \(Self.maximumReorder)"
        case .after, .duration: "write a number of commands, or a time up to 3600s in us, ms or s, such as 10s"
        case .max: "write a number of faults above 0"
        }
    }

    /// Puts `value` in its place. False when it is none that `expectation` allows.
    func apply(_ value: String, to options: inout FaultOptions) -> Bool {
        switch self {
        case .seed: return Self.set(&options.seed, UInt64(value))
        case .on: return Self.set(&options.operations, FaultOperation(rawValue: value).map { [$0] })
        case .range: return Self.set(&options.range, Self.span(value) { UInt64($0) })
        case .delay:
            let time: (String) -> UInt64? = { TimeSpan.parse($0, limit: Self.maximumNanoseconds) }
            let one = time(value).map { $0...$0 }
            return Self.set(&options.delay, one ?? Self.span(value, bound: time))
        case .delayAt:
            guard value == "start" || value == "end" else { return false }
            options.delaysAtEnd = value == "end"
            return true
        case .delayRate: return Self.set(&options.delayRate, FaultRate(value))
        case .error: return Self.set(&options.error, FaultRate(value))
        case .errorStatus: return Self.set(&options.errorStatus, FaultStatus(rawValue: value))
        case .short: return Self.set(&options.short, FaultRate(value))
        case .corrupt: return Self.set(&options.corrupt, FaultRate(value))
        case .loseFlush: return Self.set(&options.loseFlush, FaultRate(value))
        case .hang: return Self.set(&options.hang, FaultRate(value))
        case .release: return Self.set(&options.release, Self.time(value))
        case .late: return Self.set(&options.late, FaultRate(value))
        case .lateBy: return Self.set(&options.lateBy, Self.time(value))
        case .reorder: return Self.set(&options.reorder, Self.number(value, in: 2...Self.maximumReorder))
        case .reorderHold: return Self.set(&options.reorderHold, Self.time(value))
        case .after: return Self.set(&options.after, Self.moment(value))
        case .duration:
            let moment = Self.moment(value)
            return Self.set(&options.duration, moment == .commands(0) ? nil : moment)
        case .max: return Self.set(&options.maximum, UInt64(value).flatMap { $0 > 0 ? $0 : nil })
        }
    }

    private static func set<Value>(_ place: inout Value, _ value: Value?) -> Bool {
        guard let value else { return false }
        place = value
        return true
    }

    private static func set<Value>(_ place: inout Value?, _ value: Value?) -> Bool {
        place = value
        return value != nil
    }

    private static func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
        Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    private static func time(_ text: String) -> UInt64? {
        TimeSpan.parse(text, limit: maximumNanoseconds).flatMap { $0 > 0 ? $0 : nil }
    }

    private static func moment(_ text: String) -> FaultSpan? {
        if let count = UInt64(text) { return .commands(count) }
        return TimeSpan.parse(text, limit: maximumNanoseconds).map { .nanoseconds($0) }
    }

    /// "FIRST..LAST".
    private static func span(_ text: String, bound: (String) -> UInt64?) -> ClosedRange<UInt64>? {
        guard let dots = text.firstRange(of: ".."), let first = bound(String(text[..<dots.lowerBound])),
            let last = bound(String(text[dots.upperBound...])), first <= last
        else { return nil }
        return first...last
    }
}

extension FaultOptions {
    /// Reads what stands behind `fault:`.
    public init(_ specification: FilterSpecification) throws(FilterError) {
        self.init()
        var given: [FaultOption: Int] = [:]
        var listsOperations = false
        for option in specification.options {
            // "on=read,write": the comma goes on with the list.
            if listsOperations, option.value == nil, let operation = FaultOperation(rawValue: option.key) {
                operations.insert(operation)
                continue
            }
            let known = try Self.read(option, of: specification.name, into: &self)
            guard given.updateValue(option.column, forKey: known) == nil else {
                throw FilterError(
                    column: option.column,
                    "gives \(option.key) of the filter \(specification.name) twice: leave one of them out")
            }
            listsOperations = known == .on
        }
        for option in FaultOption.allCases {
            guard let column = given[option], let companion = option.companion, given[companion] == nil else {
                continue
            }
            throw FilterError(
                column: column,
                "gives \(option.rawValue) without \(companion.rawValue): add \(companion.rawValue), "
                    + "or leave \(option.rawValue) out")
        }
        guard !isEmpty else {
            throw FilterError(
                column: specification.column,
                "has a filter \(specification.name) that does nothing: give it one of delay, error, short, corrupt, "
                    + "lose-flush, hang, late and reorder")
        }
    }

    private static func read(
        _ option: FilterSpecification.Option, of name: String, into options: inout FaultOptions
    ) throws(FilterError) -> FaultOption {
        guard let known = FaultOption(rawValue: option.key) else {
            throw FilterError(
                column: option.column, "gives the filter \(name) an option \"\(option.key)\" that it does not have",
                unknown: option.key, known: FaultOption.names)
        }
        guard let value = option.value else {
            guard known == .loseFlush else {
                throw FilterError(column: option.column, "gives \(option.key) no value: \(known.expectation)")
            }
            options.loseFlush = .always
            return known
        }
        guard known.apply(value, to: &options) else {
            throw FilterError(
                column: option.column, "has \(option.key)=\(value), which cannot be: \(known.expectation)")
        }
        return known
    }
}
