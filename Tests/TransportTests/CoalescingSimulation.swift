// SPDX-License-Identifier: Apache-2.0

import Foundation
import Transport

/// One initiator, one link and one server with one loop, in virtual time. The server's coalescing is the product's.
///
/// A turn is worked off in one go, from the requests and completions that are there when it begins; the time that its
/// parts take tells when each send reaches the link.
final class CoalescingSimulation {
    private enum Event {
        case client
        case issue
        case server
        case acknowledgement
    }

    static let requestByteCount = 48
    static let responseByteCount = 48 + 512

    private let costs: SimulationCosts
    private let load: SimulationLoad
    private let handler: SimulationHandler
    private let policy: CoalescingPolicy
    private var generator: SplitMix
    private var events = SimulationHeap<Event>()

    private var requests: SimulationStream
    private var responses: SimulationStream

    // The initiator. Commands are answered out of order by asynchronous handlers: each response names its command.
    private var clientFree = 0
    private var isClientPlanned = false
    private var issueTimes: [Int] = []
    private var latencies: [Int] = []
    private var onUntil = 0
    private var requestOrder = SimulationQueue<(end: Int, command: Int)>()
    private var requestBytes = 0

    private var clientStop = 0

    // The server.
    private var serverStop = 0
    private var serverFree = 0
    private var isAsleep = true
    private var busyTime = 0
    private var completions = SimulationHeap<Int>()
    private var inFlight = 0
    private var queued: [Int] = []
    private var controller: CoalescingController
    private var classic = ClassicNagleRule()
    private var deadline: Int?
    private var responseOrder = SimulationQueue<(end: Int, command: Int)>()
    private var responseBytes = 0
    private var sendCount = 0

    init(
        _ load: SimulationLoad, _ handler: SimulationHandler, _ policy: CoalescingPolicy, link: SimulationLink,
        costs: SimulationCosts = SimulationCosts(), learner: CoalescingLearner = CoalescingLearner(), seed: UInt64
    ) {
        self.load = load
        self.handler = handler
        self.policy = policy
        self.costs = costs
        controller = CoalescingController(policy, learner: learner)
        generator = SplitMix(state: seed)
        requests = SimulationStream(link: link)
        responses = SimulationStream(link: link)
    }

    func run(responseCount: Int) -> SimulationResult {
        events.push(0, .issue)
        var end = 0
        while latencies.count < responseCount, !events.isEmpty {
            let (time, event) = events.pop()
            end = time
            switch event {
            case .issue: issue(at: time)
            case .client: client(at: time)
            case .server: server(at: time)
            case .acknowledgement: acknowledged(at: time)
            }
        }
        var result = SimulationResult()
        let sorted = latencies.sorted()
        result.iops = Double(latencies.count) * 1e9 / Double(max(1, end))
        result.meanLatency = Double(latencies.reduce(0, +)) / Double(max(1, latencies.count)) / 1_000
        result.latency99 = Double(sorted[sorted.count * 99 / 100]) / 1_000
        result.sendsPerResponse = Double(sendCount) / Double(max(1, latencies.count))
        result.busyShare = Double(busyTime) / Double(max(1, end))
        result.counters = controller.counters
        result.level = controller.level
        return result
    }

    /// The time at which a party goes on that is at work at `time`.
    private func afterStops(_ time: Int, _ nextStop: inout Int) -> Int {
        guard time >= nextStop else { return time }
        let end = max(time, nextStop + exponential(mean: costs.stopLength))
        nextStop = end + exponential(mean: costs.stopInterval)
        return end
    }

