// SPDX-License-Identifier: Apache-2.0

/// How many bytes, in blocks of how many bytes, a device will have: from the configuration, from the handler's probe,
/// and where there is none from what lies behind the path in the configuration string. What contradicts is refused:
/// some handlers read beyond the end of a store for ever.
struct MediumSize: Equatable {
    var byteCount: UInt64
    var blockByteCount: Int
    /// The handler says that the store can only be read.
    var isReadOnly = false

    static let defaultBlockByteCount = 512

    static func find(
        for configuration: HandlerDeviceConfiguration, handler: Handler
    ) throws(HandlerDeviceError) -> MediumSize {
        let string = configuration.configString
        guard !(configuration.isReadOnly && handler.takesOnlyCDBs) else { throw .cannotProtect(configString: string) }
        let found = try probe(configuration, handler)
        let blockByteCount = try blockSize(configuration, found: found.blockByteCount)
        if let wanted = configuration.byteCount, let there = found.byteCount, wanted != there {
            throw .sizeContradicts(configString: string, configured: wanted, found: there)
        }
        guard let byteCount = configuration.byteCount ?? found.byteCount else {
            throw .sizeUnknown(configString: string)
        }
        guard byteCount != 0 else { throw .sizeZero(configString: string) }
        guard byteCount % UInt64(blockByteCount) == 0, byteCount <= UInt64(Int64.max) else {
            throw .sizeNoMultiple(configString: string, byteCount: byteCount, blockByteCount: blockByteCount)
        }
        return MediumSize(byteCount: byteCount, blockByteCount: blockByteCount, isReadOnly: found.isReadOnly)
    }

    private static func probe(
        _ configuration: HandlerDeviceConfiguration, _ handler: Handler
    ) throws(HandlerDeviceError) -> HandlerExtension.Probe {
        do throws(HandlerExtension.ProbeFailure) {
            if let probe = try handler.handlerExtension.probe(configuration.configString) { return probe }
        } catch {
            throw .refused(configString: configuration.configString, reason: error.words)
        }
        guard let path = storePath(in: configuration.rest, subtype: handler.subtype) else {
            return HandlerExtension.Probe()
        }
        return HandlerExtension.Probe(byteCount: try storeByteCount(path, configuration))
    }

    private static func blockSize(
        _ configuration: HandlerDeviceConfiguration, found: Int?
    ) throws(HandlerDeviceError) -> Int {
        if let wanted = configuration.blockByteCount, let found, wanted != found {
            throw .blockSizeContradicts(
                configString: configuration.configString, configured: wanted, found: found)
        }
        let size = configuration.blockByteCount ?? found ?? defaultBlockByteCount
        guard HandlerDeviceConfiguration.blockByteCounts.contains(size) else { throw .blockSizeInvalid(size) }
        return size
    }
}

// Handlers without a probe.
extension MediumSize {
    /// The absolute path in what stands behind `subtype/`: all of it, or what follows the last @ (file_zbc's form) or
    /// the option ro/ (file_optical's).
    private static func storePath(in rest: String, subtype: String) -> String? {
        if rest.first == "/" { return rest }
        if subtype == "fbo" {
            let hasOption = rest.lowercased().hasPrefix("ro/")
            return hasOption ? storePath(in: String(rest.dropFirst(3)), subtype: subtype) : nil
        }
        guard let at = rest.lastIndex(of: "@") else { return nil }
        let tail = String(rest[rest.index(after: at)...])
        return tail.first == "/" ? tail : nil
    }

    /// Nil when there is no such file: then only the handler knows what the string means.
    private static func storeByteCount(
        _ path: String, _ configuration: HandlerDeviceConfiguration
    ) throws(HandlerDeviceError) -> UInt64? {
        guard let (kind, identity) = try? SystemFiles.look(at: path) else { return nil }
        do throws(SystemFiles.Failure) {
            switch kind {
            case .regular: break
            case .blockDevice: return try SystemFiles.blockDeviceByteCount(path)
            case .directory, .other: return nil
            }
        } catch {
            throw .unreadable(path: path, reason: error.description)
        }
        // Some handlers keep more in a file than the bytes of the medium.
        let fileByteCount = UInt64(identity.byteCount)
        switch configuration.subtype {
        case "zbc":
            let hasOptions = configuration.rest.first != "/"
            return try ZonedImage.byteCount(path, fileByteCount: fileByteCount, isToBeFormatted: hasOptions)
        case let subtype where subtype.hasPrefix("qcow"):
            return try QCOWImage.byteCount(path, isReadOnly: configuration.isReadOnly) ?? fileByteCount
        default:
            return fileByteCount
        }
    }
}
