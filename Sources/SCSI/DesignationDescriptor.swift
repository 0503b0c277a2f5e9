// SPDX-License-Identifier: Apache-2.0

/// A designation descriptor of the Device Identification VPD page 83h (SPC-4 7.8.6): one name of a logical unit, of
/// the target port that the command came through, or of the SCSI target device.
public struct DesignationDescriptor: Equatable, Sendable {
    public var association: Association
    public var designator: Designator
    /// PROTOCOL IDENTIFIER, sent with PIV for ports and devices; nil: PIV zero.
    public var protocolIdentifier: ProtocolIdentifier?

    public enum Association: UInt8, Sendable {
        case logicalUnit = 0
        case targetPort = 1
        case targetDevice = 2
    }

    public enum Designator: Equatable, Sendable {
        /// T10 vendor ID based: vendor in eight characters, then the vendor's own.
        case t10VendorID(vendor: String, specific: String)
        /// NAA 3h: 60 bits assigned locally; the top four bits of the value are not used.
        case naaLocallyAssigned(UInt64)
        /// NAA 6h: IEEE company ID (24 bits), vendor specific identifier (36 bits) and extension.
        case naaIEEERegisteredExtended(companyID: UInt32, vendorSpecific: UInt64, extension: UInt64)
        case relativeTargetPort(UInt16)
        case targetPortGroup(UInt16)
        case logicalUnitGroup(UInt16)
        /// UTF-8, null-terminated, for example an iSCSI name.
        case scsiNameString(String)

        /// DESIGNATOR TYPE.
        var type: UInt8 {
            switch self {
            case .t10VendorID: 0x1
            case .naaLocallyAssigned, .naaIEEERegisteredExtended: 0x3
            case .relativeTargetPort: 0x4
            case .targetPortGroup: 0x5
            case .logicalUnitGroup: 0x6
            case .scsiNameString: 0x8
            }
        }

        var codeSet: UInt8 {
            switch self {
            case .t10VendorID: 0x2  // ASCII
            case .scsiNameString: 0x3  // UTF-8
            case .naaLocallyAssigned, .naaIEEERegisteredExtended, .relativeTargetPort, .targetPortGroup,
                .logicalUnitGroup:
                0x1  // binary
            }
        }
    }

    public init(_ designator: Designator, of association: Association, protocol: ProtocolIdentifier? = nil) {
        self.association = association
        self.designator = designator
        protocolIdentifier = `protocol`
    }

    private static let naaLocallyAssigned: UInt64 = 0x3
    private static let naaIEEERegisteredExtended: UInt64 = 0x6

    func write(to writer: inout ParameterDataWriter) {
        writer.append((protocolIdentifier?.rawValue ?? 0) << 4 | designator.codeSet)
        writer.append(.bit(protocolIdentifier != nil, 7) | association.rawValue << 4 | designator.type)
        writer.append(UInt8(0))
        let length = writer.reserveLength(.oneByte)
        switch designator {
        case .t10VendorID(let vendor, let specific):
            writer.append(ascii: vendor, fieldByteCount: 8)
            writer.append(ascii: specific, fieldByteCount: specific.utf8.count)
        case .naaLocallyAssigned(let value):
            writer.append(Self.naaLocallyAssigned << 60 | value & 0x0FFF_FFFF_FFFF_FFFF)
        case .naaIEEERegisteredExtended(let companyID, let vendorSpecific, let vendorExtension):
            let company = UInt64(companyID & 0xFF_FFFF) << 36
            writer.append(Self.naaIEEERegisteredExtended << 60 | company | vendorSpecific & 0xF_FFFF_FFFF)
            writer.append(vendorExtension)
        case .relativeTargetPort(let value), .targetPortGroup(let value), .logicalUnitGroup(let value):
            writer.appendZeroes(2)
            writer.append(value)
        case .scsiNameString(let name):
            writer.append(nullTerminated: name)
        }
        writer.fill(length)
    }
}

/// PROTOCOL IDENTIFIER (SPC-4 7.6).
public enum ProtocolIdentifier: UInt8, Sendable {
    case fibreChannel = 0x0
    case sbp = 0x3
    case srp = 0x4
    case iSCSI = 0x5
    case sas = 0x6
    case noSpecific = 0xF
}
