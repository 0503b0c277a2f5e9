// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost
internal import Logging
internal import TargetCore
internal import Transport

/// Opens devices of a configuration, and closes them.
struct DeviceOpener: Sendable {
    let registry: HandlerRegistry
    /// Nil: nothing outlives the process.
    let state: StateFolder?
    let stopLimit: StopLimit
    let logger: Logger

    /// Opens `asked`; all or nothing. `open` are those that are open already: they keep their serial numbers, which
    /// nobody else can have. `note` is told of each one as soon as it is open; when it throws, they are closed again.
    /// Blocks.
    func open(
        _ asked: [Configuration.Device], of configuration: Configuration, beside open: [OpenDevice],
        note: (OpenDevice) throws(Failure) -> Void
    ) throws(Failure) -> [OpenDevice] {
        let owners = Dictionary(
            configuration.targets.flatMap { target in target.access.devices.map { ($0, target.name) } }
        ) { first, _ in first }
        let serials = try SerialNumbers.assign(
            asked, owners: owners, machine: Environment.machineIdentity,
            taken: Dictionary(open.map { ($0.unit.identity.serial, $0.name) }) { first, _ in first })
        let access = configuration.portGroups.options(
            isAnyNamed: configuration.targets.contains { $0.portGroup != nil })
        var devices: [OpenDevice] = []
        do throws(Failure) {
            for device in asked {
                let opened = try self.open(device, serial: serials[device.name] ?? "", access)
                devices.append(opened)
                try note(opened)
            }
        } catch {
            close(devices)
            throw error
        }
        return devices
    }

    private func open(
        _ device: Configuration.Device, serial: String, _ access: AsymmetricAccessOptions
    ) throws(Failure) -> OpenDevice {
        let handler = try handler(for: device)
        let store = try state?.store(serial: serial)
        stopLimit.opens(device.origin, subtype: handler.subtype)
        defer { stopLimit.hasOpened(device.origin) }
        let opened = try OpenDevice.open(
            device, serial: serial, access: access, handler: handler, registry: registry, store: store,
            diagnostics: Log.diagnostics(logger))
        stopLimit.watch(opened.device, device.origin)
        if let tuples = opened.tuples { stopLimit.watch(tuples, device.origin) }
        return opened
    }

    /// Drains, flushes and closes all of them at the same time, and calls `done` for each that nobody else has closed.
    /// Blocks.
    func close(_ devices: [OpenDevice], done: @escaping @Sendable (OpenDevice) -> Void = { _ in }) {
        HandlerThreads.perform(
            devices.map { each in
                let close: @Sendable () -> Void = {
                    each.close { done(each) }
                    stopLimit.forget(each.device)
                    if let tuples = each.tuples { stopLimit.forget(tuples) }
                }
                return ("\(each.device.handler.subtype)-close", close)
            })
    }

    private func handler(for device: Configuration.Device) throws(Failure) -> Handler {
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
    /// By device name. `owners`: the first target that has the device. `taken`: the names of other devices, by their
    /// serial numbers.
    static func assign(
        _ devices: [Configuration.Device], owners: [String: String], machine: String, taken: [String: String] = [:]
    ) throws(Failure) -> [String: String] {
        var serials: [String: String] = [:]
        var holders = taken.mapValues { "the device \($0)" }
        for device in devices {
            let serial =
                device.settings.serial
                ?? DeviceIdentity.serial(
                    targetName: owners[device.name] ?? "", deviceName: device.name, machine: machine)
            if let other = holders[serial] {
                throw Failure.usage(
                    "the serial number \(serial) belongs to \(other) already, and initiators would take the two "
                        + "for one disk: give one of them another"
                ).at(device.origin)
            }
            holders[serial] = device.origin
            serials[device.name] = serial
        }
        return serials
    }
}
