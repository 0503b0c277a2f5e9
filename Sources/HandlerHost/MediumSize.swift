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
        guard let path = storePath(in: configuration.rest) else { return HandlerExtension.Probe() }
        return HandlerExtension.Probe(byteCount: try storeByteCount(path, subtype: handler.subtype))
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
    /// The absolute path in what stands behind `subtype/`: all of it, or what follows the last @ (file_zbc's form).
    private static func storePath(in rest: String) -> String? {
        if rest.first == "/" { return rest }
        guard let at = rest.lastIndex(of: "@") else { return nil }
        let tail = String(rest[rest.index(after: at)...])
        return tail.first == "/" ? tail : nil
    }

    /// Nil when there is no such file: then only the handler knows what the string means.
    private static func storeByteCount(_ path: String, subtype: String) throws(HandlerDeviceError) -> UInt64? {
        do throws(SystemFiles.Failure) {
            guard let (kind, identity) = try? SystemFiles.look(at: path) else { return nil }
            switch kind {
            case .regular:
                if subtype.hasPrefix("qcow"), let virtual = try QCOWHeader.byteCount(path) { return virtual }
                return UInt64(identity.byteCount)
            case .blockDevice: return try SystemFiles.blockDeviceByteCount(path)
            case .directory, .other: return nil
            }
        } catch {
            throw .unreadable(path: path, reason: error.description)
        }
    }
}

/// The head of a qcow image (version 1, 2 and 3 alike): magic in bytes 0 to 3, version in 4 to 7, and the size of the
/// disk that it holds in 24 to 31, big-endian.
enum QCOWHeader {
    private static let byteCount = 32
    private static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]
    private static let versions: ClosedRange<UInt64> = 1...3

    /// Nil when the file is no qcow image.
    static func byteCount(_ path: String) throws(SystemFiles.Failure) -> UInt64? {
        byteCount(of: try SystemFiles.read(path, limit: byteCount))
    }

    static func byteCount(of head: [UInt8]) -> UInt64? {
        guard head.count >= byteCount, head[..<4].elementsEqual(magic) else { return nil }
        guard versions.contains(number(head[4..<8])) else { return nil }
        return number(head[24..<32])
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
