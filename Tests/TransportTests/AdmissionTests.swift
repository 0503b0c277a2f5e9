// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("Admission of connections")
struct AdmissionTests {
    static func address(_ host: String) -> AdmissionAddress { AdmissionAddress(PortalAddress(host: host, port: 1)) }

    static let good = address("192.0.2.1")
    static let bad = address("192.0.2.2")

    static func ledger(
        connections: Int = 100, perAddress: Int = 100, halfOpen: Int = 100, halfOpenPerAddress: Int = 100
    ) -> AdmissionLedger {
        AdmissionLedger(
            AdmissionLimits(
                connections: connections, connectionsPerAddress: perAddress, halfOpen: halfOpen,
                halfOpenPerAddress: halfOpenPerAddress))
    }

    /// Half-open connections of `address`, all admitted.
    static func fill(_ ledger: inout AdmissionLedger, _ address: AdmissionAddress, _ count: Int) -> [UInt64] {
        (0..<count).compactMap { _ in
            guard case .admitted(let ticket, nil) = ledger.admit(address) else { return nil }
            return ticket
        }
    }

    @Test(
        "An address of IPv6 is a network of 64 bits, one of IPv4 itself, whatever the port",
        arguments: [
            ("2001:db8::1", "2001:db8::ffff:1", true), ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "192.0.2.2", false), ("::", "0.0.0.0", false),
        ])
    func addresses(first: String, second: String, isSame: Bool) {
        #expect((Self.address(first) == Self.address(second)) == isSame)
        #expect(Self.address(first) == AdmissionAddress(PortalAddress(host: first, port: 77)))
        #expect(AdmissionAddress(nil) != Self.good)
    }

    @Test("Half-open connections beyond the server's limit cost the address that has most of them its oldest")
    func busiest() {
        var ledger = Self.ledger(halfOpen: 10)
        let mine = Self.fill(&ledger, Self.good, 3)
        let others = Self.fill(&ledger, Self.bad, 7)
        for index in 0..<4 {
            let verdict = ledger.admit(Self.good)
            guard case .admitted(_, let victim) = verdict else { return #expect(Bool(false), "\(verdict)") }
            // Down to five each: then the count decides, and either may be it.
            if index < 2 { #expect(victim == others[index]) }
        }
        #expect(ledger.counters.evictedCount == 4 && ledger.counters.halfOpenCount == 10)
        #expect(mine.count == 3)
    }

    @Test("A connection that was to make room cannot log in any more; one that has logged in makes no room")
    func lateLogin() {
        var ledger = Self.ledger(halfOpenPerAddress: 2)
        let tickets = Self.fill(&ledger, Self.bad, 2)
        let first = ledger.loggedIn(tickets[1])
        _ = Self.fill(&ledger, Self.bad, 1)
        let verdict = ledger.admit(Self.bad)
        #expect(verdict == .admitted(4, evicting: tickets[0]))
        let late = ledger.loggedIn(tickets[0])
        let again = ledger.loggedIn(tickets[1])
        #expect(first && !late && again)
        ledger.closed(tickets[0])
        #expect(ledger.connectionCount == 3)
    }

    @Test("Half-open connections beyond an address's limit cost that address its oldest, and nobody else")
    func perAddress() {
        var ledger = Self.ledger(halfOpenPerAddress: 4)
        _ = Self.fill(&ledger, Self.good, 2)
        let others = Self.fill(&ledger, Self.bad, 4)
        for index in 0..<3 {
            guard case .admitted(_, let victim) = ledger.admit(Self.bad) else { return #expect(Bool(false)) }
            #expect(victim == others[index])
        }
        #expect(ledger.counters.halfOpenCount == 6)
    }

    @Test("Whoever is logged in is not closed for anybody; then the newcomer is refused", arguments: [true, false])
    func refused(isServersLimit: Bool) {
        var ledger = isServersLimit ? Self.ledger(connections: 5) : Self.ledger(perAddress: 5)
        let tickets = Self.fill(&ledger, Self.good, 5)
        for ticket in tickets.dropLast() { ledger.loggedIn(ticket) }
        guard case .admitted(let last, let victim) = ledger.admit(Self.good) else { return #expect(Bool(false)) }
        #expect(victim == tickets[4])
        ledger.loggedIn(last)
        #expect(ledger.admit(Self.good) == .refused)
        #expect(ledger.counters.refusedByServerCount == (isServersLimit ? 1 : 0))
        #expect(ledger.counters.refusedByAddressCount == (isServersLimit ? 0 : 1))
        ledger.closed(tickets[0])
        #expect(ledger.admit(Self.good) != .refused)
        if !isServersLimit { #expect(ledger.admit(Self.bad) != .refused) }
    }

    @Test("What has ended twice, or was never there, changes nothing")
    func endedTwice() {
        var ledger = Self.ledger()
        let ticket = Self.fill(&ledger, Self.good, 1)[0]
        for _ in 0..<2 {
            ledger.loggedIn(ticket)
            ledger.closed(ticket)
            ledger.closed(999)
            ledger.loggedIn(999)
        }
        #expect(ledger.connectionCount == 0 && ledger.addressCount == 0 && ledger.counters.halfOpenCount == 0)
    }

    @Test("Random comings and goings keep every limit, and leave nothing behind")
    func random() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = Seeded(state: seed)
        var ledger = Self.ledger(connections: 60, perAddress: 20, halfOpen: 30, halfOpenPerAddress: 10)
        let addresses = (1...9).map { Self.address("192.0.2.\($0)") }
        var open: [UInt64: (owner: Int, isHalfOpen: Bool)] = [:]
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0, 1:
                let owner = Int.random(in: 0..<9, using: &generator)
                if case .admitted(let ticket, let victim) = ledger.admit(addresses[owner]) {
                    if let victim { #expect(open.removeValue(forKey: victim)?.isHalfOpen == true, "seed \(seed)") }
                    open[ticket] = (owner, true)
                }
            case 2:
                guard let ticket = open.keys.randomElement(using: &generator) else { continue }
                open[ticket]?.isHalfOpen = false
                ledger.loggedIn(ticket)
            default:
                guard let ticket = open.keys.randomElement(using: &generator) else { continue }
                open[ticket] = nil
                ledger.closed(ticket)
            }
            let halfOpen = open.values.filter(\.isHalfOpen)
            guard open.count <= 60, halfOpen.count <= 30, ledger.connectionCount == open.count,
                ledger.counters.halfOpenCount == halfOpen.count
            else { return #expect(Bool(false), "seed \(seed)") }
        }
        for ticket in open.keys { ledger.closed(ticket) }
        #expect(ledger.connectionCount == 0 && ledger.addressCount == 0, "seed \(seed)")
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        /// SplitMix64.
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
