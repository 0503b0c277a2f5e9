// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISNS
internal import TargetCore
internal import Transport

/// What the log is told of a registration: each change once, repetitions at the level `debug`.
struct ISNSLog {
    private let diagnostics: Diagnostics
    private let server: String
    /// The last trouble, until it is over.
    private var trouble = ""
    private var hasToldOfPortals = false

    init(_ diagnostics: Diagnostics, server: PortalAddress) {
        self.diagnostics = diagnostics
        self.server = server.description
    }

    /// Writes the line. Why there is no registration: empty when there is one.
    mutating func tell(_ report: ISNSClientMachine.Report) -> String {
        switch report {
        case .registered(let entity, let targets, let portals, let periodSeconds):
            trouble = ""
            diagnostics.report(
                .notice,
                "registered with the iSNS server \(server): \(targets) target(s) at \(portals) portal(s) as \(entity), for \(periodSeconds) s, refreshed in time"
            )
            return ""
        case .forgotten(let status):
            diagnostics.report(
                .notice, "the iSNS server \(server) knows nothing of us any more (\(status)): registering again")
            return "forgotten: \(status)"
        case .lost(let reason, let milliseconds):
            return complain("no iSNS server \(server): \(reason)", reason, retry: milliseconds)
        case .refused(let function, let status, let milliseconds):
            return complain(
                "the iSNS server \(server) refuses \(function.name): \(status)", "\(function.name) refused: \(status)",
                retry: milliseconds)
        case .subscriptionRefused(let target, let status):
            diagnostics.report(
                .notice, "the iSNS server \(server) sends no state change notifications for \(target): \(status)")
            return ""
        case .deregistered:
            diagnostics.report(.notice, "deregistered from the iSNS server \(server)")
            return "deregistered"
        case .notDeregistered(let reason):
            diagnostics.report(
                .warning,
                "not deregistered from the iSNS server \(server): \(reason); it forgets us when the period is over")
            return reason
        }
    }

    private mutating func complain(_ sentence: String, _ reason: String, retry milliseconds: UInt64) -> String {
        let isNew = trouble != reason
        trouble = reason
        let again = isNew ? "; trying again until it is there" : "; trying again in \(milliseconds) ms"
        diagnostics.report(isNew ? .warning : .debug, "\(sentence)\(again)")
        return reason
    }

    mutating func noPortal() {
        if !hasToldOfPortals {
            diagnostics.report(
                .warning,
                "the iSNS server \(server) is told of no portal: initiators elsewhere can reach none; listen at an address of this machine, or advertise one"
            )
        }
        hasToldOfPortals = true
    }

    func noListener(_ error: SystemError) {
        diagnostics.report(.warning, "no port for state change notifications of the iSNS server \(server): \(error)")
    }

    func changed(_ names: [String]) {
        diagnostics.report(.debug, "the iSNS server \(server) tells of changes to \(names.joined(separator: ", "))")
    }
}
