// SPDX-License-Identifier: Apache-2.0

/// Applies the rows of `NegotiationKeys` to what an initiator sends (RFC 7143 6.2).
struct Negotiation {
    let local: LocalParameters
    var parameters: NegotiatedParameters
    var isDiscovery = false
    /// Keys that have had their turn: each has one in a login.
    private var settled: Set<String> = []

    /// Where a key stands when it is sent.
    enum Phase {
        case securityNegotiation
        case operationalNegotiation
        case fullFeature
    }

    init(local: LocalParameters, parameters: NegotiatedParameters = NegotiatedParameters()) {
        self.local = local
        self.parameters = parameters
    }

    /// Whether the rules allow `key` at this moment. `isLeading`: it is the first connection of a session.
    static func allows(_ key: NegotiationKey, in phase: Phase, isLeading: Bool) -> Bool {
        switch key.use {
        case .security: phase == .securityNegotiation
        case .login: phase != .fullFeature
        case .operational: phase != .fullFeature && phase != .securityNegotiation
        case .leading: phase != .fullFeature && phase != .securityNegotiation && isLeading
        case .leadingAnyStage: phase != .fullFeature && isLeading
        case .operationalAndFullFeature: phase != .securityNegotiation
        case .always: true
        case .fullFeature: phase == .fullFeature
        }
    }

    /// Marks a key as sent. False when it had been sent before.
    mutating func settle(_ name: String) -> Bool {
        settled.insert(name).inserted
    }

    /// The answer to a key with a rule of its own; nil when none is due.
    mutating func answer(_ key: NegotiationKey, _ value: String) -> String? {
        if isDiscovery && key.isIrrelevantInDiscovery { return NegotiationKey.Answer.irrelevant }
        if key.name == NegotiationKeys.Name.firstBurstLength && parameters.session.allowsNoUnsolicitedData {
            return NegotiationKey.Answer.irrelevant
        }
        switch key.rule {
        case .or(let path, let offer):
            let ours = local[keyPath: offer]
            return boolean(value, path) { $0 || ours }
        case .and(let path, let offer):
            let ours = local[keyPath: offer]
            return boolean(value, path) { $0 && ours }
        case .minimum(let range, let path, let offer):
            let ours = limit(key, local[keyPath: offer])
            return number(value, range, path) { min($0, ours) }
        case .maximum(let range, let path, let offer):
            let ours = local[keyPath: offer]
            return number(value, range, path) { max($0, ours) }
        case .digest(let path, let offer):
            return digest(value, path, accepts: local[keyPath: offer])
        case .taskReporting:
            guard let choice = Self.choose(value, from: [SessionParameters.TaskReporting.rfc3720.rawValue]) else {
                return NegotiationKey.Answer.reject
            }
            return choice
        case .declaredNumber(let range, let path):
            guard let number = Self.number(value), range.contains(number) else {
                return NegotiationKey.Answer.reject
            }
            parameters[keyPath: path] = number
            return nil
        case .obsoleteBoolean:
            return Self.boolean(value) == nil ? NegotiationKey.Answer.reject : NegotiationKey.Answer.no
        case .obsoleteRange:
            return NegotiationKey.Answer.reject
        case .declaredText, .authentication, .sendTargets, .ofTarget:
            return nil
        }
    }

    private func limit(_ key: NegotiationKey, _ offer: Int) -> Int {
        switch key.name {
        // FirstBurstLength must not exceed MaxBurstLength (RFC 7143 13.14).
        case NegotiationKeys.Name.firstBurstLength: min(offer, parameters.session.maxBurstLength)
        // Nothing is retained that could not be reassigned: that takes error recovery level 2.
        case NegotiationKeys.Name.defaultTime2Retain: parameters.session.errorRecoveryLevel < 2 ? 0 : offer
        default: offer
        }
    }

    // MARK: Rules

    private mutating func boolean(
        _ value: String, _ path: NegotiationKey.Path<Bool>, _ result: (Bool) -> Bool
    ) -> String {
        guard let offered = Self.boolean(value) else { return NegotiationKey.Answer.reject }
        let agreed = result(offered)
        parameters[keyPath: path] = agreed
        return agreed ? NegotiationKey.Answer.yes : NegotiationKey.Answer.no
    }

    private mutating func number(
        _ value: String, _ range: ClosedRange<Int>, _ path: NegotiationKey.Path<Int>, _ result: (Int) -> Int
    ) -> String {
        guard let offered = Self.number(value), range.contains(offered) else { return NegotiationKey.Answer.reject }
        let agreed = result(offered)
        parameters[keyPath: path] = agreed
        return String(agreed)
    }

    private mutating func digest(_ value: String, _ path: NegotiationKey.Path<Bool>, accepts: Bool) -> String {
        let known = accepts ? [Self.crc32c, NegotiationKey.Answer.none] : [NegotiationKey.Answer.none]
        guard let choice = Self.choose(value, from: known) else { return NegotiationKey.Answer.reject }
        parameters[keyPath: path] = choice == Self.crc32c
        return choice
    }

    private static let crc32c = "CRC32C"

    // MARK: Values (RFC 7143 6.1)

    static func boolean(_ value: String) -> Bool? {
        switch value {
        case NegotiationKey.Answer.yes: true
        case NegotiationKey.Answer.no: false
        default: nil
        }
    }

    /// A decimal constant without needless zeroes, or 0x and hexadecimal digits. Nil when it is neither, or more than
    /// 64 bits.
    static func number(_ value: String) -> Int? {
        let digits = value.utf8
        if value.hasPrefix("0x") || value.hasPrefix("0X") {
            let hexadecimal = value.dropFirst(2)
            guard hexadecimal.utf8.allSatisfy(isHexadecimalDigit) else { return nil }
            return Int(hexadecimal, radix: 16)
        }
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        guard digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
        return Int(value)
    }

    private static func isHexadecimalDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }

    /// The first value of a list that is known to us; nil when there is none, or an item is empty.
    static func choose(_ list: String, from known: [String]) -> String? {
        let items = list.split(separator: ",", omittingEmptySubsequences: false)
        guard items.allSatisfy({ !$0.isEmpty }) else { return nil }
        for item in items where known.contains(String(item)) { return String(item) }
        return nil
    }
}

extension SessionParameters {
    /// Neither immediate data nor unsolicited Data-Out: FirstBurstLength is irrelevant (RFC 7143 13.14).
    public var allowsNoUnsolicitedData: Bool { initialR2T && !immediateData }
}
