// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Foundation
internal import HandlerHost
internal import Logging
internal import SCSI
internal import TargetCore
internal import Transport

/// The iSCSI server at work, and what there is to tell of it.
final class RunningServer: StatusSource {
    /// One logical unit in its place.
    struct LUN: Sendable {
        let targetName: String
        let number: Int
        let url: String
        let device: OpenDevice
    }

    /// As they were bound, with their real ports.
    let portals: [PortalAddress]
    /// In the order of the targets, then of their numbers.
    let luns: [LUN]
    private let server: ISCSIServer
    private let statistics: ServerStatistics
    private let targetNames: [String]
    private let startTime = Date()

    private init(
        server: ISCSIServer, statistics: ServerStatistics, portals: [PortalAddress], targetNames: [String],
        luns: [LUN]
    ) {
        self.server = server
        self.statistics = statistics
        self.portals = portals
        self.targetNames = targetNames
        self.luns = luns
    }

    static func start(
        _ configuration: Configuration, assembly: Assembly, authentication: AuthenticationPolicies,
        stopLimit: StopLimit, logger: Logger
    ) throws(Failure) -> RunningServer {
        let performance = configuration.performance
        var settings = ISCSIServerConfiguration(
            portals: configuration.portals.map(\.settings),
            loopCount: performance.loopCount ?? Environment.processorCount)
        settings.poller = performance.poller
        settings.polling = performance.polling
        settings.placement = performance.placement
        settings.keptBufferCount = performance.bufferCount
        settings.taskManagementTimeoutMilliseconds = UInt64(configuration.abortSeconds) * 1000
        stopLimit.shorten(&settings.stopTimeoutMilliseconds)
        if let coalescing = try configuration.performance.policy() { settings.coalescing = coalescing }
        settings.sampleInterval = configuration.performance.sampleInterval ?? settings.sampleInterval
        let statistics = ServerStatistics(
            sampleInterval: settings.sampleInterval, targetNames: assembly.targets.map(\.name),
            units: configuration.targets.flatMap { target in
                target.luns.keys.map { UnitName(targetName: target.name, lun: $0) }
            }, now: Environment.monotonicSeconds)
        settings.whenSamplesWait = { [statistics] in statistics.samplesWait { Environment.monotonicSeconds } }
        let server = ISCSIServer(
            configuration: settings, targets: assembly.targets, diagnostics: Log.diagnostics(logger))
        statistics.attach { [weak server] body in server?.drainSamples(body) }
        let bound: [PortalAddress]
        do throws(ServerError) {
            bound = try server.start()
        } catch {
            throw .runTime(error.description)
        }
        // The loops take the completions of handlers that announce them by a descriptor: no thread in between.
        for device in assembly.devices.map(\.device) {
            guard let descriptor = device.takeOverReaping() else { continue }
            server.watch(descriptor) { device.reap() }
        }
        return RunningServer(
            server: server, statistics: statistics, portals: bound, targetNames: configuration.targets.map(\.name),
            luns: luns(configuration, assembly, portal: bound.first ?? Configuration.defaultPortal))
    }

    /// Ends all sessions and joins the loops. Blocks.
    func stop() { server.stop() }

    private static func luns(
        _ configuration: Configuration, _ assembly: Assembly, portal: PortalAddress
    ) -> [LUN] {
        let devices = Dictionary(assembly.devices.map { ($0.name, $0) }) { first, _ in first }
        return configuration.targets.flatMap { target in
            target.luns.sorted { $0.key < $1.key }.compactMap { number, name in
                devices[name].map {
                    let url = LUNAddress.url(
                        portal: portal, advertised: configuration.portals.first?.advertise, targetName: target.name,
                        lun: number)
                    return LUN(targetName: target.name, number: number, url: url, device: $0)
                }
            }
        }
    }

    // MARK: StatusSource

    func statistics(_ purpose: StatisticsPurpose) async -> StatisticsReport {
        var input = StatisticsInput(await snapshot())
        input.devices = devices.map { (backstore: $0.backstore, counters: $0.counters) }
        return statistics.report(input, purpose, now: Environment.monotonicSeconds)
    }

    /// The loops answer from their own threads; a thread that may wait asks them.
    private func snapshot() async -> ServerSnapshot {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: self.server.snapshot()) }
        }
    }

    var portGroups: [PortGroupReport] {
        devices.flatMap { device in
            device.unit.targetPortGroups.map { PortGroupReport(device: device.name, $0) }
        }
    }

    func change(_ change: PortGroupChange) -> [PortGroupReport] {
        guard let state = PortGroupSettings.state(change.state) else { return [] }
        var changed: [PortGroupReport] = []
        for device in devices where change.device == nil || change.device == device.name {
            guard device.unit.setAccessState(of: change.group, to: state) else { continue }
            changed += device.unit.targetPortGroups.filter { $0.number == change.group }.map {
                PortGroupReport(device: device.name, $0)
            }
        }
        return changed
    }

    /// Each once, however many LUNs lead to it, by name.
    private var devices: [OpenDevice] {
        let byName = Dictionary(luns.map { ($0.device.name, $0.device) }) { first, _ in first }
        return byName.values.sorted { $0.name < $1.name }
    }

    func report() async -> ServerReport {
        let snapshot = await snapshot()
        var report = ServerReport(snapshot)
        report.status.startTime = startTime.timeIntervalSince1970
        report.status.processorSeconds = Environment.processorSeconds
        report.status.processIdentifier = Environment.processIdentifier
        report.status.portals = portals.map(\.description)
        report.status.targets = targetNames
        report.luns = luns.map { LUNReport($0, counters: snapshot.units[$0.name]) }
        report.reservations = luns.map { lun in
            let unit = lun.device.unit
            return ReservationReport(
                target: lun.targetName, lun: lun.number, serial: unit.identity.serial, unit.reservationStatus)
        }
        return report
    }
}

extension RunningServer.LUN {
    fileprivate var name: UnitName { UnitName(targetName: targetName, lun: number) }
}

extension LUNReport {
    fileprivate init(_ lun: RunningServer.LUN, counters: UnitCounters?) {
        let counters = counters ?? UnitCounters()
        let unit = lun.device.unit
        self.init(
            target: lun.targetName, lun: lun.number, url: lun.url, backstore: lun.device.backstore,
            filters: lun.device.filterTexts,
            serial: unit.identity.serial, vendor: unit.identity.vendor, product: unit.identity.product,
            blockBytes: unit.blockByteCount, blocks: unit.blockCount, isReadOnly: unit.features.isReadOnly,
            commands: counters.commandCount, failedCommands: counters.failedCommandCount,
            readBytes: counters.readByteCount, writtenBytes: counters.writtenByteCount)
        let deviceHealth = lun.device.device.health
        health = deviceHealth.state.rawValue
        healthReason = deviceHealth.reason
    }
}
