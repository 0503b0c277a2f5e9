// SPDX-License-Identifier: Apache-2.0

internal import CLinux
public import TargetCore
public import Transport

/// The control socket and the metrics port, as far as they were asked for.
public struct ControlListeners: Sendable {
    private var control: (socket: ControlSocket, listener: HTTPListener)?
    private var metrics: HTTPListener?
    /// Where metrics are served, with the real port.
    public private(set) var metricsPortal: PortalAddress?

    /// Opens what was asked for; all or nothing.
    public static func start(
        controlPath: String?, metrics: PortalAddress?, source: any StatusSource,
        configuration: (any ConfigurationControl)? = nil, diagnostics: Diagnostics
    ) async throws(Failure) -> ControlListeners {
        var listeners = ControlListeners()
        do throws(Failure) {
            if let controlPath { try await listeners.openControl(controlPath, source, configuration, diagnostics) }
            if let metrics { try await listeners.openMetrics(metrics, source, diagnostics) }
        } catch {
            await listeners.stop()
            throw error
        }
        return listeners
    }

    public func stop() async {
        await metrics?.stop()
        await control?.listener.stop()
        control?.socket.remove()
    }

    private mutating func openControl(
        _ path: String, _ source: any StatusSource, _ configuration: (any ConfigurationControl)?,
        _ diagnostics: Diagnostics
    ) async throws(Failure) {
        let socket = try ControlSocket.prepare(path)
        do {
            // The socket is never there for others, not for a moment either.
            let folder = try PrivateFolder(beside: path)
            let routes =
                ControlRoutes.control(source) + (configuration.map { ConfigurationRoutes.routes($0) } ?? [])
            let listener = try await HTTPListener.start(
                path: folder.entryPath, routes: routes, diagnostics: diagnostics)
            control = (socket, listener)
            try folder.moveEntry(to: path, mode: ControlSocket.mode)
        } catch {
            let words = (error as? HTTPListener.StartFailure)?.words ?? "\(error)"
            throw .runTime("--control \(path) cannot be opened (\(words)): name a path in a folder of this user")
        }
        diagnostics.report(.info, "control socket: \(path)")
    }

    private mutating func openMetrics(
        _ address: PortalAddress, _ source: any StatusSource, _ diagnostics: Diagnostics
    ) async throws(Failure) {
        if !address.isLoopback {
            diagnostics.report(
                .warning, "--metrics \(address) can be reached from other machines, without authentication")
        }
        let routes = ControlRoutes.metrics(source)
        do throws(HTTPListener.StartFailure) {
            metrics = try await .start(portal: address, routes: routes, diagnostics: diagnostics)
        } catch {
            throw .runTime("--metrics \(address) cannot be opened (\(error.words)): choose another address or port")
        }
        let bound = PortalAddress(host: address.host, port: await metrics?.port() ?? address.port)
        metricsPortal = bound
        diagnostics.report(.notice, "metrics: http://\(bound)\(ControlRoutes.metricsPath)")
    }
}
