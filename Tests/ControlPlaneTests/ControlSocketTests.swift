// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import TargetCore
import Testing
import Transport

/// One at a time: the client holds its thread until it is answered, and the server's tasks need one.
@Suite("The control socket", .serialized)
struct ControlSocketTests {
    private struct FixedSource: StatusSource {
        let fixed: ServerReport

        func report() async -> ServerReport { fixed }

        func statistics(_ purpose: StatisticsPurpose) async -> StatisticsReport {
            var report = StatisticsReport()
            report.seconds = [.look: 1, .call: 2, .reset: 3][purpose] ?? 0
            return report
        }
    }

    private static let report: ServerReport = {
        var report = ServerReport()
        report.status.portals = ["127.0.0.1:3260"]
        report.status.targets = ["iqn.2026-11.org.example:a"]
        report.status.sessions = 1
        report.status.protocolErrors = .max
        var session = SessionReport()
        session.initiator = "iqn.1993-08.org.debian:\"é\n"
        session.isid = "00023d000001"
        session.tsih = 5
        session.hasDataDigest = true
        report.sessions = [session]
        report.luns = [LUNReport(target: "iqn.2026-11.org.example:a", lun: 0, url: "iscsi://x", blocks: 2048)]
        var reservation = ReservationReport()
        reservation.target = "iqn.2026-11.org.example:a"
        reservation.type = "write exclusive"
        var registration = ReservationReport.Registration()
        registration.nexus.initiatorPort = "iqn.1993-08.org.debian:\"é\n,i,0x00023d000001"
        registration.key = "00000000000000ab"
        registration.isHolder = true
        reservation.registrations = [registration]
        reservation.generation = .max
        reservation.reserver = registration.nexus
        report.reservations = [reservation]
        return report
    }()

    private let folder = "/tmp/martlet-\(UUID().uuidString.prefix(8))"
    private var path: String { "\(folder)/control" }

    private func withListeners(
        _ path: String?, metrics: PortalAddress? = nil, _ body: (ControlListeners) async throws -> Void
    ) async throws {
        let listeners = try await ControlListeners.start(
            controlPath: path, metrics: metrics, source: FixedSource(fixed: Self.report), diagnostics: .silent)
        do {
            try await body(listeners)
        } catch {
            await listeners.stop()
            throw error
        }
        await listeners.stop()
    }

    @Test("A client reads what the server tells, value for value")
    func roundTrip() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withListeners(path) { _ async throws in
            let client = ControlClient(path: path)
            #expect(try client.status() == Self.report.status)
            #expect(try client.sessions() == Self.report.sessions)
            #expect(try client.luns() == Self.report.luns)
            #expect(try client.reservations() == Self.report.reservations)
            #expect(try client.statistics().seconds == 2)
            #expect(try client.statistics(isReset: true).seconds == 3)
            var statistics = StatisticsReport()
            statistics.seconds = 1
            #expect(try client.metrics() == OpenMetrics.text(Self.report, statistics))
        }
    }

    @Test("The table of reservations has a line for each registration and each RESERVE, and none of a peer's line ends")
    func reservationTable() {
        let lines = ReservationReport.table(Self.report.reservations).split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[1].contains("00000000000000ab") && lines[1].contains("write exclusive"))
        #expect(lines[2].contains("RESERVE") && lines[2].contains("iqn.2026-11.org.example:a"))
        #expect(ReservationReport.table([ReservationReport()]) == "No registrations, no reservations.\n")
    }

    @Test("Only the server's user may connect, and the socket goes with the server")
    func permissions() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withListeners(path) { _ async throws in
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.posixPermissions] as? Int) == 0o600)
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("Opening the socket changes the mode of no other thread's files, and leaves nothing behind")
    func otherFiles() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        async let modes = Self.modesOfNewFiles("\(folder)/file", count: 3000)
        for _ in 0..<100 { try await withListeners(path) { _ in } }
        let seen = await modes
        #expect(seen.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    /// The modes that files get, one after the other at the same path.
    private static func modesOfNewFiles(_ path: String, count: Int) async -> Set<mode_t> {
        var modes: Set<mode_t> = []
        for _ in 0..<count {
            let file = open(path, O_CREAT | O_RDWR | O_EXCL, 0o644)
            defer { close(file) }
            var record = stat()
            guard file >= 0, fstat(file, &record) == 0, unlink(path) == 0 else { return [] }
            modes.insert(record.st_mode)
        }
        return modes
    }

    @Test("A socket that was left over is replaced")
    func leftOver() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        _ = try UnixSocket(bound: path, datagrams: false)
        #expect(FileManager.default.fileExists(atPath: path))
        try await withListeners(path) { _ async throws in
            #expect(try ControlClient(path: path).status() == Self.report.status)
        }
    }

    @Test("The socket of a server that runs, and a file that is none, are left alone")
    func occupied() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withListeners(path) { _ async throws in
            await #expect(
                throws: Failure.runTime(
                    "--control \(path) belongs to a server that runs: stop that one, or name another path")
            ) { try await withListeners(path) { _ in } }
            #expect(try ControlClient(path: path).status() == Self.report.status)
        }
        try Data("kept".utf8).write(to: URL(fileURLWithPath: path))
        await #expect(
            throws: Failure.runTime("--control \(path) is there and is no socket: remove it, or name another path")
        ) { try await withListeners(path) { _ in } }
        #expect(FileManager.default.contents(atPath: path) == Data("kept".utf8))
    }

    @Test("A path that no socket can have is refused")
    func impossible() async {
        for path in ["", "@name", "/tmp/" + String(repeating: "a", count: 200)] {
            let failure = await #expect(throws: Failure.self) { try await withListeners(path) { _ in } }
            #expect(failure?.kind == .usage)
        }
        let failure = await #expect(throws: Failure.self) { try await withListeners("/nowhere/at/all/c") { _ in } }
        #expect(failure?.kind == .runTime)
    }

    @Test("A client without a server says what to do")
    func nobodyListens() {
        #expect(
            throws: Failure.runTime(
                "no server listens at \(path): start one with --control \(path), or name its socket with --control")
        ) { try ControlClient(path: path).status() }
    }

    @Test(
        "The default path is the user's own, or the system's",
        arguments: [
            ("/run/user/7", "/run/user/7/martlet/control"), (nil, "/run/martlet/control"), ("", "/run/martlet/control"),
            ("relative", "/run/martlet/control"),
        ])
    func defaultPath(runtimeFolder: String?, path: String) {
        #expect(ControlSocket.defaultPath(runtimeFolder: runtimeFolder) == path)
    }

    @Test("Metrics are served on a free TCP port, and a port that is taken is a failure that names it")
    func metrics() async throws {
        let any = PortalAddress(host: "127.0.0.1", port: 0)
        try await withListeners(nil, metrics: any) { listeners async throws in
            let portal = try #require(listeners.metricsPortal)
            #expect(portal.port != 0)
            let failure = await #expect(throws: Failure.self) {
                try await withListeners(nil, metrics: portal) { _ in }
            }
            #expect(failure?.description.hasPrefix("--metrics \(portal) cannot be opened") == true)
        }
    }
}
