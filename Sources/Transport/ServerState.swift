// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import Synchronization
internal import TargetCore

/// What all loops of a server share. Immutable but for what is said to be otherwise.
final class ServerState: Sendable {
    let configuration: ISCSIServerConfiguration
    let targets: [String: SCSITarget]
    /// In the order they were given, for SendTargets.
    let targetNames: [String]
    let directory = SessionDirectory()
    let authentication = AuthenticationGuard()
    let diagnostics: Diagnostics
    /// Listening addresses with their real ports; set before the first connection is accepted.
    private let boundPortals = Mutex<[PortalAddress]>([])
    /// The name of the poller that the first loop made.
    private let poller = Mutex<String?>(nil)
    private let connectionCount = Atomic<Int>(0)
    private let sessionCount = Atomic<UInt64>(0)

    init(configuration: ISCSIServerConfiguration, targets: [SCSITarget], diagnostics: Diagnostics) {
        self.configuration = configuration
        targetNames = targets.map(\.name)
        self.targets = Dictionary(targets.map { ($0.name, $0) }) { first, _ in first }
        self.diagnostics = diagnostics
    }

    /// A loop has its poller. Why it is not the one that was asked for is said once, as it holds for all loops.
    func notePoller(_ name: String, _ reason: String?) {
        let isFirst = poller.withLock { poller in
            defer { poller = name }
            return poller == nil
        }
        guard isFirst, let reason else { return }
        diagnostics.report(configuration.poller == .auto ? .notice : .warning, reason)
    }

    /// How the loops ask the kernel: "epoll" or "io_uring"; empty before the first has begun.
    var pollerName: String { poller.withLock { $0 } ?? "" }

    func setPortals(_ portals: [PortalAddress]) { boundPortals.withLock { $0 = portals } }

    /// The addresses that SendTargets names to a peer that reached us at `local`: never a wildcard.
    func advertisedPortals(local: PortalAddress?) -> [PortalAddress] {
        var result: [PortalAddress] = []
        for (index, bound) in boundPortals.withLock({ $0 }).enumerated() {
            var portal = bound
            if index < configuration.advertised.count, let advertised = configuration.advertised[index] {
                portal = advertised
            } else if bound.isWildcard {
                guard let local, local.port == bound.port, local.isIPv6 == bound.isIPv6 else { continue }
                portal = local
            }
            if !result.contains(portal) { result.append(portal) }
        }
        return result
    }

    /// False when the server has all the connections that it takes.
    func admitConnection() -> Bool {
        if connectionCount.add(1, ordering: .relaxed).newValue <= configuration.connectionLimit { return true }
        releaseConnection()
        return false
    }

    /// What statistics call a session: never used again, unlike its TSIH.
    func nextSessionNumber() -> UInt64 { sessionCount.add(1, ordering: .relaxed).newValue }

    func releaseConnection() { connectionCount.subtract(1, ordering: .relaxed) }
}
