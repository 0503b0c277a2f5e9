// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost
internal import Logging
internal import TargetCore
internal import Transport

/// The devices and targets of a configuration, opened and put together. All or nothing.
struct Assembly: Sendable {
    let devices: [OpenDevice]
    let targets: [SCSITarget]

    static func build(
        _ configuration: Configuration, registry: HandlerRegistry, state: StateFolder?, stopLimit: StopLimit,
        logger: Logger
    ) throws(Failure) -> Assembly {
        let owners = Dictionary(
            configuration.targets.flatMap { target in target.luns.values.map { ($0, target.name) } }
        ) { first, _ in first }
        for device in configuration.devices where owners[device.name] == nil {
            logger.notice("\(device.origin): the device \(device.name) is no LUN of any target: it is not opened")
        }
        let asked = configuration.devices.filter { owners[$0.name] != nil }
        let serials = try SerialNumbers.assign(asked, owners: owners, machine: Environment.machineIdentity)
        let access = configuration.portGroups.options(
            isAnyNamed: configuration.targets.contains { $0.portGroup != nil })
        var devices: [OpenDevice] = []
        do throws(Failure) {
            for device in asked {
                let handler = try handler(for: device, registry: registry)
                let serial = serials[device.name] ?? ""
                let store = try state?.store(serial: serial)
                stopLimit.opens(device.origin, subtype: handler.subtype)
                defer { stopLimit.hasOpened(device.origin) }
                let opened = try OpenDevice.open(
                    device, serial: serial, access: access, handler: handler, registry: registry, store: store,
                    diagnostics: Log.diagnostics(logger))
                stopLimit.watch(opened.device, device.origin)
                if let tuples = opened.tuples { stopLimit.watch(tuples, device.origin) }
                devices.append(opened)
            }
        } catch {
            close(devices)
            throw error
        }
        return Assembly(devices: devices, targets: targets(of: configuration, devices: devices))
    }

    /// Drains, flushes and closes every device. Blocks.
    func close() { Self.close(devices) }

    private static func close(_ devices: [OpenDevice]) {
        HandlerThreads.perform(
            devices.map { each in
                let close: @Sendable () -> Void = {
                    // Filters stay in memory until the store is closed.
                    each.filters?.close()
                    each.device.close()
                    each.tuples?.close()
                }
                return ("\(each.device.handler.subtype)-close", close)
            })
    }

    /// Sessions are about to be ended: what filters hold back on purpose goes now, so that no session waits for it.
    func release() {
        for each in devices { each.filters?.release() }
    }

    private static func targets(of configuration: Configuration, devices: [OpenDevice]) -> [SCSITarget] {
        let units = Dictionary(devices.map { ($0.name, $0.unit) }) { first, _ in first }
        return configuration.targets.enumerated().map { index, target in
            // RELATIVE TARGET PORT IDENTIFIER counts the ports of this server from 1, so that a logical unit in two
            // targets knows its nexuses apart.
            SCSITarget(
                name: target.name, luns: target.luns.compactMapValues { units[$0] },
                relativePortIdentifier: UInt16(clamping: index + 1),
                portName: ISCSIServer.targetPortName(target.name, portalGroupTag: configuration.portals.first?.settings.portalGroupTag ?? 1),
                portGroup: target.portGroup ?? Configuration.defaultPortGroup)
        }
    }

    private static func handler(
        for device: Configuration.Device, registry: HandlerRegistry
    ) throws(Failure) -> Handler {
        let subtype = device.settings.subtype
        if let handler = registry.handler(subtype: subtype) { return handler }
        let found = registry.all.map(\.subtype)
        let known = found.isEmpty ? "none was found" : "found: \(found.joined(separator: ", "))"
        let near = NearestKey.find(subtype, among: found).map { "did you mean \($0)? " } ?? ""
        throw Failure.usage(
            "no handler for \"\(subtype)\" (\(known)): \(near)name its folder with --handler-path; martlet handlers "
                + "tells why others were refused"
        ).at(device.origin)
    }
}

/// Gives every device its UNIT SERIAL NUMBER: the one that the operator gave, or one that follows from its name.
enum SerialNumbers {
    /// By device name. `owners`: the first target that has the device.
    static func assign(
        _ devices: [Configuration.Device], owners: [String: String], machine: String
    ) throws(Failure) -> [String: String] {
        var serials: [String: String] = [:]
        var holders: [String: Configuration.Device] = [:]
        for device in devices {
            let serial =
                device.settings.serial
                ?? DeviceIdentity.serial(
                    targetName: owners[device.name] ?? "", deviceName: device.name, machine: machine)
            if let other = holders[serial] {
                throw Failure.usage(
                    "the serial number \(serial) belongs to \(other.origin) already, and initiators would take the two "
                        + "for one disk: give one of them another"
                ).at(device.origin)
            }
            holders[serial] = device
            serials[device.name] = serial
        }
        return serials
    }
}
