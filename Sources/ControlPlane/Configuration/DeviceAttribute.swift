// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost

/// The attributes of a device: the same words in a LUN specification and in a configuration file.
enum DeviceAttribute: String, CaseIterable, Sendable {
    case size
    case blockSize = "block-size"
    case physicalBlockSize = "physical-block-size"
    case readonly
    case removable
    case serial
    case threshold
    case vendor
    case product
    case writeCache = "write-cache"
    case merge
    case mergeDelay = "merge-delay"
    case maxDelay = "max-delay"

    static let names = allCases.map(\.rawValue)

    /// Whether the bare word, without a value, says yes.
    var isFlag: Bool { self == .readonly || self == .removable }

    /// What a value may be, as the end of a sentence.
    var expectation: String {
        switch self {
        case .size: "write a number of bytes above 0, or one with K, M, G or T, such as size=10G"
        case .blockSize: "write 512, 1024, 2048 or 4096"
        case .physicalBlockSize: "write a power of two from 512 to 65536"
        case .readonly, .removable: "write yes or no, or the word \(rawValue) alone"
        case .serial: "write 1 to \(Self.maximumSerialByteCount) printable ASCII characters"
        case .threshold: "write a percentage from 1 to 99, such as 80"
        case .vendor: "write 1 to \(Self.maximumVendorByteCount) printable ASCII characters"
        case .product: "write 1 to \(Self.maximumProductByteCount) printable ASCII characters"
        case .writeCache, .merge: "write on or off"
        case .mergeDelay, .maxDelay: "write a time up to 1s in us, ms or s, such as 50us, or 0 for none"
        }
    }

    /// UNIT SERIAL NUMBER must fit, with the vendor, into one T10 vendor ID designator of 255 bytes; no initiator is
    /// known to keep more of it than this.
    static let maximumSerialByteCount = 64
    /// A second: initiators do not wait for ever.
    static let maximumDelayNanoseconds: UInt64 = 1_000_000_000
    /// INQUIRY bytes 8 to 15.
    static let maximumVendorByteCount = 8
    /// INQUIRY bytes 16 to 31.
    static let maximumProductByteCount = 16

    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT has more room, disks have not.
    private static let physicalBlockByteCounts = 512...65536
    private static let blockByteCounts = [512, 1024, 2048, 4096]

    /// Puts `value` in its place. False when it is none that `expectation` allows.
    func apply(_ value: String, to settings: inout DeviceSettings) -> Bool {
        switch self {
        case .size:
            guard let byteCount = ByteCount.parse(value), byteCount > 0 else { return false }
            settings.byteCount = byteCount
        case .blockSize:
            guard let byteCount = Int(value), Self.blockByteCounts.contains(byteCount) else { return false }
            settings.blockByteCount = byteCount
        case .readonly:
            guard let isReadOnly = Self.truth(of: value) else { return false }
            settings.isReadOnly = isReadOnly
        case .removable:
            guard let isRemovable = Self.truth(of: value) else { return false }
            settings.isRemovable = isRemovable
        case .physicalBlockSize:
            guard let byteCount = Int(value), Self.physicalBlockByteCounts.contains(byteCount),
                byteCount & (byteCount - 1) == 0
            else { return false }
            settings.physicalBlockByteCount = byteCount
        case .serial:
            guard Self.isText(value, limit: Self.maximumSerialByteCount) else { return false }
            settings.serial = value
        case .threshold:
            guard let percent = Int(value.hasSuffix("%") ? String(value.dropLast()) : value), (1...99).contains(percent)
            else { return false }
            settings.thresholdPercent = percent
        case .vendor:
            guard Self.isText(value, limit: Self.maximumVendorByteCount) else { return false }
            settings.vendor = value
        case .product:
            guard Self.isText(value, limit: Self.maximumProductByteCount) else { return false }
            settings.product = value
        case .writeCache:
            guard let isOn = Self.truth(of: value) else { return false }
            settings.writeCache = isOn
        case .merge:
            guard let isOn = Self.truth(of: value) else { return false }
            settings.merges = isOn
        case .mergeDelay:
            guard let delay = TimeSpan.parse(value, limit: Self.maximumDelayNanoseconds) else { return false }
            settings.mergeDelayNanoseconds = delay
        case .maxDelay:
            guard let delay = TimeSpan.parse(value, limit: Self.maximumDelayNanoseconds) else { return false }
            settings.maximumDelayNanoseconds = delay
        }
        return true
    }

    /// The two words of each pair that YAML takes for a truth value; on the command line the same.
    private static func truth(of value: String) -> Bool? {
        switch value.lowercased() {
        case "yes", "on", "true": true
        case "no", "off", "false": false
        default: nil
        }
    }

    /// Characters that an ASCII field of SPC-5 4.3.1 may hold, and not blanks alone.
    private static func isText(_ value: String, limit: Int) -> Bool {
        let bytes = value.utf8
        return bytes.count <= limit && bytes.allSatisfy { (0x20...0x7E).contains($0) } && bytes.contains { $0 != 0x20 }
    }
}
