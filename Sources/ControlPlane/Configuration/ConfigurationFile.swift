// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import HandlerHost
internal import Transport

/// The configuration file: YAML, of which JSON is a part.
public enum ConfigurationFile {
    /// No configuration by hand comes near; a file named by mistake may be a disk.
    static let maximumByteCount = 4 << 20

    private static let sections = [
        "portals", "devices", "targets", "discovery", "discovery-auth", "default", "alua", "port-groups", "performance",
        "trusted-handlers", "isns", "limits",
    ]
    private static let portalKeys = ["listen", "advertise", "tag", "redirect"]
    private static let deviceKeys = ["backstore"] + DeviceAttribute.names
    private static let targetKeys = ["luns", "port-group"] + AccessReader.targetKeys
    private static let maximumDeviceNameByteCount = 64

    /// Reads the file at `path`. `portals`: as in `parse`.
    public static func read(
        _ path: String, portals: [Configuration.Portal] = []
    ) throws(Failure) -> Configuration {
        try parse(try text(at: path), file: path, portals: portals)
    }

    static func text(at path: String) throws(Failure) -> String {
        let bytes: Data
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            bytes = try handle.read(upToCount: maximumByteCount + 1) ?? Data()
        } catch {
            throw .usage("\(path): the configuration cannot be read: check the path and its permissions")
        }
        guard bytes.count <= maximumByteCount else {
            throw .usage("\(path): larger than \(maximumByteCount) bytes: this is no configuration file")
        }
        guard let text = String(data: bytes, encoding: .utf8) else {
            throw .usage("\(path): not UTF-8 text: this is no configuration file")
        }
        return text
    }

    /// `file` names the source in errors. `portals` take the place of those of the file, if there are any: whatever
    /// names a tag or a portal must fit them.
    public static func parse(
        _ text: String, file: String, portals replacement: [Configuration.Portal] = []
    ) throws(Failure) -> Configuration {
        guard let document = try YAMLValue.document(text, file: file) else {
            throw .usage("\(file):1: the configuration is empty: it needs targets and devices")
        }
        let entries = try document.entries(known: sections)
        var configuration = Configuration()
        if let portals = entries["portals"] { try readPortals(portals, into: &configuration) }
        if !replacement.isEmpty { configuration.portals = replacement }
        if let devices = entries["devices"] {
            for (key, name, value) in try devices.entries() {
                configuration.devices.append(try readDevice(name, key, value))
            }
        }
        try readAccess(entries, into: &configuration, portalsAreReplaced: !replacement.isEmpty)
        if let mode = entries["alua"] { try configuration.portGroups.readMode(mode) }
        if let groups = entries["port-groups"] {
            try configuration.portGroups.readGroups(groups)
            try configuration.portGroups.check(configuration.targets, groups)
        }
        if let performance = entries["performance"] { try readPerformance(performance, into: &configuration) }
        if let trusted = entries["trusted-handlers"] {
            for value in try trusted.list() { configuration.trustedHandlers.append(try readTrustedHandler(value)) }
        }
        if let limits = entries["limits"] { configuration.limits = try LimitKey.read(limits) }
        configuration.isns = try entries["isns"].map(ISNSSettings.read)
        return configuration
    }

    /// Targets, and who may use them.
    private static func readAccess(
        _ entries: [String: YAMLValue], into configuration: inout Configuration, portalsAreReplaced: Bool
    ) throws(Failure) {
        let portals =
            configuration.portals.isEmpty ? [.init(listen: Configuration.defaultPortal)] : configuration.portals
        var access = AccessReader(
            devices: configuration.devices, portals: portals, portalsAreReplaced: portalsAreReplaced)
        if let discovery = entries["discovery"] {
            configuration.discovery = try access.readDiscovery(discovery)
        }
        configuration.discoveryAuth = try entries["discovery-auth"].map(AuthenticationSettings.read)
        configuration.others = try entries["default"].map(AccessReader.readVerdict)
        access.others = configuration.others
        if let targets = entries["targets"] {
            for (key, name, value) in try targets.entries() {
                configuration.targets.append(try readTarget(name, key, value, &access))
            }
        }
        configuration.warnings += access.warnings
    }

    private static func readPerformance(
        _ value: YAMLValue, into configuration: inout Configuration
    ) throws(Failure) {
        let keys = try value.entries(known: PerformanceKey.names)
        for key in PerformanceKey.allCases {
            guard let value = keys[key.rawValue] else { continue }
            let text = try value.text()
            guard key.apply(text, to: &configuration.performance) else {
                throw value.failure("\(key.rawValue) cannot be \"\(text)\": \(key.expectation)")
            }
        }
    }

    private static func readTrustedHandler(_ value: YAMLValue) throws(Failure) -> String {
        let path = try value.text()
        guard Environment.isThere(path) else { throw value.failure("there is no handler \(path): check the path") }
        return path
    }

    // MARK: Portals

    private static func readPortals(
        _ value: YAMLValue, into configuration: inout Configuration
    ) throws(Failure) {
        for entry in try value.list() {
            let keys = try entry.entries(known: portalKeys)
            guard let listen = keys["listen"] else { throw entry.failure("a portal needs listen: \"ADDR:PORT\"") }
            let portal = Configuration.Portal(
                listen: try readAddress(listen), advertise: try keys["advertise"].map(readAdvertised),
                portalGroupTag: try keys["tag"].map(readTag) ?? PortalSettings.defaultPortalGroupTag,
                redirection: try keys["redirect"].map(RedirectionReader.read))
            guard !configuration.portals.contains(where: { $0.listen == portal.listen && portal.listen.port != 0 })
            else { throw listen.failure("the portal \(portal.listen) stands here twice: leave one of them out") }
            configuration.portals.append(portal)
        }
        let redirecting = configuration.portals.filter { $0.redirection != nil }
        for entry in try value.list() {
            guard let redirect = try entry.entries(known: portalKeys)["redirect"] else { continue }
            try RedirectionReader.check(RedirectionReader.read(redirect), redirect, portals: redirecting)
        }
    }

    private static func readAddress(_ value: YAMLValue) throws(Failure) -> PortalAddress {
        let text = try value.text()
        guard let address = PortalAddress(text) else {
            throw value.failure(
                "\"\(text)\" is no address: write a numeric one with its port, "
                    + "such as \"127.0.0.1:3260\" or \"[::1]:3260\""
            )
        }
        return address
    }

    /// What initiators are told must be an address that they can go to.
    private static func readAdvertised(_ value: YAMLValue) throws(Failure) -> PortalAddress {
        let address = try readAddress(value)
        guard address.port != 0, InternetAddress(address)?.isWildcard == false, !address.host.contains("%") else {
            throw value.failure(
                "no initiator can go to \(address): advertise an address without a zone and a port, such as "
                    + "\"192.0.2.7:3260\", or leave advertise out")
        }
        return address
    }

    private static func readTag(_ value: YAMLValue) throws(Failure) -> UInt16 {
        guard let tag = UInt16(try value.text()), tag > 0 else {
            throw value.failure("tag must be a number from 1 to \(UInt16.max)")
        }
        return tag
    }

    // MARK: Devices

    private static func readDevice(
        _ name: String, _ key: YAMLValue, _ value: YAMLValue
    ) throws(Failure) -> Configuration.Device {
        guard name.utf8.count <= maximumDeviceNameByteCount else {
            throw key.failure("a device's name has at most \(maximumDeviceNameByteCount) bytes: shorten this one")
        }
        let keys = try value.entries(known: deviceKeys)
        guard let backstore = keys["backstore"] else {
            throw key.failure("the device \(name) needs backstore: \"SUBTYPE/REST\", such as \"file//srv/disk.img\"")
        }
        let string = try backstore.text()
        var settings: DeviceSettings
        do throws(FilterError) {
            settings = try DeviceSettings(chain: string)
        } catch {
            throw backstore.failure("backstore \"\(string)\" \(error.words)")
        }
        if let defect = DeviceSettings.defect(ofBackstore: settings.backstore) {
            throw backstore.failure("backstore \"\(string)\" \(defect)")
        }
        for attribute in DeviceAttribute.allCases {
            guard let value = keys[attribute.rawValue] else { continue }
            let text = try value.text()
            guard attribute.apply(text, to: &settings) else {
                throw value.failure("\(attribute.rawValue) cannot be \"\(text)\": \(attribute.expectation)")
            }
        }
        if let defect = settings.defect { throw key.failure("the device \(name) \(defect)") }
        return Configuration.Device(name: name, settings: settings, origin: key.place)
    }

    // MARK: Targets

    private static func readTarget(
        _ name: String, _ key: YAMLValue, _ value: YAMLValue, _ reader: inout AccessReader
    ) throws(Failure) -> Configuration.Target {
        if let defect = ISCSIName.defect(of: name) { throw key.failure("the target name \"\(name)\" \(defect)") }
        let keys = try value.entries(known: targetKeys)
        guard let luns = keys["luns"] else {
            throw key.failure(
                "the target \(name) needs luns, such as luns: {0: \(reader.devices.first?.name ?? "disk0")}")
        }
        let view = try LUNViewReader(devices: reader.devices).read(luns)
        guard !view.units.isEmpty else { throw luns.failure("the target \(name) has no LUN: give it at least one") }
        var target = Configuration.Target(
            access: TargetAccess(targetName: name, luns: view),
            portGroup: try keys["port-group"].map(PortGroupSettings.readNumber),
            auth: try keys["auth"].map(AuthenticationSettings.read))
        try reader.readTarget(keys, into: &target, place: key)
        return target
    }
}
