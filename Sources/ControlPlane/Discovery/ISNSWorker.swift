// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISNS
internal import TargetCore
internal import Transport

/// The iSNS client's thread: drives the state machine with what its sockets and its clock tell.
final class ISNSWorker {
    enum Order: Sendable {
        case update(ISNSSources)
        case stop
    }

    /// Connections on which servers bring notifications; beyond them the oldest goes.
    private static let maximumNotifierCount = 4
    /// Silence after which such a connection is closed.
    private static let notifierSilenceNanoseconds: UInt64 = 600_000_000_000

    private let settings: ISNSSettings
    private let entity: String
    private let wakeUp: CInt
    private let publish: (ISNSReport) -> Void
    private var log: ISNSLog

    private var machine = ISNSClientMachine()
    private var sources = ISNSSources(targets: [], portals: [])
    private var stream: ISNSStream?
    private var listener: ISNSListener?
    private var notifiers: [ISNSStream] = []
    /// Nanoseconds of the monotonic clock.
    private var deadline: UInt64?
    private var isEnded = false
    private var report = ISNSReport()

    init(
        _ settings: ISNSSettings, entity: String, wakeUp: CInt, diagnostics: Diagnostics,
        publish: @escaping (ISNSReport) -> Void
    ) {
        self.settings = settings
        self.entity = entity
        self.wakeUp = wakeUp
        self.publish = publish
        log = ISNSLog(diagnostics, server: settings.server)
        report.server = settings.server.description
        report.entity = entity
    }

    /// Until the machine ends.
    func run(orders: () -> [Order]) {
        while !isEnded {
            for order in orders() { take(order) }
            if !isEnded { turn() }
        }
        stream = nil
        listener = nil
        notifiers = []
    }

    private func take(_ order: Order) {
        switch order {
        case .update(let sources):
            self.sources = sources
            handle(.changed(registration(local: stream.flatMap { InternetAddress(localOf: $0.descriptor)?.host })))
        case .stop: handle(.stop)
        }
    }

    /// `local`: our end of the connection to the server; nil before there is one.
    private func registration(local: String?) -> ISNSRegistration {
        sources.registration(
            settings, entity: entity, local: local ?? settings.server.host,
            listener: listener.map { ($0.host, $0.port) })
    }

    // MARK: A turn

