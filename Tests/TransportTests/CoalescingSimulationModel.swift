// SPDX-License-Identifier: Apache-2.0

import Transport

/// What the parties of a simulation pay, in nanoseconds. The sums agree with what was measured on virtual machines: a
/// receive, a send and a wake-up for one command cost a bare server 10 to 14 µs, one more send about 7 µs.
struct SimulationCosts: Sendable {
    /// From sleep to running, and the system call that slept.
    var wake = 4_000
    /// Beyond the deadline, before a timer has woken the server.
    var timerDelay = 1_500
    /// A look at the poller that does not sleep.
    var turn = 700
    var receive = 2_000
    /// Decode, dispatch, and for an inline handler the store.
    var command = 600
    /// Taking all completions of other threads, and one of them.
    var mailbox = 600
    var completion = 300
    /// The system call, and what reaches the network by it: the first segment, and each further one of the same call.
    var send = 2_000
    var transmit = 6_000
    var segment = 400
    var setOption = 600
    /// Each party is stopped now and then, by interrupts and other threads: mean interval and length.
    var stopInterval = 3_000_000
    var stopLength = 60_000

    // The initiator, which polls.
    var clientTurn = 500
    var clientReceive = 2_000
    var clientResponse = 300
    /// For each segment that the initiator's kernel takes from the network; large ones arrive merged.
    var clientSegment = 300
    var clientSend = 5_000
}

/// A full duplex link. Segments follow each other and arrive `delay` after their last byte has left.
struct SimulationLink: Sendable {
    /// Bytes of data in a full segment, and what Ethernet, IP and TCP with timestamps add to each.
    static let segmentByteCount = 1_448
    static let overheadByteCount = 90

    /// 1 Gb/s moves a byte in 8 ns.
    var nanosecondsPerByte = 8.0
    var delay = 50_000

    static func delayed(microseconds: Int) -> SimulationLink {
        SimulationLink(delay: microseconds * 1_000)
    }
}

/// What the initiator does.
enum SimulationLoad: Sendable {
    /// Keeps so many commands outstanding.
    case closed(depth: Int)
    /// Sends by its own clock, at exponential intervals.
    case steady(perSecond: Int)
    /// Sends so many at once, again and again.
    case bursts(size: Int, intervalMicroseconds: Int)
    /// Keeps so many outstanding for a while, then does nothing for a while.
    case onOff(depth: Int, onMicroseconds: Int, offMicroseconds: Int)
}

enum SimulationHandler: Sendable {
    /// Answers in the call.
    case inline
    /// Completes from another thread after a time of exponential distribution above a minimum.
    case asynchronous(minimum: Int, mean: Int)

    static let later = SimulationHandler.asynchronous(minimum: 30_000, mean: 50_000)
}

struct SimulationResult {
    var iops = 0.0
    var meanLatency = 0.0
    var latency99 = 0.0
    var sendsPerResponse = 0.0
    /// Share of the time in which the server worked.
    var busyShare = 0.0
    var counters = CoalescingCounters()
    var level = CoalescingLearner.Level.turn
}

/// First in, first out, without moving what is left.
struct SimulationQueue<Element> {
    private var elements: [Element] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count - head }
    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() -> Element {
        let element = elements[head]
        head += 1
        if head > 1_024 && head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}

/// Smallest time first; of equal times the one that came first.
struct SimulationHeap<Payload> {
    private var items: [(time: Int, order: Int, payload: Payload)] = []
    private var order = 0

    var isEmpty: Bool { items.isEmpty }
    var nextTime: Int? { items.first?.time }

    mutating func push(_ time: Int, _ payload: Payload) {
        items.append((time, order, payload))
        order += 1
        var index = items.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard isBefore(index, parent) else { return }
            items.swapAt(index, parent)
            index = parent
        }
    }

    mutating func pop() -> (time: Int, payload: Payload) {
        let first = items[0]
        let last = items.removeLast()
        if !items.isEmpty {
            items[0] = last
            var index = 0
            while true {
                var least = index
                for child in [2 * index + 1, 2 * index + 2] where child < items.count && isBefore(child, least) {
                    least = child
                }
                if least == index { break }
                items.swapAt(index, least)
                index = least
            }
        }
        return (first.time, first.payload)
    }

    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        (items[one].time, items[one].order) < (items[other].time, items[other].order)
    }
}

/// One direction of a TCP connection over the link: a stream of bytes in segments, with Nagle's algorithm.
struct SimulationStream {
    let link: SimulationLink
    /// TCP_NODELAY.
    var sendsAtOnce = true
    private(set) var segmentCount = 0

    private var linkFree = 0
    private var written = 0
    private var sent = 0
    private var acknowledged = 0
    /// What has arrived at the other end, and when; in order.
    private(set) var arrivals = SimulationQueue<(time: Int, end: Int)>()
    private var untold = SimulationQueue<Int>()
    /// Each segment is acknowledged as soon as it arrives: the best that can happen to Nagle's algorithm.
    private var acknowledgements = SimulationQueue<(time: Int, end: Int)>()

    init(link: SimulationLink) { self.link = link }

    var nextAcknowledgement: Int? { acknowledgements.first?.time }
    var waits: Bool { sent < written }

    /// Puts bytes into the socket. The segments that leave, at `time`.
    mutating func write(_ byteCount: Int, at time: Int) -> Int {
        takeAcknowledgements(until: time)
        written += byteCount
        return push(at: time)
    }

    /// As many segments as may leave now.
    mutating func push(at time: Int) -> Int {
        var count = 0
        while sent < written {
            let byteCount = min(SimulationLink.segmentByteCount, written - sent)
            guard byteCount == SimulationLink.segmentByteCount || sendsAtOnce || acknowledged == sent else { break }
            sent += byteCount
            count += 1
            let wireTime = Double(byteCount + SimulationLink.overheadByteCount) * link.nanosecondsPerByte
            linkFree = max(linkFree, time) + Int(wireTime)
            arrivals.append((linkFree + link.delay, sent))
            untold.append(linkFree + link.delay)
            acknowledgements.append((linkFree + 2 * link.delay, sent))
        }
        segmentCount += count
        return count
    }

    /// An acknowledgement lets go of what waits for it.
    mutating func takeAcknowledgements(until time: Int) {
        while let next = acknowledgements.first, next.time <= time {
            _ = acknowledgements.removeFirst()
            acknowledged = next.end
            _ = push(at: next.time)
        }
    }

    /// When the next segment that has left since the last time it was asked for will arrive.
    mutating func nextUntoldArrival() -> Int? { untold.isEmpty ? nil : untold.removeFirst() }

    /// The segments that have arrived by `time`, and where the last of them ends; nil when there is none.
    mutating func takeArrivals(until time: Int) -> (end: Int, segmentCount: Int)? {
        var taken: (end: Int, segmentCount: Int)?
        while let next = arrivals.first, next.time <= time {
            _ = arrivals.removeFirst()
            taken = (next.end, (taken?.segmentCount ?? 0) + 1)
        }
        return taken
    }
}
