// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import Synchronization
internal import TargetCore

/// What all loops of a server share. Immutable but for what is said to be otherwise.
final class ServerState: Sendable {
    let configuration: ISCSIServerConfiguration
    /// What is served, and to whom; changed while the server runs.
    private let servedTargets: Mutex<ServedTargets>
    /// Of all targets that there ever were, in the order in which they came: a position never means another.
    private let everyTargetName: Mutex<[String]>
    let directory = SessionDirectory()
    let authentication = AuthenticationGuard()
    let diagnostics: Diagnostics
    /// Set before the first connection is accepted.
    private let servedPortals = Mutex<[ServedPortal]>([])
    /// The name of the poller that the first loop made.
    private let poller = Mutex<String?>(nil)
    let admission: AdmissionControl
    private let sessionCount = Atomic<UInt64>(0)

    init(configuration: ISCSIServerConfiguration, served: ServedTargets, diagnostics: Diagnostics) {
        self.configuration = configuration
        servedTargets = Mutex(served)
        everyTargetName = Mutex(served.policy.targets.map(\.targetName))
        self.diagnostics = diagnostics
        admission = AdmissionControl(
            AdmissionLimits(
                connections: configuration.connectionLimit,
                connectionsPerAddress: configuration.addressConnectionLimit, halfOpen: configuration.halfOpenLimit,
                halfOpenPerAddress: configuration.addressHalfOpenLimit))
    }

    var served: ServedTargets { servedTargets.withLock { $0 } }

    /// From now on logins and discovery follow `served`.
    func replaceServed(by served: ServedTargets) {
        everyTargetName.withLock { names in
            for name in served.policy.targets.map(\.targetName) where !names.contains(name) { names.append(name) }
        }
        servedTargets.withLock { $0 = served }
    }

    /// What statistics call a target.
    func statisticsPosition(ofTarget name: String) -> Int {
        everyTargetName.withLock { $0.firstIndex(of: name) ?? 0 }
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

    /// `bound`: with their real ports, in the order of the configuration.
    func setPortals(_ bound: [PortalAddress]) {
        servedPortals.withLock { portals in
            portals = zip(bound, configuration.portals).map { ServedPortal(bound: $0, settings: $1) }
        }
    }

    var portals: [ServedPortal] { servedPortals.withLock { $0 } }

    func portalGroupTag(of portal: PortalIndex) -> UInt16 {
        guard configuration.portals.indices.contains(portal.position) else {
            return PortalSettings.defaultPortalGroupTag
        }
        return configuration.portals[portal.position].portalGroupTag
    }

    /// What statistics call a session: never used again, unlike its TSIH.
    func nextSessionNumber() -> UInt64 { sessionCount.add(1, ordering: .relaxed).newValue }
}
