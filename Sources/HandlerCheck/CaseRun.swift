// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import CHandlerHost
internal import HandlerABI
internal import HandlerHost
internal import Synchronization
internal import TargetCore

/// The child's side of one case: the handler, its devices, and what there is to say of them.
final class CaseRun {
    let request: CaseRequest
    let handler: Handler
    /// What the handler registered, with its extension.
    let callouts: Callouts
    var random: SeededGenerator
    /// The file behind the configuration string, if there is one.
    let store: StorePath

    private var isDeviceMade = [false, false, false, false]
    private var findingCounts: [String: Int] = [:]

    /// Findings of one rule in one case; more say nothing new.
    private static let findingLimit = 3

    init(_ request: CaseRequest, _ handler: Handler) {
        self.request = request
        self.handler = handler
        callouts = Callouts(handler)
        store = StorePath(config: request.config)
        random = SeededGenerator(seed: request.seed)
    }

    /// The limit of the host, below which the handler may set its own.
    static let maximumTransferByteCount = 8 << 20

    // --- What is said

    func finding(_ rule: String, _ seen: String) {
        findingCounts[rule, default: 0] += 1
        guard findingCounts[rule, default: 0] <= Self.findingLimit else { return }
        Self.say(.finding, seen, rule: rule)
    }

    func note(_ text: String) { Self.say(.note, text) }

    static func say(_ line: ReportLine, _ text: String = "", rule: String = "") {
        // The three strings live for the call.
        unsafe check_report(line.rawValue, rule, text)
    }

    static func say(step: Step) { say(.step, step.rawValue) }

    // --- Devices

    /// The device as the host would shape it: size and block size from the command line, the probe or the store.
    func shape(config: String? = nil, blockByteCount: Int? = nil) throws -> DeviceShape {
        var configuration = HandlerDeviceConfiguration(configString: config ?? request.config, serial: "martlet-check")
        configuration.byteCount = request.byteCount
        configuration.blockByteCount = blockByteCount ?? request.blockByteCount
        do throws(HandlerDeviceError) {
            return try found(configuration)
        } catch .sizeContradicts(_, let configured, _) where !callouts.hasProbe {
            // A file that the handler made when it was first opened, with room for its own beside the medium.
            return DeviceShape(
                config: configuration.configString, byteCount: configured,
                blockByteCount: configuration.blockByteCount ?? 512)
        } catch {
            throw CaseStop.blocked(rule: "life.open", seen: "\(error)")
        }
    }

    private func found(_ configuration: HandlerDeviceConfiguration) throws(HandlerDeviceError) -> DeviceShape {
        let found = try HandlerInspection.shape(of: configuration, handler)
        return DeviceShape(
            config: configuration.configString, byteCount: found.byteCount, blockByteCount: found.blockByteCount,
            isReadOnly: found.isReadOnly)
    }

    /// Makes a device for `shape` in one of the four places, and opens it.
    func open(
        _ place: Int32 = 0, shape wanted: DeviceShape? = nil, reopen: Bool = false, mayFail: Bool = false
    ) throws -> CheckedDevice {
        let shape = try wanted ?? self.shape()
        var record = check_device_shape()
        record.byte_count = shape.byteCount
        record.block_byte_count = UInt32(shape.blockByteCount)
        record.max_transfer_block_count = UInt32(Self.maximumTransferByteCount / shape.blockByteCount)
        record.write_cache_enabled = handler.canFlush
        record.write_protect_enabled = shape.isReadOnly
        // The callee copies the string.
        let made = unsafe check_device_create(place, shape.config, &record)
        guard made == 0 else { throw CaseStop.skip("a device could not be made: error \(made)") }
        isDeviceMade[Int(place)] = true
        return try open(again: place, reopen: reopen, mayFail: mayFail)
    }

    /// Opens the device of `place` anew.
    func open(again place: Int32, reopen: Bool = false, mayFail: Bool = false) throws -> CheckedDevice {
        Self.say(step: .open)
        let result = check_device_open(place, reopen)
        Self.say(step: .body)
        guard result == 0 else {
            if mayFail { throw OpenRefused(result: result) }
            throw CaseStop.blocked(rule: "life.open", seen: "open(reopen: \(reopen)) returned \(result)")
        }
        let device = CheckedDevice(run: self, place: place)
        guard [512, 1024, 2048, 4096].contains(device.blockByteCount), device.blockCount > 0 else {
            throw CaseStop.blocked(
                rule: "attributes.sane",
                seen: "after open there are \(device.blockCount) blocks of \(device.blockByteCount) bytes")
        }
        return device
    }

    /// Closes the device of `place`, if it is open.
    func close(_ place: Int32 = 0) {
        Self.say(step: .close)
        if isDeviceMade[Int(place)] { check_device_close(place) }
        Self.say(step: .body)
    }

    /// The device, for cases that move blocks.
    func openForBlocks() throws -> CheckedDevice {
        guard !handler.takesOnlyCDBs else { throw CaseStop.skip("the handler takes commands as CDBs only") }
        let shape = try shape()
        guard !shape.isReadOnly else { throw CaseStop.skip("the store can only be read") }
        let device = try open(shape: shape)
        Self.say(.fact, "\(device.byteCount)", rule: "size")
        Self.say(.fact, "\(device.blockByteCount)", rule: "blockSize")
        return device
    }

    func needs(_ isThere: Bool, _ what: String) throws {
        guard isThere else { throw CaseStop.skip("the handler has no \(what)") }
    }

    /// So many rounds, less when it is to be quick.
    func rounds(_ count: Int, quick: Int) -> Int { request.isQuick ? quick : count }
}

/// `open` did not work, in a case that reckons with it.
struct OpenRefused: Error {
    var result: Int32
}

struct DeviceShape {
    var config: String
    var byteCount: UInt64
    var blockByteCount: Int
    var isReadOnly = false
}

/// Which callouts are there.
struct Callouts {
    let hasReconfig, hasCheckConfig, hasProbe, hasMapRead, hasWriteZeroes, hasCancel, hasHealth: Bool
    let neverBlocks, isVectored, unmappedReadsZero, zeroingUnmaps, takesBatches: Bool

    init(_ handler: Handler) {
        var table = unsafe HandlerInspection.callouts(of: handler)
        var extensionTable = HandlerInspection.extensionTable(of: handler)
        let flags = extensionTable.flags
        hasReconfig = unsafe table.reconfig != nil
        hasCheckConfig = unsafe table.check_config != nil
        hasProbe = unsafe extensionTable.probe != nil
        hasMapRead = unsafe extensionTable.map_read != nil
        unsafe hasWriteZeroes = extensionTable.write_zeroes != nil
        unsafe hasCancel = extensionTable.cancel != nil
        unsafe hasHealth = extensionTable.health != nil
        zeroingUnmaps = flags & UInt32(MARTLET_HANDLER_ZEROING_UNMAPS) != 0
        neverBlocks = flags & UInt32(MARTLET_HANDLER_NEVER_BLOCKS) != 0
        isVectored = flags & UInt32(MARTLET_HANDLER_VECTORED) != 0
        unmappedReadsZero = flags & UInt32(MARTLET_HANDLER_UNMAPPED_READS_ZERO) != 0
        takesBatches =
            unsafe neverBlocks && extensionTable.completion_descriptor != nil && extensionTable.submit != nil
            && extensionTable.reap != nil
        // Both are copied by the callee.
        unsafe check_use_handler(&table, &extensionTable)
    }
}
