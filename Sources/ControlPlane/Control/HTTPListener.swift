// SPDX-License-Identifier: Apache-2.0

internal import FlyingFox
internal import FlyingSocks
internal import TargetCore
internal import Transport

/// One HTTP server of FlyingFox's, which listens when `start` has returned.
final class HTTPListener: Sendable {
    private let server: HTTPServer
    private let task: Task<Void, Never>

    /// Seconds for one answer, which may have to wait for stores to be opened.
    private static let timeoutSeconds = 75.0

    private enum Beginning: Sendable {
        case listening
        case failed(String)
    }

    /// Why it does not listen, in the kernel's words.
    struct StartFailure: Error {
        let words: String
    }

    private init(server: HTTPServer, task: Task<Void, Never>) {
        self.server = server
        self.task = task
    }

    /// On a local socket.
    static func start(
        path: String, routes: [ControlRoutes.Route], diagnostics: Diagnostics
    ) async throws(StartFailure) -> HTTPListener {
        let server = HTTPServer(
            address: .unix(path: path), timeout: timeoutSeconds, logger: HTTPLog(diagnostics: diagnostics))
        return try await start(server, routes)
    }

    /// On a TCP port; 0 picks a free one.
    static func start(
        portal: PortalAddress, routes: [ControlRoutes.Route], diagnostics: Diagnostics
    ) async throws(StartFailure) -> HTTPListener {
        let log = HTTPLog(diagnostics: diagnostics)
        let server: HTTPServer
        do {
            server =
                portal.isIPv6
                ? try HTTPServer(
                    address: .inet6(ip6: portal.host, port: portal.port), timeout: timeoutSeconds, logger: log)
                : try HTTPServer(
                    address: .inet(ip4: portal.host, port: portal.port), timeout: timeoutSeconds, logger: log)
        } catch {
            throw StartFailure(words: words(for: error))
        }
        return try await start(server, routes)
    }

    private static func start(
        _ server: HTTPServer, _ routes: [ControlRoutes.Route]
    ) async throws(StartFailure) -> HTTPListener {
        for each in routes { await server.appendRoute(each.route, to: each.handler) }
        let (beginnings, continuation) = AsyncStream.makeStream(of: Beginning.self)
        let task = Task {
            do {
                try await server.run()
            } catch {
                // Nobody hears it when the listener has begun: then it ends because it was stopped.
                continuation.yield(.failed(words(for: error)))
            }
        }
        let waiter = Task {
            if (try? await server.waitUntilListening()) != nil { continuation.yield(.listening) }
        }
        defer { waiter.cancel() }
        for await beginning in beginnings {
            guard case .failed(let words) = beginning else { break }
            throw StartFailure(words: words)
        }
        return HTTPListener(server: server, task: task)
    }

    /// The port that was bound.
    func port() async -> UInt16? {
        switch await server.listeningAddress {
        case .ip4(_, let port), .ip6(_, let port): port
        case .unix, nil: nil
        }
    }

    func stop() async {
        await server.stop()
        await task.value
    }

    private static func words(for error: any Error) -> String {
        if case SocketError.failed(_, _, let message) = error { return message }
        return "\(error)"
    }
}

/// FlyingFox's words, in our log: of interest only to those who look for its faults.
private struct HTTPLog: FlyingSocks.Logging {
    let diagnostics: Diagnostics

    func logDebug(_ message: @autoclosure () -> String) {}
    func logInfo(_ message: @autoclosure () -> String) {}
    func logWarning(_ message: @autoclosure () -> String) { diagnostics.report(.debug, "http: \(message())") }
    func logError(_ message: @autoclosure () -> String) { diagnostics.report(.debug, "http: \(message())") }
    func logCritical(_ message: @autoclosure () -> String) { diagnostics.report(.debug, "http: \(message())") }
}
