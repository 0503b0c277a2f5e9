// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import Synchronization
internal import TargetCore

/// What all loops of a server share. Immutable but for what is said to be otherwise.
final class ServerState: Sendable {
    let configuration: ISCSIServerConfiguration
    /// What is served, and to whom; changed while the server runs.
    private let servedTargets: Mutex<ServedTargets>
    /// Of all logical units that a command ever went to, by their numbers in samples: a number never means another.
    private let numberedUnits = Mutex<(names: [UnitName], numbers: [UnitName: UInt32])>(([], [:]))
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
        self.diagnostics = diagnostics
        admission = AdmissionControl(
            AdmissionLimits(
                connections: configuration.connectionLimit,
                connectionsPerAddress: configuration.addressConnectionLimit, halfOpen: configuration.halfOpenLimit,
                halfOpenPerAddress: configuration.addressHalfOpenLimit))
    }

    var served: ServedTargets { servedTargets.withLock { $0 } }

    /// From now on logins and discovery follow `served`.
    func replaceServed(by served: ServedTargets) { servedTargets.withLock { $0 = served } }

    /// What samples call a logical unit.
    func unitNumber(of name: UnitName) -> UInt32 {
        numberedUnits.withLock { units in
            if let number = units.numbers[name] { return number }
            let number = UInt32(units.names.count)
            units.names.append(name)
            units.numbers[name] = number
            return number
        }
    }

    /// By number.
    var unitNames: [UnitName] { numberedUnits.withLock { $0.names } }

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
