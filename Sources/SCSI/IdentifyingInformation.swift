// SPDX-License-Identifier: Apache-2.0

/// IDENTIFYING INFORMATION TYPE of REPORT and SET IDENTIFYING INFORMATION (SPC-4 6.32, 6.43): seven bits.
public enum IdentifyingInformationType: UInt8, Sendable, CaseIterable {
    /// Bytes of the application client's own.
    case peripheralDevice = 0b000_0000
    /// UTF-8 with a zero behind it.
    case peripheralDeviceText = 0b000_0010

    /// MAXIMUM IDENTIFYING INFORMATION LENGTH.
    public var maximumByteCount: Int {
        switch self {
        case .peripheralDevice: 512
        case .peripheralDeviceText: 256
        }
    }
}

/// The CDB of REPORT IDENTIFYING INFORMATION or SET IDENTIFYING INFORMATION.
public struct IdentifyingInformationRequest: Equatable, Sendable {
    public enum Subject: Equatable, Sendable {
        case information(IdentifyingInformationType)
        /// Which types there are; REPORT only.
        case supportedTypes
    }

    public let subject: Subject
    /// ALLOCATION LENGTH, PARAMETER LIST LENGTH.
    public let length: UInt32

    public static let typeByte = 10
    private static let typeBit = 7
    public static let lengthByte = 6
    private static let supportedTypes: UInt8 = 0b111_1111

    /// Throws INVALID FIELD IN CDB, pointing at the type, for one that is not there.
    public init(_ cdb: CommandDescriptorBlock, isSet: Bool) throws(SenseData) {
        length = cdb.uint32(at: Self.lengthByte)
        let type = cdb[Self.typeByte] >> 1
        if let known = IdentifyingInformationType(rawValue: type) {
            subject = .information(known)
        } else if type == Self.supportedTypes, !isSet {
            subject = .supportedTypes
        } else {
            throw .invalidFieldInCDB(byte: Self.typeByte, bit: Self.typeBit)
        }
    }
}

/// Parameter data of REPORT IDENTIFYING INFORMATION: four bytes, the last two of them the length of what follows.
public enum IdentifyingInformationData {
    public static func write(_ information: [UInt8], to writer: inout ParameterDataWriter) {
        writer.appendZeroes(2)
        let length = writer.reserveLength(.twoBytes)
        writer.append(information)
        writer.fill(length)
    }

    /// Every type with its longest information.
    public static func writeSupportedTypes(to writer: inout ParameterDataWriter) {
        writer.appendZeroes(2)
        let length = writer.reserveLength(.twoBytes)
        for type in IdentifyingInformationType.allCases {
            writer.append(type.rawValue << 1)
            writer.append(UInt8(0))
            writer.append(UInt16(type.maximumByteCount))
        }
        writer.fill(length)
    }
}
