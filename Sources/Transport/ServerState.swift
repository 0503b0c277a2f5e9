// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
internal import TargetCore

/// What all loops of a server share. Immutable but for what is said to be otherwise.
final class ServerState: Sendable {
    let configuration: ISCSIServerConfiguration
    let targets: [String: SCSITarget]
    /// In the order they were given, for SendTargets.
    let targetNames: [String]
    let directory = SessionDirectory()
    let diagnostics: Diagnostics
    /// Listening addresses with their real ports; set before the first connection is accepted.
    private let boundPortals = Mutex<[PortalAddress]>([])
    private let connectionCount = Atomic<Int>(0)
    private let sessionCount = Atomic<UInt64>(0)

    init(configuration: ISCSIServerConfiguration, targets: [SCSITarget], diagnostics: Diagnostics) {
        self.configuration = configuration
        targetNames = targets.map(\.name)
        self.targets = Dictionary(targets.map { ($0.name, $0) }) { first, _ in first }
        self.diagnostics = diagnostics
    }

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
