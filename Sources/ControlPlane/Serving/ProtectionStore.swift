// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost
internal import SCSI
internal import TargetCore

/// Opens what holds the protection information of a device: a file beside its store, or memory beside memory.
struct ProtectionStore {
    /// Of tuples.
    private static let blockByteCount: UInt64 = 512
    private static let suffix = ".pi"
    private static let fileSubtype = "file"
    private static let memorySubtype = "ram"
    /// Handlers whose configuration string begins with the path of their store. A semicolon ends it, but for `file`.
    private static let fileSubtypes: Set<String> = [fileSubtype, "aio", "uring"]

    let asked: Configuration.Device
    let registry: HandlerRegistry
    let diagnostics: Diagnostics

    /// The protection information of `device`; nil where none is asked for.
    func open(for device: HandlerDevice, serial: String) throws(Failure) -> HandlerDevice? {
        let settings = asked.settings
        guard settings.protection != nil else { return nil }
        guard device.features.passthrough != .always else {
            throw usage(
                "gives protection, but the handler \(settings.subtype) answers SCSI commands itself: use one that reads "
                    + "and writes blocks")
        }
        let perBlock = Self.blockByteCount / UInt64(ProtectionTuple.byteCount)
        let byteCount = (device.blockCount + perBlock - 1) / perBlock * Self.blockByteCount
        let backstore = try backstore(byteCount: byteCount)
        let subtype = String(backstore.prefix { $0 != "/" })
        guard let handler = registry.handler(subtype: subtype) else {
            throw usage("gives protection, which is kept through the handler \(subtype), and that was not found")
        }
        var configuration = HandlerDeviceConfiguration(configString: backstore, serial: serial)
        configuration.byteCount = byteCount
        configuration.blockByteCount = Int(Self.blockByteCount)
        configuration.isReadOnly = settings.isReadOnly || device.features.isReadOnly
        do throws(HandlerDeviceError) {
            return try HandlerDevice.open(handler, configuration, diagnostics: diagnostics)
        } catch {
            throw Failure(
                OpenDevice.kind(of: error),
                "gives protection: what holds it, \(backstore), must have \(byteCount) bytes, 8 for each block of "
                    + "the store: \(error)"
            ).at(asked.origin)
        }
    }

    private func backstore(byteCount: UInt64) throws(Failure) -> String {
        let settings = asked.settings
        if let path = settings.protectionFile { return "\(Self.fileSubtype)/\(path)" }
        let rest = String(settings.backstore.dropFirst(settings.subtype.count + 1))
        if settings.subtype == Self.memorySubtype {
            return rest.hasPrefix("/")
                ? "\(Self.fileSubtype)/\(rest)\(Self.suffix)" : "\(Self.memorySubtype)/\(byteCount)"
        }
        let path = settings.subtype == Self.fileSubtype ? rest : String(rest.prefix { $0 != ";" })
        guard Self.fileSubtypes.contains(settings.subtype), path.hasPrefix("/"), !path.hasPrefix("/dev/") else {
            throw usage(
                "gives protection without protection-file: there is no place beside \(settings.backstore) for it; "
                    + "write protection-file=PATH")
        }
        return "\(Self.fileSubtype)/\(path)\(Self.suffix)"
    }

    private func usage(_ sentence: String) -> Failure { Failure.usage(sentence).at(asked.origin) }
}
