// SPDX-License-Identifier: Apache-2.0

import ISNS
import Testing

@Suite("The iSNS client's state machine")
struct ISNSClientMachineTests {
    typealias Machine = ISNSClientMachine
    static let registration = ISNSRegistrationTests.registration

    /// The server's answer to the request among `actions`.
    static func answer(
        _ actions: [Machine.Action], status: UInt32 = 0, _ attributes: [ISNSAttribute] = []
    ) throws -> Machine.Event {
        for case .send(let request) in actions {
            let function = try #require(request.knownFunction?.response)
            let payload = [0, 0, 0, UInt8(status)] + attributes.flatMap(\.bytes)
            return .received(
                ISNSMessage(
                    function: function.rawValue, flags: .server, transaction: request.transaction, payload: payload))
        }
        throw NoRequest()
    }

    struct NoRequest: Error {}

    static let present = [ISNSAttribute(tag: ISNSTag.entityIdentifier, text: "store")]

    /// A machine brought into `state`, and the actions that brought it there.
    static func machine(in state: Machine.State) throws -> (Machine, [Machine.Action]) {
        var machine = Machine()
        var actions: [Machine.Action] = []
        func isThere() -> Bool { machine.state == state }
        if isThere() { return (machine, []) }
        actions = machine.handle(.changed(registration))
        if isThere() { return (machine, actions) }
        if state == .waiting || state == .ended {
            actions = machine.handle(state == .waiting ? .disconnected("no") : .stop)
            return (machine, actions)
        }
        actions = machine.handle(.connected(registration))
        if isThere() { return (machine, actions) }
        actions = machine.handle(try answer(actions))
        if isThere() { return (machine, actions) }
        actions = machine.handle(try answer(actions))
        actions = machine.handle(try answer(actions))
        if isThere() { return (machine, actions) }
        actions = machine.handle(state == .withdrawing ? .stop : .timer)
        #expect(isThere())
        return (machine, actions)
    }

