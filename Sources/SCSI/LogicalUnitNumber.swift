// SPDX-License-Identifier: Apache-2.0

/// A logical unit number: eight bytes in the forms of SAM-5 4.7, kept as one big-endian integer.
///
/// One logical unit can be named in several forms: `flatIndex` gives all of them the same small integer.
public struct LogicalUnitNumber: Hashable, Sendable {
    /// The eight bytes; byte 0 of the wire is the most significant.
    public let rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The shortest single-level form for logical unit `flat`: peripheral device addressing below 256, flat space
    /// addressing below 16,384, extended flat space addressing below 2^24, long extended below 2^40.
    /// A negative or larger index is a programming error.
    public init(_ flat: Int) {
        let index = UInt64(flat)
        precondition(index <= Self.largestFlatIndex, "no logical unit number for this index")
        switch index {
        case ..<0x100: rawValue = index << 48
        case ..<0x4000: rawValue = AddressMethod.flatSpace.rawValue << 62 | index << 48
        case ..<0x100_0000: rawValue = Self.extendedFlatSpaceByte << 56 | index << 32
        default: rawValue = Self.longExtendedFlatSpaceByte << 56 | index << 16
        }
    }

    /// The largest index that `init(_:)` takes.
    public static let largestFlatIndex: UInt64 = 0xFF_FFFF_FFFF

    // First bytes of extended logical unit addressing: address method 11b, length, extended address method.
    private static let wellKnownByte: UInt64 = 0xC1
    private static let extendedFlatSpaceByte: UInt64 = 0xD2
    private static let longExtendedFlatSpaceByte: UInt64 = 0xE2

    /// ADDRESS METHOD, the two highest bits of byte 0.
    public enum AddressMethod: UInt64, Sendable {
        case peripheralDevice = 0
        case flatSpace = 1
        case logicalUnit = 2
        case extended = 3
    }

    public var addressMethod: AddressMethod {
        switch rawValue >> 62 {
        case 0: .peripheralDevice
        case 1: .flatSpace
        case 2: .logicalUnit
        default: .extended
        }
    }

    /// The index that this number names in a single-level structure: peripheral device addressing on bus 0, flat
    /// space, extended flat space and long extended flat space addressing. Nil for every other form, and when bytes
    /// behind the form are not zero (a second level).
    public var flatIndex: Int? {
        switch addressMethod {
        case .peripheralDevice:
            guard rawValue & 0xFF00_FFFF_FFFF_FFFF == 0 else { return nil }
            return Int(rawValue >> 48)
        case .flatSpace:
            guard rawValue & 0x0000_FFFF_FFFF_FFFF == 0 else { return nil }
            return Int(rawValue >> 48 & 0x3FFF)
        case .logicalUnit:
            return nil
        case .extended:
            return extendedFlatIndex
        }
    }

    private var extendedFlatIndex: Int? {
        switch rawValue >> 56 {
        case Self.extendedFlatSpaceByte where rawValue & 0xFFFF_FFFF == 0:
            Int(rawValue >> 32 & 0xFF_FFFF)
        case Self.longExtendedFlatSpaceByte where rawValue & 0xFFFF == 0:
            Int(rawValue >> 16 & 0xFF_FFFF_FFFF)
        default:
            nil
        }
    }

    /// Bus identifier, 0 to 63, of a peripheral device address whose first level is all there is; nil otherwise.
    public var busIdentifier: Int? {
        guard addressMethod == .peripheralDevice, rawValue & 0xFFFF_FFFF_FFFF == 0 else { return nil }
        return Int(rawValue >> 56)
    }

    /// Whether this is a well known logical unit (SAM-5 4.7).
    public var isWellKnown: Bool {
        rawValue >> 56 == Self.wellKnownByte && rawValue & 0xFFFF_FFFF_FFFF == 0
    }

    /// The W-LUN stands in byte 1 (SPC-4 8).
    private init(wellKnown: UInt64) {
        rawValue = Self.wellKnownByte << 56 | wellKnown << 48
    }

    public static let reportLUNs = LogicalUnitNumber(wellKnown: 0x01)
    public static let accessControls = LogicalUnitNumber(wellKnown: 0x02)
    public static let targetLogPages = LogicalUnitNumber(wellKnown: 0x03)
    public static let securityProtocol = LogicalUnitNumber(wellKnown: 0x04)
    public static let managementProtocol = LogicalUnitNumber(wellKnown: 0x05)

    /// "Logical unit not specified": no logical unit is meant.
    public static let notSpecified = LogicalUnitNumber(rawValue: .max)
}

extension LogicalUnitNumber: CustomStringConvertible {
    /// The index where there is one, otherwise sixteen hexadecimal digits.
    public var description: String {
        if let flatIndex { return String(flatIndex) }
        let digits = String(rawValue, radix: 16)
        return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
