// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Foundation
internal import HandlerHost
internal import Logging
internal import Synchronization
internal import TargetCore
internal import Transport

/// The devices and targets that are served, opened and put together: at the start those of the configuration, all or
/// nothing; then as live changes make them.
final class Assembly: Sendable {
    private struct State {
        /// In the order in which they were opened.
        var devices: [OpenDevice] = []
        var targets: [SCSITarget] = []
        /// Opened by a change that is not through: nobody sees them yet.
        var opened: [OpenDevice] = []
        /// No target has them any more, and they are not closed yet.
        var leaving: [OpenDevice] = []
        /// Closed, and kept for handlers that come back to their commands (`OpenDevice.mustStay`).
        var kept: [OpenDevice] = []
        var lastPortIdentifier: UInt16 = 0
        /// The server stops: what is opened from now on is closed again.
        var isClosing = false
    }

    private let state = Mutex(State())
    private let opener: DeviceOpener

    private init(opener: DeviceOpener) { self.opener = opener }

    static func build(_ configuration: Configuration, opener: DeviceOpener) throws(Failure) -> Assembly {
        let used = configuration.usedDevices
        for device in configuration.devices where !used.contains(device.name) {
            opener.logger.notice(
                "\(device.origin): the device \(device.name) is no LUN of any target: it is not opened")
        }
        let assembly = Assembly(opener: opener)
        let devices = try opener.open(
            configuration.devices.filter { used.contains($0.name) }, of: configuration, beside: []
        ) { _ in }
        assembly.state.withLock { $0.devices = devices }
        assembly.makeTargets(of: configuration)
        return assembly
    }

    var devices: [OpenDevice] { state.withLock { $0.devices } }
    var targets: [SCSITarget] { state.withLock { $0.targets } }

    /// By device name.
    var units: [String: LogicalUnit] { Dictionary(devices.map { ($0.name, $0.unit) }) { first, _ in first } }

    /// Drains, flushes and closes every device, and waits for those that are being closed already. The loops have ended.
    /// Blocks.
    func close() {
        let (present, leaving) = state.withLock { state in
            state.isClosing = true
            return (state.devices + state.opened, state.leaving)
        }
        HandlerThreads.perform([
            ("martlet-close", { [self] in opener.close(present) }),
            ("martlet-leave", { [self] in closeLeaving(leaving) }),
        ])
    }

    /// Sessions are about to be ended: what filters hold back on purpose goes now, so that no session waits for it.
    func release() {
        for each in state.withLock({ $0.devices + $0.leaving }) { each.filters?.release() }
    }

    // MARK: Live changes

    /// Opens the devices that `configuration` uses and that are not open. All or nothing; nobody sees them until
    /// `follow`. Blocks.
    func openMissing(_ configuration: Configuration) throws(Failure) -> [OpenDevice] {
        let open = devices
        let used = configuration.usedDevices.subtracting(open.map(\.name))
        let asked = configuration.devices.filter { used.contains($0.name) }
        try waitForLeaving(asked)
        do throws(Failure) {
            return try opener.open(asked, of: configuration, beside: open) { device throws(Failure) in
                let isStopping = state.withLock { state in
                    if !state.isClosing { state.opened.append(device) }
                    return state.isClosing
                }
                if isStopping { throw LiveChanges.stopping }
            }
        } catch {
            state.withLock { $0.opened = [] }
            throw error
        }
    }

    /// What `openMissing` has opened is not wanted. Blocks.
    func close(opened: [OpenDevice]) {
        opener.close(opened)
        state.withLock { $0.opened = [] }
    }

    /// Longer than the last flush of most stores, shorter than a client of the control socket waits.
    private static let leavingSeconds = 10.0

    /// No store is opened a second time: what is still being closed of the same name, serial number or store is waited
    /// for.
    private func waitForLeaving(_ asked: [Configuration.Device]) throws(Failure) {
        let deadline = Date(timeIntervalSinceNow: Self.leavingSeconds)
        let leaving = state.withLock { $0.leaving }
        for device in asked {
            for other in leaving where device.meansStore(of: other) {
                guard !other.life.waitUntilClosed(until: deadline) else { continue }
                let doing = other.unfinishedBusiness.map { ": its handler \(other.device.handler.subtype) \($0)" } ?? ""
                throw Failure.runTime(
                    "the device \(device.name) (\(device.settings.backstore)) cannot be opened: the device "
                        + "\(other.name) (\(other.backstore)), which was taken out, is not closed after "
                        + "\(Int(Self.leavingSeconds)) s\(doing); try again when the log says that it is closed"
                ).at(device.origin)
            }
        }
    }

