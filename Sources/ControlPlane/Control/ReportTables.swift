// SPDX-License-Identifier: Apache-2.0

internal import Foundation

extension StatusReport {
    public func table() -> String { table(now: Date().timeIntervalSince1970) }

    /// `now`: seconds since 1970.
    public func table(now: Double) -> String {
        var rows = [
            ("version", version),
            ("process", "\(processIdentifier)"),
            ("uptime", "\(Int(max(0, now - startTime))) s"),
            ("processor time", "\((processorSeconds * 1000).rounded() / 1000) s"),
            ("portals", portals.joined(separator: ", ")),
            ("poller", poller),
            ("targets", targets.joined(separator: ", ")),
            ("sessions", "\(sessions)"),
            ("connections", "\(connections)"),
            ("logins", "\(logins), refused \(failedLogins)"),
            ("protocol errors", "\(protocolErrors)"),
            ("received", "\(traffic.receivedBytes) bytes, \(traffic.receivedPDUs) PDUs, \(traffic.receiveCalls) calls"),
            ("sent", "\(traffic.sentBytes) bytes, \(traffic.sentPDUs) PDUs, \(traffic.sendCalls) calls"),
            ("placement", placement),
        ]
        if !admission.isQuiet { rows.append(("limits", admission.words)) }
        if let isns { rows.append(("iSNS", isns.words)) }
        rows += loops.map { ("loop \($0.loop)", $0.words) }
        let width = (rows.map(\.0.count).max() ?? 0) + 2
        return rows.map { $0.0 + String(repeating: " ", count: width - $0.0.count) + $0.1 + "\n" }.joined()
    }
}

extension SessionReport {
    public static func table(_ sessions: [SessionReport]) -> String {
        guard !sessions.isEmpty else { return "No sessions.\n" }
        var table = TextTable(
            headings: [
                "TSIH", "PEER", "CONNECTIONS", "ERL", "COMMANDS", "DIGESTS", "RECEIVED", "SENT", "INITIATOR", "TARGET",
            ])
        for each in sessions {
            let digests = (each.hasHeaderDigest ? ["header"] : []) + (each.hasDataDigest ? ["data"] : [])
            table.add([
                "\(each.tsih)", each.peer ?? "-", "\(each.connections.count)", "\(each.errorRecoveryLevel)",
                "\(each.commands)",
                digests.isEmpty ? "none" : digests.joined(separator: "+"), "\(each.traffic.receivedBytes)",
                "\(each.traffic.sentBytes)", each.initiator, each.target ?? "(discovery)",
            ])
        }
        return table.text()
    }
}

extension LUNReport {
    public static func table(_ luns: [LUNReport]) -> String {
        var table = TextTable(
            headings: [
                "LUN", "SIZE", "BLOCK", "MODE", "HEALTH", "COMMANDS", "READ", "WRITTEN", "SERIAL", "BACKSTORE",
                "TARGET",
            ])
        for each in luns {
            table.add([
                "\(each.lun)", ByteCount.describe(each.mediumBytes), "\(each.blockBytes)",
                each.isReadOnly ? "ro" : "rw", each.health, "\(each.commands)", "\(each.readBytes)",
                "\(each.writtenBytes)", each.serial, (each.filters + [each.backstore]).joined(separator: "+"),
                each.target + (each.device.map { " (\($0))" } ?? ""),
            ])
        }
        let remarks = luns.filter { $0.health != "good" }.map { "\($0.target)/\($0.lun): \($0.healthReason)\n" }
        return table.text() + remarks.joined()
    }
}
