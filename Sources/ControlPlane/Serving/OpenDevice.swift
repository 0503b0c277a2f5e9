// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost
internal import Logging
internal import TargetCore

/// A device that has been opened, and the logical unit over it.
struct OpenDevice: Sendable {
    let name: String
    let backstore: String
    let device: HandlerDevice
    /// Between the logical unit and the device; nil: there are none, and the unit asks the device itself.
    let filters: FilterChain?
    /// The filters as the operator wrote them, outermost first.
    let filterTexts: [String]
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
        configuration.watchesSpace = settings.thresholdPercent != nil
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
        let filters: FilterChain?
        do throws(FilterError) {
            filters = try FilterChain.build(
                settings.filters, over: device,
                FilterContext(deviceName: "\(asked.origin) (\(settings.backstore))", diagnostics: diagnostics))
        } catch {
            device.close()
            throw Failure(.usage, "\"\(settings.chain)\" \(error.words)").at(asked.origin)
        }
        for warning in filters?.warnings ?? [] { diagnostics.report(.warning, warning) }
        let identity = LogicalUnitIdentity(
            serial: serial, vendor: settings.vendor ?? LogicalUnitIdentity.defaultVendor,
            product: settings.product ?? LogicalUnitIdentity.defaultProduct, revision: Version.productRevision)
        // Whether a cache is there is the store's to say; off means that the core makes every write stable.
        var options = LogicalUnitOptions()
        options.writeCacheEnabled = settings.writeCache ?? true
        options.isRemovable = settings.isRemovable
        options.physicalBlockByteCount = settings.physicalBlockByteCount
        options.thresholdPercent = settings.thresholdPercent
        if let defect = defect(of: settings, on: device) {
            filters?.close()
            device.close()
            throw Failure(.usage, defect).at(asked.origin)
        }
        let unit = LogicalUnit(device: filters?.device ?? device, identity: identity, options: options)
        device.onCapacityChange = { [weak unit] in unit?.capacityChanged() }
        device.onSpaceChange = { [weak unit] in unit?.mappingResourcesChanged() }
        unit.mappingResourcesChanged()
        return OpenDevice(
            name: asked.name, backstore: settings.backstore, device: device, filters: filters,
            filterTexts: settings.filterTexts, unit: unit)
    }

    /// What its store and its filters have done, by name.
    var counters: [String: UInt64] { device.counters.byName.merging(filters?.counters ?? [:], uniquingKeysWith: +) }

    /// What of the attributes contradicts the store, now that it is known; nil: nothing.
    private static func defect(of settings: DeviceSettings, on device: HandlerDevice) -> String? {
        if let physical = settings.physicalBlockByteCount, physical < device.blockByteCount {
            return "gives physical-block-size=\(physical), less than its logical block of \(device.blockByteCount) bytes: "
                + "write at least that"
        }
        if settings.thresholdPercent != nil, !device.features.canUnmap || device.mappingResources == nil {
            return "gives a threshold, but its handler \(device.handler.subtype) does not tell how much storage it has "
                + "left: leave threshold out"
        }
        return nil
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
