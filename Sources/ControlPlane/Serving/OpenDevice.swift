// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost
internal import Logging
internal import SCSI
internal import TargetCore
internal import Transport

/// A device that has been opened, and the logical unit over it.
struct OpenDevice: Sendable {
    let name: String
    let backstore: String
    let device: HandlerDevice
    /// What holds the protection information; nil: there is none.
    let tuples: HandlerDevice?
    /// Between the logical unit and the device; nil: there are none, and the unit asks the device itself.
    let filters: FilterChain?
    /// The filters as the operator wrote them, outermost first.
    let filterTexts: [String]
    let unit: LogicalUnit
    let life = DeviceLife()

    /// Opens the store of `asked`. `serial` is its UNIT SERIAL NUMBER; `registry`: where the handler of its protection
    /// information is found; `store` keeps what is to outlive the process.
    static func open(
        _ asked: Configuration.Device, serial: String, access: AsymmetricAccessOptions, handler: Handler,
        registry: HandlerRegistry, store: (any DurableStore)?,
        diagnostics: Diagnostics
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
        options.store = store
        options.asymmetricAccess = access
        options.clock = DeviceClockSource(
            wallMilliseconds: { Environment.wallMilliseconds },
            monotonicMilliseconds: { UInt64(Environment.monotonicSeconds * 1000) })
        options.monotonicSeconds = { UInt64(Environment.monotonicSeconds) }
        options.isRemovable = settings.isRemovable
        options.physicalBlockByteCount = settings.physicalBlockByteCount
        options.thresholdPercent = settings.thresholdPercent
        if let defect = defect(of: settings, on: device) {
            filters?.close()
            device.close()
            throw Failure(.usage, defect).at(asked.origin)
        }
        let tuples: HandlerDevice?
        do throws(Failure) {
            tuples = try ProtectionStore(asked: asked, registry: registry, diagnostics: diagnostics)
                .open(for: device, serial: serial)
        } catch {
            filters?.close()
            device.close()
            throw error
        }
        if let tuples, let type = settings.protection.flatMap(ProtectionType.init) {
            options.protection = ProtectionOptions(type: type, tuples: tuples)
            options.protection?.isTagOwnedByInitiator = settings.isTagOwnedByInitiator
        }
        let unit = LogicalUnit(device: filters?.device ?? device, identity: identity, options: options)
        device.onCapacityChange = { [weak unit] in unit?.capacityChanged() }
        device.onSpaceChange = { [weak unit] in unit?.checkSoftThreshold() }
        device.onOverdue = { [weak unit] in unit?.commandsAreOverdue() }
        unit.checkSoftThreshold()
        return OpenDevice(
            name: asked.name, backstore: settings.backstore, device: device, tuples: tuples, filters: filters,
            filterTexts: settings.filterTexts, unit: unit)
    }

    /// As `HandlerDevice.unfinishedBusiness`.
    var unfinishedBusiness: String? { device.unfinishedBusiness ?? tuples?.unfinishedBusiness }

    /// What its store and its filters have done, by name.
    var counters: [String: UInt64] { device.counters.byName.merging(filters?.counters ?? [:], uniquingKeysWith: +) }

    /// Drains, flushes and closes it, and calls `done`; another call waits for the end of the first. Blocks.
    func close(_ done: () -> Void = {}) {
        life.close {
            // Filters stay in memory until the store is closed.
            filters?.close()
            device.close()
            tuples?.close()
            done()
        }
    }

    /// The loop that takes its completions takes them no more: a thread of the device does. Blocks.
    func endWatch() {
        if let watch = life.takeWatch(), watch.end() { device.giveBackReaping() }
    }

    /// A handler may come back to commands that it has ended, by records which lead to the device, or which filters and
    /// the logical unit keep: all of them stay in memory when they are closed. Before `close`, whose own commands do
    /// not count. Filters have records of their own, whatever the store was asked.
    var mustStay: Bool { filters != nil || device.wasAsked || tuples?.wasAsked ?? false }

    /// What of the attributes contradicts the store, now that it is known; nil: nothing.
    private static func defect(of settings: DeviceSettings, on device: HandlerDevice) -> String? {
        if let physical = settings.physicalBlockByteCount, physical < device.blockByteCount {
            return
                "gives physical-block-size=\(physical), less than its logical block of \(device.blockByteCount) bytes: "
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
    static func kind(of error: HandlerDeviceError) -> Failure.Kind {
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
