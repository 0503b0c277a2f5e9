// SPDX-License-Identifier: Apache-2.0

/// What a device is to be, as the operator said. Nil: whatever the store or its handler says.
public struct HandlerDeviceConfiguration: Sendable {
    /// `subtype/rest`, tcmu-runner's form; a leading slash is dropped.
    public var configString: String
    /// Bytes of the medium.
    public var byteCount: UInt64?
    public var blockByteCount: Int?
    public var isReadOnly = false
    public var writeCache: Bool?
    /// Nil: requests go to the handler one by one.
    public var merging: RequestMerging?
    /// UNIT SERIAL NUMBER, which handlers may ask for.
    public var serial: String
    /// Seconds after which a command that is still under way is reported; 0: never.
    public var commandTimeoutSeconds = 30

    /// The storage behind the medium is looked at every second, and changes are told (`onSpaceChange`); otherwise when
    /// somebody asks for it.
    public var watchesSpace = false

    /// Bytes of the longest configuration string: the buffer that handlers know holds 4096 with the NUL.
    static let maximumConfigStringByteCount = 4095
    static let blockByteCounts = [512, 1024, 2048, 4096]

    /// tcmu-runner's own attribute, which it takes off the configuration string.
    private static let timeoutAttribute = ";tcmur_cmd_time_out="

    public init(configString: String, serial: String) {
        let stripped = configString.first == "/" ? String(configString.dropFirst()) : configString
        self.serial = serial
        self.configString = stripped
        takeTimeoutAttribute()
    }

    /// What stands before the first slash; all of it when there is none.
    public var subtype: String { String(configString.prefix { $0 != "/" }) }

    /// What stands behind the first slash: the handler's own business.
    var rest: String {
        guard let slash = configString.firstIndex(of: "/") else { return "" }
        return String(configString[configString.index(after: slash)...])
    }

    private mutating func takeTimeoutAttribute() {
        let attribute = Array(Self.timeoutAttribute.utf8)
        let bytes = Array(configString.utf8)
        guard bytes.count > attribute.count,
            let start = (0...(bytes.count - attribute.count)).first(where: {
                bytes[$0..<($0 + attribute.count)].elementsEqual(attribute)
            })
        else { return }
        let digits = bytes[(start + attribute.count)...].prefix { (0x30...0x39).contains($0) }
        guard let seconds = Int(String(decoding: digits, as: UTF8.self)) else { return }
        commandTimeoutSeconds = seconds
        configString = String(decoding: bytes[..<start] + bytes[digits.endIndex...], as: UTF8.self)
    }
}

/// Why a device could not be opened or changed: one sentence for the operator.
public enum HandlerDeviceError: Error, Sendable, Equatable, CustomStringConvertible {
    case otherSubtype(configString: String, subtype: String)
    case configStringTooLong(byteCount: Int)
    case configStringHoldsZero
    case refused(configString: String, reason: String)
    case unreadable(path: String, reason: String)
    /// The handler would damage what `path` holds, or misread it.
    case storeUnsafe(path: String, reason: String)
    /// The handler takes whole commands: nobody can tell which of them write.
    case cannotProtect(configString: String)
    case sizeUnknown(configString: String)
    case sizeZero(configString: String)
    case sizeContradicts(configString: String, configured: UInt64, found: UInt64)
    case sizeNoMultiple(configString: String, byteCount: UInt64, blockByteCount: Int)
    case blockSizeInvalid(Int)
    case blockSizeContradicts(configString: String, configured: Int, found: Int)
    case openFailed(configString: String, result: Int32)
    case blockSizeFromHandler(configString: String, UInt32)
    case noThread(configString: String, reason: String)
    case noDescriptor(configString: String, reason: String)
    case noMemory
    case cannotResize(configString: String, reason: String)
    case isClosed(configString: String)

    public var description: String {
        switch self {
        case .otherSubtype(let string, let subtype):
            "\"\(string)\" is not for the handler \"\(subtype)\": it must begin with \(subtype)/"
        case .configStringTooLong(let count):
            "a configuration string of \(count) bytes is too long: use at most "
                + "\(HandlerDeviceConfiguration.maximumConfigStringByteCount)"
        case .configStringHoldsZero:
            "a configuration string holds a zero byte: take it out"
        case .refused(let string, let reason):
            "the handler refuses \"\(string)\": \(reason)"
        case .unreadable(let path, let reason):
            "\(path) cannot be read: \(reason)"
        case .storeUnsafe(let path, let reason):
            "\(path) \(reason)"
        case .cannotProtect(let string):
            "\"\(string)\" cannot be made readonly: its handler takes whole commands, and which of them write is its own "
                + "business; leave readonly out, and use the handler's own option if it has one"
        case .sizeUnknown(let string):
            "the size of \"\(string)\" is not known: give it with size=BYTES"
        case .sizeZero(let string):
            "\"\(string)\" has no blocks: give it a size, or another store"
        case .sizeContradicts(let string, let configured, let found):
            "\"\(string)\" holds \(found) bytes, but size=\(configured) is configured: "
                + "leave the size out, or give \(found)"
        case .sizeNoMultiple(let string, let count, let block):
            "the size of \"\(string)\", \(count) bytes, is not a multiple of its block size of \(block) bytes: "
                + "change one of the two"
        case .blockSizeInvalid(let size):
            "a block size of \(size) bytes is not possible: use 512, 1024, 2048 or 4096"
        case .blockSizeContradicts(let string, let configured, let found):
            "\"\(string)\" has blocks of \(found) bytes, but block-size=\(configured) is configured: "
                + "leave the block size out, or give \(found)"
        case .openFailed(let string, let result):
            "the handler could not open \"\(string)\" (it returned \(result)): see its own messages above"
        case .blockSizeFromHandler(let string, let size):
            "the handler of \"\(string)\" set a block size of \(size) bytes: only 512, 1024, 2048 and 4096 are served"
        case .noThread(let string, let reason):
            "no thread could be started for \"\(string)\": \(reason)"
        case .noDescriptor(let string, let reason):
            "no event could be made for \"\(string)\": \(reason)"
        case .noMemory:
            "there is no memory for another device"
        case .cannotResize(let string, let reason):
            "\"\(string)\" cannot be resized: \(reason)"
        case .isClosed(let string):
            "\"\(string)\" is closed"
        }
    }
}
