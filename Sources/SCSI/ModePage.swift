// SPDX-License-Identifier: Apache-2.0

/// PC of MODE SENSE: which values of a page are meant (SPC-4 6.13).
public enum ModePageControl: UInt8, Sendable {
    case current = 0
    case changeable = 1
    case `default` = 2
    case saved = 3
}

/// One mode page: its current values, its defaults, the bits that MODE SELECT may change, and what of it is saved.
///
/// All of them are whole pages, header included, so that byte numbers are those of the standard's tables.
public struct ModePage: Equatable, Sendable {
    /// PAGE CODE, 6 bits.
    public let code: UInt8
    /// SUBPAGE CODE; zero means page_0 format, with a header of two bytes instead of four.
    public let subpage: UInt8
    public private(set) var current: [UInt8]
    public private(set) var defaults: [UInt8]
    /// Ones where a bit can change; the header as in the page itself.
    public private(set) var changeable: [UInt8]
    /// What was saved last; nil: nothing ever was.
    public private(set) var saved: [UInt8]?
    /// PS: MODE SELECT can save the page.
    public private(set) var isSavable = false

    private static let subpageFormat: UInt8 = 0x40
    private static let parametersSavable: UInt8 = 0x80

    /// `defaults`: the bytes behind the header; they are the current values as well. Nothing is changeable yet.
    public init(code: UInt8, subpage: UInt8 = 0, defaults body: [UInt8]) {
        self.code = code
        self.subpage = subpage
        let length = UInt16(body.count)
        let header: [UInt8] =
            subpage == 0
            ? [code, UInt8(length)]
            : [code | Self.subpageFormat, subpage, UInt8(length >> 8), UInt8(truncatingIfNeeded: length)]
        defaults = header + body
        current = defaults
        changeable = header + [UInt8](repeating: 0, count: body.count)
    }

    public var byteCount: Int { current.count }

    /// Bytes before the first parameter.
    public var headerByteCount: Int { subpage == 0 ? 2 : 4 }

    /// The page as MODE SENSE returns it. Where nothing was saved the saved values are the defaults, which a reset brings
    /// back as well.
    public func bytes(_ control: ModePageControl) -> [UInt8] {
        var bytes =
            switch control {
            case .current: current
            case .changeable: changeable
            case .default: defaults
            case .saved: saved ?? defaults
            }
        if isSavable { bytes[0] |= Self.parametersSavable }
        return bytes
    }

    /// Whether MODE SELECT may change some bit of the page.
    var isChangeable: Bool { changeable.dropFirst(headerByteCount).contains { $0 != 0 } }

    mutating func setSavable() { isSavable = true }

    /// Takes the changeable bits of `page`, whole, as saved values. A page of another length was saved by another
    /// version, and is left alone.
    mutating func setSaved(_ page: [UInt8]) {
        guard page.count == byteCount else { return }
        var new = defaults
        for index in headerByteCount..<byteCount {
            new[index] = new[index] & ~changeable[index] | page[index] & changeable[index]
        }
        saved = new
    }

    /// What a reset does: current values are the saved ones, or the defaults where there are none.
    mutating func restore() {
        let restored = saved ?? defaults
        for index in headerByteCount..<byteCount {
            current[index] = current[index] & ~changeable[index] | restored[index] & changeable[index]
        }
    }

    func isSet(_ bit: ModeBit, in control: ModePageControl) -> Bool {
        bytes(control)[bit.byte] & bit.mask != 0
    }

    mutating func setCurrent(_ bit: ModeBit, _ isSet: Bool) {
        Self.set(bit, isSet, in: &current)
    }

    mutating func configure(_ bit: ModeBit, default isSet: Bool, isChangeable: Bool) {
        Self.set(bit, isSet, in: &current)
        Self.set(bit, isSet, in: &defaults)
        Self.set(bit, isChangeable, in: &changeable)
    }

    private static func set(_ bit: ModeBit, _ isSet: Bool, in bytes: inout [UInt8]) {
        if isSet { bytes[bit.byte] |= bit.mask } else { bytes[bit.byte] &= ~bit.mask }
    }

    /// Byte and bit of the first value in `page`, whole and as long as this one, that differs where nothing may
    /// change. The header is not compared.
    func firstUnchangeableDifference(in page: RawSpan) -> (byte: Int, bit: Int)? {
        for index in headerByteCount..<byteCount {
            let difference = (page.uint8(at: index) ^ current[index]) & ~changeable[index]
            if difference != 0 { return (index, 7 - difference.leadingZeroBitCount) }
        }
        return nil
    }

    /// Takes the changeable bits of `page` as current values.
    mutating func select(_ page: RawSpan) {
        for index in headerByteCount..<byteCount {
            current[index] = current[index] & ~changeable[index] | page.uint8(at: index) & changeable[index]
        }
    }
}

/// A mode parameter of one bit, by its place.
public struct ModeBit: Equatable, Sendable {
    public let pageCode: UInt8
    /// Counted from the start of the page.
    public let byte: Int
    public let mask: UInt8

    /// WCE of the Caching mode page.
    public static let writeCacheEnable = ModeBit(pageCode: ModePageCode.caching, byte: 2, mask: 0x04)
    /// RCD of the Caching mode page.
    public static let readCacheDisable = ModeBit(pageCode: ModePageCode.caching, byte: 2, mask: 0x01)
    /// D_SENSE of the Control mode page: sense data in descriptor format.
    public static let descriptorSense = ModeBit(pageCode: ModePageCode.control, byte: 2, mask: 0x04)
    /// GLTSD of the Control mode page.
    public static let globalLoggingTargetSaveDisable = ModeBit(pageCode: ModePageCode.control, byte: 2, mask: 0x02)
    /// SWP of the Control mode page: software write protect.
    public static let softwareWriteProtect = ModeBit(pageCode: ModePageCode.control, byte: 4, mask: 0x08)
    /// TAS of the Control mode page: commands aborted by another nexus end with TASK ABORTED.
    public static let taskAbortedStatus = ModeBit(pageCode: ModePageCode.control, byte: 5, mask: 0x40)
    /// ATO of the Control mode page: application tags are the initiator's own.
    public static let applicationTagOwner = ModeBit(pageCode: ModePageCode.control, byte: 5, mask: 0x80)
    /// AWRE and ARRE of the Read-Write Error Recovery mode page.
    public static let automaticWriteReallocation = ModeBit(
        pageCode: ModePageCode.readWriteErrorRecovery, byte: 2, mask: 0x80)
    public static let automaticReadReallocation = ModeBit(
        pageCode: ModePageCode.readWriteErrorRecovery, byte: 2, mask: 0x40)
    /// DEXCPT of the Informational Exceptions Control mode page: none are reported.
    public static let disableExceptionControl = ModeBit(
        pageCode: ModePageCode.informationalExceptionsControl, byte: 2, mask: 0x08)
}

/// PAGE CODE values (SPC-4 7.5, SBC-4 clause 6).
public enum ModePageCode {
    public static let readWriteErrorRecovery: UInt8 = 0x01
    public static let caching: UInt8 = 0x08
    public static let control: UInt8 = 0x0A
    public static let informationalExceptionsControl: UInt8 = 0x1C
    /// SUBPAGE CODE of the Logical Block Provisioning mode page, under `informationalExceptionsControl`.
    public static let logicalBlockProvisioningSubpage: UInt8 = 0x02
    /// Return all pages.
    public static let all: UInt8 = 0x3F
    /// SUBPAGE CODE: return all subpages.
    public static let allSubpages: UInt8 = 0xFF
}
