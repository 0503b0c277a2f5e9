// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Foundation
internal import HandlerHost
internal import Logging
internal import SCSI
internal import Synchronization
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
        /// What most find behind the number; otherwise it is there for some initiators alone.
        let isUsual: Bool
    }

    /// What a live change replaces.
    struct Live: Sendable {
        var configuration: Configuration
        var policy: AccessPolicy
        /// In the order of the targets, then of their numbers: all that somebody sees.
        var luns: [LUN]
    }

    /// As they were bound, with their real ports.
    let portals: [PortalAddress]
    let server: ISCSIServer
    let statistics: ServerStatistics
    let assembly: Assembly
    /// What the server was told on its command line: a file that is applied takes the place of its `--config`.
    let options: ServeOptions
    let logger: Logger
    let live: Mutex<Live>
    /// One live change at a time.
    let changes = DispatchQueue(label: "martlet-changes")
    private let startTime = Date()
    /// The registration with a name server; nil: none is configured.
    let nameService = Mutex<ISNSClient?>(nil)

    /// One for each number.
    var luns: [LUN] { everyUnit.filter(\.isUsual) }
    private var everyUnit: [LUN] { live.withLock { $0.luns } }

    private init(
        server: ISCSIServer, statistics: ServerStatistics, portals: [PortalAddress], assembly: Assembly, live: Live,
        options: ServeOptions, logger: Logger
    ) {
        self.options = options
        self.server = server
        self.statistics = statistics
        self.portals = portals
        self.assembly = assembly
        self.live = Mutex(live)
        self.logger = logger
    }

    static func start(
        _ configuration: Configuration, options: ServeOptions, assembly: Assembly,
        authentication: AuthenticationPolicies, stopLimit: StopLimit, logger: Logger
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
        configuration.limits.apply(to: &settings)
        stopLimit.shorten(&settings.stopTimeoutMilliseconds)
        if let coalescing = try configuration.performance.policy() { settings.coalescing = coalescing }
        settings.sampleInterval = configuration.performance.sampleInterval ?? settings.sampleInterval
        let statistics = ServerStatistics(
            sampleInterval: settings.sampleInterval, units: configuration.seenUnits, now: Environment.monotonicSeconds)
        settings.whenSamplesWait = { [statistics] in statistics.samplesWait { Environment.monotonicSeconds } }
        let policy = configuration.policy(authentication)
        let server = ISCSIServer(
            configuration: settings,
            served: ServedTargets(policy: policy, targets: assembly.targets, units: assembly.units),
            diagnostics: Log.diagnostics(logger))
        statistics.attach { [weak server] body in
            server?.drainSamples(body)
        } unitNames: { [weak server] in
            server?.unitNames ?? []
        }
        let bound: [PortalAddress]
        do throws(ServerError) {
            bound = try server.start()
        } catch {
            throw .runTime(error.description)
        }
        watch(assembly.devices, server)
        let luns = luns(configuration, assembly, portal: bound.first ?? Configuration.defaultPortal)
        return RunningServer(
            server: server, statistics: statistics, portals: bound, assembly: assembly,
            live: Live(configuration: configuration, policy: policy, luns: luns), options: options,
            logger: logger)
    }

    /// The loops take the completions of handlers that announce them by a descriptor: no thread in between.
    static func watch(_ devices: [OpenDevice], _ server: ISCSIServer) {
        for device in devices.map(\.device) {
            guard let descriptor = device.takeOverReaping() else { continue }
            server.watch(descriptor) { device.reap() }
        }
    }

    /// Ends all sessions and joins the loops. Blocks.
    func stop() { server.stop() }

    static func luns(
        _ configuration: Configuration, _ assembly: Assembly, portal: PortalAddress
    ) -> [LUN] {
        let devices = Dictionary(assembly.devices.map { ($0.name, $0) }) { first, _ in first }
        return configuration.targets.flatMap { target in
            target.access.seenUnits.compactMap { unit in
                devices[unit.name.device].map {
                    let url = LUNAddress.url(
                        portal: portal, advertised: configuration.portals.first?.advertise, targetName: target.name,
                        lun: unit.name.lun)
                    return LUN(
                        targetName: target.name, number: unit.name.lun, url: url, device: $0, isUsual: unit.isUsual)
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
    func snapshot() async -> ServerSnapshot {
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

    /// By name.
    private var devices: [OpenDevice] { assembly.devices.sorted { $0.name < $1.name } }

    func report() async -> ServerReport {
        let snapshot = await snapshot()
        var report = ServerReport(snapshot)
        report.status.startTime = startTime.timeIntervalSince1970
        report.status.processorSeconds = Environment.processorSeconds
        report.status.processIdentifier = Environment.processIdentifier
        report.status.portals = portals.map(\.description)
        report.status.targets = live.withLock { $0.configuration.targets.map(\.name) }
        report.status.isns = nameService.withLock { $0 }?.report
        let everyUnit = everyUnit
        report.luns = everyUnit.map { LUNReport($0, counters: snapshot.units[$0.name]) }
        report.reservations = everyUnit.map { lun in
            let unit = lun.device.unit
            return ReservationReport(
                target: lun.targetName, lun: lun.number, serial: unit.identity.serial, unit.reservationStatus)
        }
        return report
    }
}

extension RunningServer.LUN {
    fileprivate var name: UnitName { UnitName(targetName: targetName, lun: number, device: device.name) }
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
        device = lun.isUsual ? nil : lun.device.name
        let deviceHealth = lun.device.device.health
        health = deviceHealth.state.rawValue
        healthReason = deviceHealth.reason
    }
}

extension Configuration {
    /// All logical units that somebody may see.
    var seenUnits: [SeenUnit] { targets.flatMap(\.access.seenUnits) }
}

extension TargetAccess {
    fileprivate var seenUnits: [SeenUnit] {
        var numbers: Set<Int> = []
        return everyNumberAndDevice.map { number, device in
            SeenUnit(
                UnitName(targetName: targetName, lun: number, device: device), isUsual: numbers.insert(number).inserted)
        }
    }
}
