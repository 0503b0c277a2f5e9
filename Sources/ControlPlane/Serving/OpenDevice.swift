// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost
internal import Logging
internal import TargetCore

/// A device that has been opened, and the logical unit over it.
struct OpenDevice: Sendable {
    let name: String
    let backstore: String
    let device: HandlerDevice
    let unit: LogicalUnit

    /// Opens the store of `asked`. `serial` is its UNIT SERIAL NUMBER.
    static func open(
        _ asked: Configuration.Device, serial: String, handler: Handler, diagnostics: Diagnostics
    ) throws(Failure) -> OpenDevice {
        let settings = asked.settings
        var configuration = HandlerDeviceConfiguration(configString: settings.backstore, serial: serial)
        configuration.byteCount = settings.byteCount
        configuration.blockByteCount = settings.blockByteCount
        configuration.isReadOnly = settings.isReadOnly
        if settings.merges {
            configuration.merging = RequestMerging(
                delayNanoseconds: settings.mergeDelayNanoseconds,
                maximumDelayNanoseconds: settings.maximumDelayNanoseconds)
        }
        let device: HandlerDevice
        do throws(HandlerDeviceError) {
            device = try HandlerDevice.open(handler, configuration, diagnostics: diagnostics)
        } catch {
            throw Failure(kind(of: error), sentence(error, settings)).at(asked.origin)
        }
        let identity = LogicalUnitIdentity(
            serial: serial, vendor: settings.vendor ?? LogicalUnitIdentity.defaultVendor,
            product: settings.product ?? LogicalUnitIdentity.defaultProduct, revision: Version.productRevision)
        // Whether a cache is there is the store's to say; off means that the core makes every write stable.
        let unit = LogicalUnit(
            device: device, identity: identity, writeCacheEnabled: settings.writeCache ?? true)
        device.onCapacityChange = { [weak unit] in unit?.capacityChanged() }
        return OpenDevice(name: asked.name, backstore: settings.backstore, device: device, unit: unit)
    }

    /// A store whose size nobody knows is most often one that is not there.
    private static func sentence(_ error: HandlerDeviceError, _ settings: DeviceSettings) -> String {
        let rest = settings.backstore.dropFirst(settings.subtype.count + 1)
        guard case .sizeUnknown = error, rest.hasPrefix("/"), !Environment.isThere(String(rest)) else {
            return error.description
        }
        return "\(rest) does not exist: check the path, or give size=BYTES to have it made"
    }

    /// What contradicts the words of the operator is their error; what the machine would not do is not.
    private static func kind(of error: HandlerDeviceError) -> Failure.Kind {
        switch error {
        case .otherSubtype, .configStringTooLong, .configStringHoldsZero, .refused, .sizeUnknown, .sizeZero,
            .sizeContradicts, .sizeNoMultiple, .blockSizeInvalid, .blockSizeContradicts, .storeUnsafe, .cannotProtect:
            .usage
        case .unreadable, .openFailed, .blockSizeFromHandler, .noThread, .noDescriptor, .noMemory, .cannotResize,
            .isClosed:
            .runTime
        }
    }
}