    /// The targets and their maps become those of `configuration`. Sessions are to be told then, and after that
    /// `retire` what nobody uses.
    func follow(_ configuration: Configuration, opened: [OpenDevice]) {
        state.withLock { state in
            state.devices += opened
            state.opened = []
        }
        let units = units
        let wanted = Dictionary(configuration.targets.map { ($0.name, $0.access) }) { first, _ in first }
        for target in targets {
            guard let access = wanted[target.name] else {
                target.replaceMap(.empty)
                continue
            }
            Self.giveMaps(access, to: target, units: units)
        }
        state.withLock { state in state.targets.removeAll { wanted[$0.name] == nil } }
        makeTargets(of: configuration)
    }

    /// Closes the devices that `configuration` does not use, each when no session has anything to do with it any more.
    func retire(_ configuration: Configuration) {
        let used = configuration.usedDevices
        let gone = state.withLock { state in
            let gone = state.devices.filter { !used.contains($0.name) }
            state.devices.removeAll { !used.contains($0.name) }
            state.leaving += gone
            return gone
        }
        for device in gone {
            // What filters hold back on purpose goes now: sessions keep the unit until their commands have ended.
            device.filters?.release()
            device.unit.whenUnattached { [self] in
                DispatchQueue.global(qos: .utility).async { [self] in
                    device.endWatch()
                    closeLeaving([device])
                }
            }
        }
    }

    private func closeLeaving(_ devices: [OpenDevice]) {
        let staying = devices.filter(\.mustStay)
        let logger = opener.logger
        opener.close(devices) { device in
            logger.notice("the device \(device.name) (\(device.backstore)) is closed: no target has it any more")
        }
        state.withLock { state in
            for device in devices {
                guard let index = state.leaving.firstIndex(where: { $0.device === device.device }) else { continue }
                state.leaving.remove(at: index)
                if staying.contains(where: { $0.device === device.device }) { state.kept.append(device) }
            }
        }
    }

    // MARK: Targets

    /// Those of `configuration` that are not there yet.
    private func makeTargets(of configuration: Configuration) {
        let units = units
        state.withLock { state in
            let known = Set(state.targets.map(\.name))
            let fresh = configuration.targets.filter { !known.contains($0.name) }
            // RELATIVE TARGET PORT IDENTIFIER counts the ports of this server from 1, so that a logical unit in two
            // targets knows its nexuses apart: first one of each target, then the further ones.
            let first = state.lastPortIdentifier
            let tags = configuration.portalGroupTags
            for (index, target) in fresh.enumerated() {
                let shown = tags.filter { target.access.isShown(atTag: $0) }
                let ports = shown.enumerated().map { position, tag in
                    let identifier = Int(first) + position * fresh.count + index + 1
                    state.lastPortIdentifier = max(state.lastPortIdentifier, UInt16(clamping: identifier))
                    return TargetPortDescription(
                        relativeIdentifier: UInt16(clamping: identifier),
                        name: ISCSIServer.targetPortName(target.name, portalGroupTag: tag),
                        group: target.portGroup ?? Configuration.defaultPortGroup)
                }
                let made = SCSITarget(
                    name: target.name, map: ServedTargets.map(of: target.access.luns, units: units), ports: ports)
                Self.giveMaps(target.access, to: made, units: units)
                state.targets.append(made)
            }
        }
    }

    private static func giveMaps(_ access: TargetAccess, to target: SCSITarget, units: [String: LogicalUnit]) {
        target.replaceMap(
            ServedTargets.map(of: access.luns, units: units),
            others: access.list.rules.compactMap { rule in
                rule.luns.map { ServedTargets.map(of: $0, units: units) }
            })
    }
}

extension Configuration.Device {
    /// To open it would be to open the store of `other` again, or another one under its identity.
    fileprivate func meansStore(of other: OpenDevice) -> Bool {
        name == other.name || settings.store == other.backstore || settings.serial == other.unit.identity.serial
    }
}

extension Configuration {
    /// Devices that somebody may see.
    var usedDevices: Set<String> { targets.reduce(into: []) { $0.formUnion($1.access.devices) } }

    /// Each once, in the order of the portals.
    var portalGroupTags: [UInt16] {
        var tags: [UInt16] = []
        for portal in portals where !tags.contains(portal.settings.portalGroupTag) {
            tags.append(portal.settings.portalGroupTag)
        }
        return tags.isEmpty ? [PortalSettings.defaultPortalGroupTag] : tags
    }
}
