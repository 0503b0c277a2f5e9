// SPDX-License-Identifier: Apache-2.0

/// The server's counters in OpenMetrics 1.0 text.
public enum OpenMetrics {
    public static let contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    public static func text(_ report: ServerReport, _ statistics: StatisticsReport? = nil) -> String {
        var text = MetricText()
        addServer(report.status, to: &text)
        add(report.status.admission, to: &text)
        addTraffic(report.status.traffic, to: &text)
        addLUNs(report.luns, to: &text)
        if let statistics { add(statistics, to: &text) }
        return text.ended()
    }

    private static func addServer(_ status: StatusReport, to text: inout MetricText) {
        text.add("martlet_build", .info, "The version that runs.", [([("version", status.version)], 1)])
        text.add(
            "martlet_start_time_seconds", .gauge, "When the server started, in seconds since 1970.", status.startTime)
        text.add(
            "martlet_processor_seconds", .counter, "User and system processor time of the process.",
            status.processorSeconds)
        text.add("martlet_sessions", .gauge, "Sessions that are logged in.", Double(status.sessions))
        text.add(
            "martlet_connections", .gauge, "Connections that are open, logged in or not.", Double(status.connections))
        text.add("martlet_logins", .counter, "Logins that succeeded.", Double(status.logins))
        text.add("martlet_failed_logins", .counter, "Logins that were refused.", Double(status.failedLogins))
        text.add(
            "martlet_protocol_errors", .counter, "Connections dropped because of what the peer sent.",
            Double(status.protocolErrors))
    }

    private static func addTraffic(_ traffic: TrafficReport, to text: inout MetricText) {
        text.add(
            "martlet_received_bytes", .counter, "Bytes received on all connections.", Double(traffic.receivedBytes))
        text.add("martlet_received_pdus", .counter, "PDUs received on all connections.", Double(traffic.receivedPDUs))
        text.add("martlet_receive_calls", .counter, "System calls that received.", Double(traffic.receiveCalls))
        text.add("martlet_sent_bytes", .counter, "Bytes sent on all connections.", Double(traffic.sentBytes))
        text.add("martlet_sent_pdus", .counter, "PDUs sent on all connections.", Double(traffic.sentPDUs))
        text.add("martlet_send_calls", .counter, "System calls that sent.", Double(traffic.sendCalls))
    }

    /// `device` nil: what most find behind the number.
    static func labels(target: String, lun: Int, device: String?) -> [(name: String, value: String)] {
        [("target", target), ("lun", "\(lun)")] + (device.map { [("device", $0)] } ?? [])
    }

    private static func addLUNs(_ luns: [LUNReport], to text: inout MetricText) {
        func samples(_ value: (LUNReport) -> UInt64) -> [MetricText.Sample] {
            luns.map { (labels(target: $0.target, lun: $0.lun, device: $0.device), Double(value($0))) }
        }
        text.add("martlet_lun_size_bytes", .gauge, "Bytes of the medium.", samples(\.mediumBytes))
        text.add("martlet_lun_health", .gauge, "0 good, 1 degraded, 2 failed.", samples(\.healthNumber))
        text.add("martlet_lun_commands", .counter, "SCSI commands that ended.", samples(\.commands))
        text.add(
            "martlet_lun_failed_commands", .counter,
            "SCSI commands that ended with a status other than GOOD and CONDITION MET.", samples(\.failedCommands))
        text.add("martlet_lun_read_bytes", .counter, "Bytes that went to initiators.", samples(\.readBytes))
        text.add("martlet_lun_written_bytes", .counter, "Bytes that came from initiators.", samples(\.writtenBytes))
    }
}

extension LUNReport {
    fileprivate var healthNumber: UInt64 {
        switch health {
        case "good": 0
        case "degraded": 1
        default: 2
        }
    }
}