    private func exponential(mean: Int) -> Int {
        Int(-Double(mean) * log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &generator)))
    }

    // MARK: The initiator

    /// Its own clock says that there is something to send.
    private func issue(at time: Int) {
        let start = max(time, clientFree)
        switch load {
        case .closed(let depth):
            clientFree = send(depth, at: start)
        case .steady(let perSecond):
            clientFree = send(1, at: start)
            events.push(time + exponential(mean: 1_000_000_000 / perSecond), .issue)
        case .bursts(let size, let interval):
            clientFree = send(size, at: start)
            events.push(time + interval * 1_000, .issue)
        case .onOff(let depth, let on, let off):
            onUntil = time + on * 1_000
            // What is still outstanding from last time counts.
            clientFree = send(depth - (issueTimes.count - latencies.count), at: start)
            events.push(time + (on + off) * 1_000, .issue)
        }
    }

    /// Something has arrived.
    private func client(at time: Int) {
        guard time >= clientFree else {
            if !isClientPlanned { events.push(clientFree, .client) }
            isClientPlanned = true
            return
        }
        isClientPlanned = false
        guard let taken = responses.takeArrivals(until: time) else { return }
        var now =
            afterStops(time, &clientStop) + costs.clientTurn + costs.clientReceive + taken.segmentCount
            * costs.clientSegment
        var count = 0
        while let next = responseOrder.first, next.end <= taken.end {
            _ = responseOrder.removeFirst()
            now += costs.clientResponse
            latencies.append(now - issueTimes[next.command])
            count += 1
        }
        switch load {
        case .closed: now = send(count, at: now)
        case .onOff where time < onUntil: now = send(count, at: now)
        case .steady, .bursts, .onOff: break
        }
        clientFree = now
    }

    private func send(_ count: Int, at time: Int) -> Int {
        guard count > 0 else { return time }
        for _ in 0..<count {
            requestBytes += Self.requestByteCount
            requestOrder.append((requestBytes, issueTimes.count))
            issueTimes.append(time)
        }
        let now = time + costs.clientSend
        _ = requests.write(count * Self.requestByteCount, at: now)
        announce()
        return now
    }

    /// Wakes the receivers when what has just left arrives.
    private func announce() {
        while let arrival = requests.nextUntoldArrival() { events.push(arrival, .server) }
        while let arrival = responses.nextUntoldArrival() { events.push(arrival, .client) }
    }

    // MARK: The server

    private func server(at time: Int) {
        guard time >= serverFree else { return }
        let isRequest = requests.arrivals.first.map { $0.time <= time } ?? false
        let isCompletion = completions.nextTime.map { $0 <= time } ?? false
        let isDeadline = deadline.map { $0 <= time } ?? false
        guard isRequest || isCompletion || isDeadline else {
            isAsleep = true
            return
        }
        let start = isAsleep ? time + costs.wake : time
        isAsleep = false
        let end = turn(at: start)
        busyTime += end - time
        serverFree = end
        // Looks again before it sleeps.
        events.push(end, .server)
        if let deadline { events.push(max(end, deadline + costs.timerDelay), .server) }
    }

    private func turn(at start: Int) -> Int {
        var now = afterStops(start, &serverStop) + costs.turn
        var requestCount = 0
        if let taken = requests.takeArrivals(until: now) {
            now += costs.receive
            while let next = requestOrder.first, next.end <= taken.end {
                _ = requestOrder.removeFirst()
                requestCount += 1
                now += costs.command
                if case .classic = policy { now = switchNagle(classic.pduRead(), at: now) }
                perform(next.command, at: &now)
            }
            if case .classic = policy { now = switchNagle(classic.drained(), at: now) }
        }
        if let first = completions.nextTime, first <= now {
            now += costs.mailbox
            while let next = completions.nextTime, next <= now {
                now += costs.completion
                inFlight -= 1
                respond(completions.pop().payload, at: &now)
            }
        }
        let decision = controller.turnEnded(
            now: UInt64(start), queuedResponses: queued.count, queuedByteCount: queued.count * Self.responseByteCount,
            inFlight: inFlight, requestsThisTurn: requestCount)
        deadline = nil
        switch decision {
        case .send: if !queued.isEmpty { now = flush(at: now) }
        case .hold(let until): deadline = Int(until)
        }
        return now
    }

    private func perform(_ command: Int, at now: inout Int) {
        switch handler {
        case .inline:
            respond(command, at: &now)
        case .asynchronous(let minimum, let mean):
            inFlight += 1
            let done = now + minimum + exponential(mean: mean - minimum)
            completions.push(done, command)
            events.push(done, .server)
        }
    }

    private func respond(_ command: Int, at now: inout Int) {
        queued.append(command)
        if controller.sendsEachResponse { now = flush(at: now) }
    }

    private func flush(at time: Int) -> Int {
        for command in queued {
            responseBytes += Self.responseByteCount
            responseOrder.append((responseBytes, command))
        }
        sendCount += 1
        controller.sent(
            now: UInt64(time), responses: queued.count, byteCount: queued.count * Self.responseByteCount)
        let byteCount = queued.count * Self.responseByteCount
        queued.removeAll(keepingCapacity: true)
        // Segments leave while the call runs; all at its end is close enough, as they queue for the link anyway.
        let reached = time + costs.send + costs.transmit
        let count = responses.write(byteCount, at: reached)
        announce()
        if responses.waits, let next = responses.nextAcknowledgement { events.push(next, .acknowledgement) }
        return count == 0 ? time + costs.send : reached + (count - 1) * costs.segment
    }

    private func switchNagle(_ action: ClassicNagleRule.Action, at time: Int) -> Int {
        guard action != .none else { return time }
        responses.takeAcknowledgements(until: time)
        var now = time + costs.setOption
        if action == .flush || action == .flushAndGather {
            responses.sendsAtOnce = true
            if responses.waits {
                now += costs.transmit
                _ = responses.push(at: now)
                announce()
            }
        }
        if action == .flushAndGather { now += costs.setOption }
        responses.sendsAtOnce = action == .flush
        return now
    }

    private func acknowledged(at time: Int) {
        responses.takeAcknowledgements(until: time)
        announce()
        if responses.waits, let next = responses.nextAcknowledgement { events.push(next, .acknowledgement) }
    }
}
