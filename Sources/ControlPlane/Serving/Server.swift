// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Dispatch
internal import HandlerHost
internal import Logging
internal import Synchronization
internal import TargetCore
internal import Transport

/// `martlet serve`, from the first check to the last flush.
public enum Server {
    /// Runs until a signal ends it. Returns after a clean stop. Blocks the calling thread, which is the main thread;
    /// `Signals.prepare` and `Log.start` come before.
    ///
    /// An asynchronous main would not do: the dispatch library parks the main thread with all signals let through, and
    /// the first one would end the process.
    public static func run(_ options: ServeOptions) throws(Failure) {
        let ended = DispatchSemaphore(value: 0)
        let failure = Mutex<Failure?>(nil)
        Task.detached {
            do throws(Failure) {
                try await serve(options)
            } catch {
                failure.withLock { $0 = error }
            }
            ended.signal()
        }
        ended.wait()
        if let failure = failure.withLock({ $0 }) { throw failure }
        leaveOpenings()
    }

    /// A handler that is still in `open` is left there: the process ends without the ends of libraries, which such a
    /// thread might be using.
    private static func leaveOpenings() {
        let openings = openings.withLock { $0 }
        guard !openings.isEmpty else { return }
        StandardError.write("martlet: stopped; \(openings.joined(separator: "; ")), and is left there\n")
        _exit(0)
    }

    /// What was being opened when everything else was closed.
    private static let openings = Mutex<[String]>([])

    /// Devices and loops that have ended: a handler may come back to them as long as the process lives.
    private static let ended = Mutex<[any Sendable]>([])

    private static func serve(_ options: ServeOptions) async throws(Failure) {
        let logger = Logger(label: "martlet")
        let configuration = try options.configuration()
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let authentication = try AuthenticationPolicies.load(configuration, logger: logger)
        let metrics = try options.metricsPortal()
        let folders = try HandlerSearchPath.folders(named: options.handlerPaths)
        let stopLimit = StopLimit(seconds: options.stopSeconds)
        let events = try stopEvents(stopLimit, logger)
        let state = try stateFolder(options, logger)
        defer { state?.close() }

        let registry = makeRegistry(configuration, options, logger)
        registry.scan(directories: folders)
        let opener = DeviceOpener(registry: registry, state: state, stopLimit: stopLimit, logger: logger)
        let assembly = try Assembly.build(configuration, opener: opener)
        defer {
            assembly.close()
            openings.withLock { $0 = stopLimit.openings }
            ended.withLock { $0.append(assembly) }
        }
        let server = try RunningServer.start(
            configuration, options: options, assembly: assembly, authentication: authentication, stopLimit: stopLimit,
            logger: logger)
        defer {
            assembly.release()
            server.stop()
        }
        let listeners = try await ControlListeners.start(
            controlPath: options.controlPath, metrics: metrics, source: server, configuration: server,
            diagnostics: Log.diagnostics(logger))
        announce(server, logger)
        server.register(configuration, logger: logger)

        let reloads = Reloads(server, logger)
        for await event in events {
            if event == .stop { break }
            reloads.ask()
        }

        notify(logger) { notification throws(Failure) in try notification.stopping() }
        logger.notice("stopping: no new sessions; commands under way end first")
        server.nameService.withLock { $0 }?.stop()
        // A change that still opens something is not waited for, nor is whoever asked for it.
        if server.changes.stop() > 0 { logger.warning("a change that is not at its end is given up") }
        await listeners.stop()
    }

    /// Nil: nothing outlives the process, and initiators are told so.
    private static func stateFolder(_ options: ServeOptions, _ logger: Logger) throws(Failure) -> StateFolder? {
        guard let path = options.stateDirectory ?? StateDirectory.byEnvironment else { return nil }
        return try StateFolder.open(path, diagnostics: Log.diagnostics(logger))
    }

    private static func makeRegistry(
        _ configuration: Configuration, _ options: ServeOptions, _ logger: Logger
    ) -> HandlerRegistry {
        let diagnostics = Log.diagnostics(logger)
        return HandlerRegistry(
            diagnostics: diagnostics, trustedFiles: Set(configuration.trustedHandlers),
            trial: HandlerTrial.objection(
                seconds: options.trialSeconds, trusted: configuration.trustedHandlers, diagnostics: diagnostics))
    }

    private static func announce(_ server: RunningServer, _ logger: Logger) {
        for warning in server.exposureWarnings { logger.warning("\(warning)") }
        let lines = server.luns.map { "\($0.url)\n" }.joined()
        if !StandardOutput.write(lines) { logger.warning("nobody reads standard output: the URLs are not told") }
        logger.notice(
            "serving \(server.luns.count) LUN(s) at \(server.portals.map(\.description).joined(separator: ", "))")
        let status = "serving \(server.luns.count) LUN(s)"
        notify(logger) { notification throws(Failure) in try notification.ready(status: status) }
    }

    private static func notify(_ logger: Logger, _ body: (ServiceNotification) throws(Failure) -> Void) {
        do throws(Failure) {
            try body(ServiceNotification(socketName: Environment.value("NOTIFY_SOCKET")))
        } catch {
            logger.warning("\(error)")
        }
    }

    /// A signal that comes so soon after the first is the same wish: whoever ends a process group, or a wrapper and
    /// its child, sends it twice.
    private static let repetitionNanoseconds: UInt64 = 1_000_000_000

    /// One event for each SIGHUP and for the first SIGTERM or SIGINT. A later one ends the process at once.
    private static func stopEvents(
        _ stopLimit: StopLimit, _ logger: Logger
    ) throws(Failure) -> AsyncStream<Signals.Event> {
        let (stream, continuation) = AsyncStream.makeStream(of: Signals.Event.self)
        let firstStop = Mutex<UInt64?>(nil)
        try Signals.watch { event in
            switch event {
            case .reload:
                continuation.yield(.reload)
            case .stop:
                let now = clinux_monotonic_nanoseconds()
                let first = firstStop.withLock { first in
                    first = first ?? now
                    return first ?? now
                }
                if first == now {
                    stopLimit.begin(logger)
                    continuation.yield(.stop)
                }
                if now - first < repetitionNanoseconds { return }
                StandardError.write("martlet: ended by a second signal: what was not flushed may be lost\n")
                _exit(Failure.Kind.runTime.rawValue)
            }
        }
        return stream
    }
}