    @Test("From nothing to registered: register, then a subscription for each target")
    func goodCase() throws {
        var machine = Machine()
        #expect(machine.handle(.changed(Self.registration)).first == .connect)
        var actions = machine.handle(.connected(Self.registration))
        #expect(machine.state == .registering)
        let granted = [ISNSAttribute(tag: ISNSTag.registrationPeriod, number: 30)]
        actions = machine.handle(try Self.answer(actions, granted))
        #expect(
            actions.first
                == .report(.registered(entity: "store", targets: 2, portals: 2, periodSeconds: 30)))
        actions = machine.handle(try Self.answer(actions))
        #expect(machine.state == .subscribing)
        actions = machine.handle(try Self.answer(actions))
        #expect(machine.state == .registered && actions == [.startTimer(milliseconds: 10_000)])
        actions = machine.handle(.timer)
        #expect(machine.state == .refreshing)
        actions = machine.handle(try Self.answer(actions, Self.present))
        #expect(machine.state == .registered && actions == [.startTimer(milliseconds: 10_000)])
        actions = machine.handle(.stop)
        #expect(machine.state == .withdrawing)
        actions = machine.handle(try Self.answer(actions))
        #expect(actions == [.report(.deregistered), .disconnect, .stopTimer, .end])
    }

    /// Where each event leads from each state.
    static let table: [(Machine.State, String, Machine.State)] = [
        (.idle, "connected", .idle), (.idle, "disconnected", .idle), (.idle, "self", .idle), (.idle, "timer", .idle),
        (.idle, "garbage", .idle), (.idle, "stop", .ended), (.idle, "changed", .connecting), (.idle, "empty", .idle),
        (.connecting, "connected", .registering), (.connecting, "disconnected", .waiting),
        (.connecting, "self", .connecting), (.connecting, "timer", .waiting), (.connecting, "garbage", .connecting),
        (.connecting, "stop", .ended), (.connecting, "changed", .connecting), (.connecting, "empty", .idle),
        (.waiting, "connected", .waiting), (.waiting, "disconnected", .waiting), (.waiting, "self", .waiting),
        (.waiting, "timer", .connecting), (.waiting, "garbage", .waiting), (.waiting, "stop", .ended),
        (.waiting, "changed", .waiting), (.waiting, "empty", .idle),
        (.registering, "connected", .registering), (.registering, "disconnected", .waiting),
        (.registering, "self", .registering), (.registering, "timer", .waiting), (.registering, "garbage", .waiting),
        (.registering, "stop", .withdrawing), (.registering, "changed", .registering),
        (.registering, "empty", .registering),
        (.subscribing, "connected", .subscribing), (.subscribing, "disconnected", .waiting),
        (.subscribing, "self", .subscribing), (.subscribing, "timer", .waiting), (.subscribing, "garbage", .waiting),
        (.subscribing, "stop", .withdrawing), (.subscribing, "changed", .subscribing),
        (.subscribing, "empty", .subscribing),
        (.registered, "connected", .registered), (.registered, "disconnected", .waiting),
        (.registered, "self", .registered), (.registered, "timer", .refreshing), (.registered, "garbage", .registered),
        (.registered, "stop", .withdrawing), (.registered, "changed", .registering), (.registered, "empty", .idle),
        (.refreshing, "connected", .refreshing), (.refreshing, "disconnected", .waiting),
        (.refreshing, "self", .refreshing), (.refreshing, "timer", .waiting), (.refreshing, "garbage", .waiting),
        (.refreshing, "stop", .withdrawing), (.refreshing, "changed", .refreshing),
        (.refreshing, "empty", .refreshing),
        (.withdrawing, "connected", .withdrawing), (.withdrawing, "disconnected", .ended),
        (.withdrawing, "self", .withdrawing), (.withdrawing, "timer", .ended), (.withdrawing, "garbage", .ended),
        (.withdrawing, "stop", .withdrawing), (.withdrawing, "changed", .withdrawing),
        (.withdrawing, "empty", .withdrawing),
        (.ended, "connected", .ended), (.ended, "disconnected", .ended), (.ended, "self", .ended),
        (.ended, "timer", .ended), (.ended, "garbage", .ended), (.ended, "stop", .ended), (.ended, "changed", .ended),
        (.ended, "empty", .ended),
    ]

    static func event(_ name: String, _ actions: [Machine.Action]) -> Machine.Event {
        var other = registration
        other.targets.append("iqn.c")
        var none = registration
        none.targets = []
        switch name {
        case "connected": return .connected(registration)
        case "disconnected": return .disconnected("gone")
        case "self": return .selfChanged
        case "timer": return .timer
        case "stop": return .stop
        case "changed": return .changed(other)
        case "empty": return .changed(none)
        default:
            var transaction: UInt16 = 0
            var function: UInt16 = 0x8001
            for case .send(let request) in actions {
                transaction = request.transaction
                function = request.knownFunction?.response?.rawValue ?? function
            }
            return .received(
                ISNSMessage(function: function, flags: .server, transaction: transaction, payload: [0, 0]))
        }
    }

    @Test("Every state answers every event", arguments: table)
    func transitions(state: Machine.State, name: String, next: Machine.State) throws {
        var (machine, actions) = try Self.machine(in: state)
        let event = Self.event(name, actions)
        actions = machine.handle(event)
        #expect(machine.state == next)
        // Whatever waits, waits for a limited time.
        if [.connecting, .registering, .subscribing, .refreshing, .withdrawing, .waiting].contains(next), next != state
        {
            #expect(actions.contains { if case .startTimer = $0 { true } else { false } })
        }
        #expect(actions.contains(.end) == (next == .ended && state != .ended))
    }

    @Test("The table has every state with every event")
    func tableIsWhole() {
        let rows = Set(Self.table.map { "\($0.0) \($0.1)" })
        #expect(rows.count == Self.table.count && rows.count == Machine.State.allCases.count * 8)
    }

    @Test("A refusal is told with its status, and tried again later and later", arguments: [3, 8, 21, 23])
    func refused(status: UInt32) throws {
        var machine = Machine()
        var actions = machine.handle(.changed(Self.registration))
        var waits: [UInt64] = []
        for _ in 0..<8 {
            actions = machine.handle(.connected(Self.registration))
            actions = machine.handle(try Self.answer(actions, status: status))
            #expect(machine.state == .waiting && machine.refusal == ISNSStatus(rawValue: status))
            #expect(actions.first == .disconnect)
            guard case .startTimer(let milliseconds) = actions.last else { throw NoRequest() }
            waits.append(milliseconds)
            #expect(
                actions.contains(
                    .report(.refused(.devAttrReg, ISNSStatus(rawValue: status), retryMilliseconds: milliseconds))))
            actions = machine.handle(.timer)
        }
        #expect(waits == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
    }

    @Test("A refused subscription is told once and harms nothing")
    func subscriptionRefused() throws {
        var (machine, actions) = try Self.machine(in: .subscribing)
        actions = machine.handle(try Self.answer(actions, status: 17))
        #expect(machine.state == .registered)
        #expect(actions.first == .report(.subscriptionRefused(target: "iqn.a", ISNSStatus(rawValue: 17))))
    }

    @Test("A server that has forgotten us is told again", arguments: [0, 5, 6, 9])
    func forgotten(status: UInt32) throws {
        var (machine, actions) = try Self.machine(in: .refreshing)
        actions = machine.handle(try Self.answer(actions, Self.present))
        actions = machine.handle(.timer)
        actions = machine.handle(try Self.answer(actions, status: status))
        #expect(machine.state == .registering)
    }

    @Test("A server that never shows us is refreshed by registering, without replacing")
    func hidden() throws {
        var (machine, actions) = try Self.machine(in: .refreshing)
        actions = machine.handle(try Self.answer(actions, status: 9))
        #expect(machine.state == .registered)
        actions = machine.handle(.timer)
        guard case .send(let request) = actions.first else { throw NoRequest() }
        #expect(request.knownFunction == .devAttrReg && !request.flags.contains(.replace))
        actions = machine.handle(try Self.answer(actions))
        #expect(machine.state == .registered)
        actions = machine.handle(.timer)
        _ = machine.handle(try Self.answer(actions, status: 6))
        #expect(machine.state == .registering)
    }

    @Test("A change under way is registered after the answer", arguments: [Machine.State.registering, .subscribing])
    func changedMeanwhile(state: Machine.State) throws {
        var (machine, actions) = try Self.machine(in: state)
        var other = Self.registration
        other.targets = ["iqn.z"]
        #expect(machine.handle(.changed(other)).isEmpty)
        actions = machine.handle(try Self.answer(actions))
        #expect(machine.state == .registering && machine.registration == other)
    }

    @Test(
        "A change that is taken back under way leaves what is registered",
        arguments: [Machine.State.registering, .subscribing, .refreshing], [true, false])
    func changedAndTakenBack(state: Machine.State, isRemoval: Bool) throws {
        var (machine, actions) = try Self.machine(in: state)
        var other = Self.registration
        other.targets = isRemoval ? [] : ["iqn.a", "iqn.b", "iqn.z"]
        #expect(machine.handle(.changed(other)).isEmpty)
        #expect(machine.handle(.changed(Self.registration)).isEmpty)
        // Whatever is asked until it is settled: never the change between.
        while machine.state != .registered {
            actions = machine.handle(try Self.answer(actions, Self.present))
            #expect(machine.registration == Self.registration && machine.state != .idle)
            for case .send(let request) in actions { #expect(request.knownFunction == .scnReg) }
        }
        _ = machine.handle(.disconnected("gone"))
        #expect(machine.registration == Self.registration)
    }

    @Test("A change that is made again after it was taken back is registered", arguments: [Machine.State.registering])
    func changedBackAndForth(state: Machine.State) throws {
        var (machine, actions) = try Self.machine(in: state)
        var other = Self.registration
        other.targets = ["iqn.z"]
        for registration in [other, Self.registration, other] {
            #expect(machine.handle(.changed(registration)).isEmpty)
        }
        actions = machine.handle(try Self.answer(actions))
        #expect(machine.state == .registering && machine.registration == other)
    }

    @Test("A server that has forgotten us is told what has changed meanwhile", arguments: [0, 9])
    func changedAndForgotten(status: UInt32) throws {
        var (machine, actions) = try Self.machine(in: .refreshing)
        actions = machine.handle(try Self.answer(actions, Self.present))
        actions = machine.handle(.timer)
        #expect(machine.state == .refreshing)
        var other = Self.registration
        other.targets = ["iqn.z"]
        #expect(machine.handle(.changed(other)).isEmpty)
        actions = machine.handle(try Self.answer(actions, status: status))
        #expect(machine.state == .registering && machine.registration == other)
    }

    /// When the timer ends, by a clock that a test moves.
    struct Clock {
        var now: UInt64 = 0
        var end: UInt64?

        mutating func follow(_ actions: [Machine.Action]) {
            for action in actions {
                switch action {
                case .startTimer(let milliseconds): end = now + milliseconds
                case .hastenTimer(let milliseconds): end = min(end ?? .max, now + milliseconds)
                case .stopTimer: end = nil
                case .connect, .send, .disconnect, .report, .end: break
                }
            }
        }
    }

    @Test("News of our own targets has the server asked soon, and no news after them put that off")
    func news() throws {
        var (machine, actions) = try Self.machine(in: .registered)
        var clock = Clock()
        clock.follow(actions)
        let refresh = try #require(clock.end)
        clock.now = refresh - 5 * Machine.newsMilliseconds
        for _ in 0..<10 {
            clock.follow(machine.handle(.selfChanged))
            #expect(clock.end == refresh - 4 * Machine.newsMilliseconds)
            clock.now += Machine.newsMilliseconds / 2
        }
        // What comes just before the refresh puts that off no more.
        (machine, actions) = try Self.machine(in: .registered)
        clock.follow(actions)
        let end = try #require(clock.end)
        clock.now = end - 1
        clock.follow(machine.handle(.selfChanged))
        #expect(clock.end == end)
    }

    @Test("An answer to something else changes nothing", arguments: Machine.State.allCases)
    func strayAnswer(state: Machine.State) throws {
        var (machine, _) = try Self.machine(in: state)
        let stray = ISNSMessage(function: 0x8001, flags: .server, transaction: 0x7777, payload: [0, 0, 0, 0])
        #expect(machine.handle(.received(stray)).isEmpty)
        #expect(machine.state == state)
    }
}