    private func turn() {
        var watched = [pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)]
        // The order of these is that of `serve`.
        if let stream { watched.append(Self.watch(stream)) }
        if let listener { watched.append(pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)) }
        watched += notifiers.map { Self.watch($0) }
        // As many entries as the array has.
        unsafe _ = poll(&watched, nfds_t(watched.count), waitMilliseconds)
        if watched[0].revents != 0 {
            var count: eventfd_t = 0
            // One number of ours.
            unsafe _ = eventfd_read(wakeUp, &count)
        }
        serve(watched.dropFirst().map { $0.revents != 0 }[...])
        if let deadline, deadline <= clinux_monotonic_nanoseconds() {
            self.deadline = nil
            handle(.timer)
        }
    }

    private static func watch(_ stream: ISNSStream) -> pollfd {
        pollfd(fd: stream.descriptor, events: Int16(stream.interest), revents: 0)
    }

    private var waitMilliseconds: CInt {
        let silence = notifiers.map { $0.lastHeard + Self.notifierSilenceNanoseconds }
        guard let next = (silence + [deadline].compactMap { $0 }).min() else { return -1 }
        let now = clinux_monotonic_nanoseconds()
        return next <= now ? 0 : CInt(clamping: (next - now) / 1_000_000 + 1)
    }

    private func serve(_ ready: ArraySlice<Bool>) {
        var ready = ready
        let watchedNotifiers = notifiers
        let hadListener = listener
        if let stream, ready.removeFirst() { serveServer(stream) }
        if let hadListener, ready.removeFirst() { accept(hadListener) }
        for (notifier, isReady) in zip(watchedNotifiers, ready) where isReady { serveNotifier(notifier) }
        let oldest = clinux_monotonic_nanoseconds() &- Self.notifierSilenceNanoseconds
        notifiers.removeAll { $0.lastHeard < oldest }
    }

    // MARK: The server

    private func serveServer(_ stream: ISNSStream) {
        do {
            if stream.isConnecting {
                try stream.finishConnecting()
                connected(stream)
                return
            }
            try stream.flush()
            for message in try stream.receive() { try receive(message, from: stream) }
        } catch {
            lost(stream, error)
        }
    }

    private func connected(_ stream: ISNSStream) {
        let local = InternetAddress(localOf: stream.descriptor)?.host ?? settings.server.host
        openListener(local: local)
        let registration = registration(local: local)
        if registration.portals.isEmpty { log.noPortal() }
        handle(.connected(registration))
    }

    private func lost(_ stream: ISNSStream, _ error: any Error) {
        // An order may have ended it already.
        guard self.stream === stream else { return }
        self.stream = nil
        handle(.disconnected((error as? ISNSStream.Ending)?.reason ?? "\(error)"))
    }

    private func receive(_ message: ISNSMessage, from stream: ISNSStream) throws {
        if message.knownFunction?.isResponse ?? true {
            // A function that we do not know is no answer of ours.
            if stream === self.stream { handle(.received(message)) }
            return
        }
        note(message)
        if let answer = message.answered() { try stream.answer(answer) }
    }

    // MARK: Notifications

    /// Where notifications reach us by this connection. Without a place for them there are none, which is said.
    private func openListener(local: String) {
        guard settings.wantsChanges || settings.inquirySeconds != nil,
            let host = sources.notificationHost(local: local, server: settings.server)
        else {
            listener = nil
            return
        }
        if listener?.host == host { return }
        listener = nil
        do throws(SystemError) {
            listener = try ISNSListener(
                host: host, server: settings.server,
                isServerHere: settings.server.isLoopback || settings.server.host == local)
        } catch {
            log.noListener(error)
        }
    }

    private func accept(_ listener: ISNSListener) {
        guard let notifier = listener.accept() else { return }
        if notifiers.count >= Self.maximumNotifierCount { notifiers.removeFirst() }
        notifiers.append(notifier)
    }

    private func serveNotifier(_ notifier: ISNSStream) {
        do {
            try notifier.flush()
            for message in try notifier.receive() { try receive(message, from: notifier) }
        } catch {
            notifiers.removeAll { $0 === notifier }
        }
    }

    private func note(_ message: ISNSMessage) {
        switch message.knownFunction {
        case .esi: report.inquiries += 1
        case .scn:
            report.notifications += 1
            guard let attributes = try? ISNSAttribute.list(message.payload[...]) else { return }
            // The first names the destination; what follows are those that have changed.
            let changed = attributes.dropFirst().filter { $0.tag == ISNSTag.iscsiName }.compactMap(\.text)
            log.changed(changed)
            if !Set(changed).isDisjoint(with: sources.targets) { handle(.selfChanged) }
        default: return
        }
        publish(report)
    }

    // MARK: The machine

    private func handle(_ event: ISNSClientMachine.Event) {
        // What an action brings about at once is an event of its own, after all actions.
        var failure: String?
        for action in machine.handle(event) {
            if let reason = perform(action) { failure = reason }
        }
        report.state = ISNSReport.word(machine.state)
        let isRegistered = report.state == "registered"
        report.targets = isRegistered ? machine.registration?.targets.count ?? 0 : 0
        report.portals = isRegistered ? machine.registration?.portals.count ?? 0 : 0
        report.periodSeconds = isRegistered ? machine.periodSeconds : 0
        publish(report)
        if let failure { handle(.disconnected(failure)) }
    }

    /// Why the connection cannot be, if it cannot.
    private func perform(_ action: ISNSClientMachine.Action) -> String? {
        switch action {
        case .connect:
            do throws(SystemError) {
                stream = try ISNSStream(to: settings.server)
            } catch {
                return "\(error)"
            }
        case .send(let message):
            do throws(SystemError) {
                try stream?.send(message)
            } catch {
                stream = nil
                return "\(error)"
            }
        case .disconnect: stream = nil
        case .startTimer(let milliseconds): deadline = clinux_monotonic_nanoseconds() &+ milliseconds * 1_000_000
        case .hastenTimer(let milliseconds):
            let end = clinux_monotonic_nanoseconds() &+ milliseconds * 1_000_000
            deadline = min(deadline ?? end, end)
        case .stopTimer: deadline = nil
        case .report(let news): report.reason = log.tell(news)
        case .end: isEnded = true
        }
        return nil
    }
}
