// SPDX-License-Identifier: Apache-2.0

/// PERIPHERAL QUALIFIER and PERIPHERAL DEVICE TYPE: byte 0 of all INQUIRY data (SPC-4 6.6.2).
public struct Peripheral: Equatable, Sendable {
    public var qualifier: Qualifier
    public var deviceType: DeviceType

    public enum Qualifier: UInt8, Sendable {
        /// A device of this type is accessible.
        case accessible = 0
        /// A device of this type could be, but is not.
        case notAccessible = 1
        /// No device can be there.
        case notSupported = 3
    }

    public enum DeviceType: UInt8, Sendable {
        case directAccessBlock = 0x00
        case wellKnownLogicalUnit = 0x1E
        case unknownOrNone = 0x1F
    }

    public init(_ qualifier: Qualifier, _ deviceType: DeviceType) {
        self.qualifier = qualifier
        self.deviceType = deviceType
    }

    public static let disk = Peripheral(.accessible, .directAccessBlock)
    public static let wellKnownLogicalUnit = Peripheral(.accessible, .wellKnownLogicalUnit)
    /// The answer of a logical unit number that names nothing: 7Fh.
    public static let none = Peripheral(.notSupported, .unknownOrNone)

    var byte: UInt8 { qualifier.rawValue << 5 | deviceType.rawValue }
}

/// VERSION DESCRIPTOR values (SPC-4 6.6.2 and T10's later assignments), none claiming a revision.
public enum VersionDescriptor: UInt16, Sendable {
    case sam5 = 0x00A0
    case spc4 = 0x0460
    case spc5 = 0x05C0
    case sbc3 = 0x04C0
    case sbc4 = 0x0600
    case iSCSI = 0x0960
}

/// Standard INQUIRY data (SPC-4 6.6.2): 96 bytes.
public struct StandardInquiryData: Equatable, Sendable {
    public static let byteCount = 96

    public var peripheral = Peripheral.disk
    /// RMB
    public var isRemovable = false
    public var version = Version.spc4
    /// NORMACA: the NACA bit of the CONTROL byte is supported.
    public var supportsNormalACA = false
    /// HISUP: LUNs follow SAM-5's hierarchical addressing.
    public var usesHierarchicalAddressing = true
    /// TPGS
    public var targetPortGroupSupport = TargetPortGroupSupport.none
    /// 3PC: third-party copy commands.
    public var supportsThirdPartyCopy = false
    /// PROTECT: protection information.
    public var supportsProtection = false
    /// MULTIP: more than one target port.
    public var hasMultiplePorts = false
    /// CMDQUE: the full task management model of SAM-5.
    public var supportsCommandQueuing = true
    /// Up to 8, 16 and 4 printable ASCII characters.
    public var vendor: String
    public var product: String
    public var revision: String
    /// At most eight are written.
    public var versionDescriptors: [VersionDescriptor] = [.sam5, .iSCSI, .spc4, .sbc3]

    /// VERSION.
    public enum Version: UInt8, Sendable {
        case spc3 = 0x05
        case spc4 = 0x06
        case spc5 = 0x07
    }

    public enum TargetPortGroupSupport: UInt8, Sendable {
        case none = 0
        case implicit = 1
        case explicit = 2
        case implicitAndExplicit = 3
    }

    public init(vendor: String, product: String, revision: String) {
        self.vendor = vendor
        self.product = product
        self.revision = revision
    }

    private static let responseDataFormat: UInt8 = 2
    private static let vendorSpecificByteCount = 20
    private static let versionDescriptorCount = 8

    public func write(to writer: inout ParameterDataWriter) {
        writer.append(peripheral.byte)
        writer.append(.bit(isRemovable, 7))
        writer.append(version.rawValue)
        writer.append(
            .bit(supportsNormalACA, 5) | .bit(usesHierarchicalAddressing, 4) | Self.responseDataFormat)
        let additionalLength = writer.reserveLength(.oneByte)
        writer.append(
            targetPortGroupSupport.rawValue << 4 | .bit(supportsThirdPartyCopy, 3) | .bit(supportsProtection, 0))
        writer.append(.bit(hasMultiplePorts, 4))
        writer.append(.bit(supportsCommandQueuing, 1))
        writer.append(ascii: vendor, fieldByteCount: 8)
        writer.append(ascii: product, fieldByteCount: 16)
        writer.append(ascii: revision, fieldByteCount: 4)
        writer.appendZeroes(Self.vendorSpecificByteCount)
        writer.appendZeroes(2)
        let descriptors = versionDescriptors.prefix(Self.versionDescriptorCount)
        for descriptor in descriptors { writer.append(descriptor.rawValue) }
        writer.appendZeroes(2 * (Self.versionDescriptorCount - descriptors.count))
        writer.appendZeroes(Self.byteCount - writer.byteCount)
        writer.fill(additionalLength)
    }
}

extension UInt8 {
    /// Bit `position` (7 is the most significant), set where `isSet`.
    static func bit(_ isSet: Bool, _ position: UInt8) -> UInt8 {
        isSet ? 1 << position : 0
    }
}
