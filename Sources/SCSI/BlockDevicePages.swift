// SPDX-License-Identifier: Apache-2.0

/// Block Limits VPD page B0h (SBC-4). Zero: not told, or no limit, as each field says.
public struct BlockLimits: Equatable, Sendable {
    /// WSNZ: WRITE SAME refuses a NUMBER OF LOGICAL BLOCKS of zero, instead of taking it as "to the end".
    public var refusesWriteSameOfZeroBlocks = false
    /// Blocks; zero: COMPARE AND WRITE is not supported.
    public var maximumCompareAndWriteBlockCount: UInt8 = 0
    public var optimalTransferGranularity: UInt16 = 0
    /// Blocks of the longest single transfer; zero: no limit.
    public var maximumTransferBlockCount: UInt32 = 0
    public var optimalTransferBlockCount: UInt32 = 0
    public var maximumPrefetchBlockCount: UInt32 = 0
    /// Blocks of one UNMAP; zero: UNMAP is not supported; FFFFFFFFh: no limit.
    public var maximumUnmapBlockCount: UInt32 = 0
    public var maximumUnmapDescriptorCount: UInt32 = 0
    /// Blocks.
    public var optimalUnmapGranularity: UInt32 = 0
    /// The first block of a granule, modulo the granularity; nil: UGAVALID zero.
    public var unmapGranularityAlignment: UInt32?
    /// Blocks of one WRITE SAME; zero: no limit.
    public var maximumWriteSameBlockCount: UInt64 = 0
    /// Blocks of one WRITE ATOMIC and its granularities; zero: not supported.
    public var maximumAtomicTransferBlockCount: UInt32 = 0
    public var atomicAlignment: UInt32 = 0
    public var atomicTransferGranularity: UInt32 = 0
    public var maximumAtomicTransferWithBoundaryBlockCount: UInt32 = 0
    public var maximumAtomicBoundaryBlockCount: UInt32 = 0

    public init() {}

    private static let alignmentValid: UInt32 = 1 << 31

    func writeBody(to writer: inout ParameterDataWriter) {
        writer.append(.bit(refusesWriteSameOfZeroBlocks, 0))
        writer.append(maximumCompareAndWriteBlockCount)
        writer.append(optimalTransferGranularity)
        writer.append(maximumTransferBlockCount)
        writer.append(optimalTransferBlockCount)
        writer.append(maximumPrefetchBlockCount)
        writer.append(maximumUnmapBlockCount)
        writer.append(maximumUnmapDescriptorCount)
        writer.append(optimalUnmapGranularity)
        writer.append(unmapGranularityAlignment.map { $0 | Self.alignmentValid } ?? 0)
        writer.append(maximumWriteSameBlockCount)
        writer.append(maximumAtomicTransferBlockCount)
        writer.append(atomicAlignment)
        writer.append(atomicTransferGranularity)
        writer.append(maximumAtomicTransferWithBoundaryBlockCount)
        writer.append(maximumAtomicBoundaryBlockCount)
    }
}

/// Block Device Characteristics VPD page B1h (SBC-4).
public struct BlockDeviceCharacteristics: Equatable, Sendable {
    public var rotation = Rotation.notReported
    public var formFactor = FormFactor.notReported
    /// FUAB: SYNCHRONIZE CACHE and FUA behave as SBC-3 and later say, not as SBC-2 let them.
    public var forcesUnitAccessStrictly = true
    /// VBULS: VERIFY takes unmapped blocks.
    public var verifiesUnmappedBlocks = true

    /// MEDIUM ROTATION RATE.
    public enum Rotation: Equatable, Sendable {
        case notReported
        case nonRotating
        case revolutionsPerMinute(UInt16)

        var code: UInt16 {
            switch self {
            case .notReported: 0x0000
            case .nonRotating: 0x0001
            case .revolutionsPerMinute(let rate): rate
            }
        }
    }

    /// WABEREQ 01b: after SANITIZE with BLOCK ERASE blocks can be read without having been written. False: 00b, there
    /// is no BLOCK ERASE.
    public var readsAfterBlockErase = false

    /// NOMINAL FORM FACTOR.
    public enum FormFactor: UInt8, Sendable {
        case notReported = 0
        case fiveAndAQuarterInches = 1
        case threeAndAHalfInches = 2
        case twoAndAHalfInches = 3
        case oneAndEightTenthsInches = 4
        case smaller = 5
    }

    public init() {}

    private static let reservedByteCount = 55

    func writeBody(to writer: inout ParameterDataWriter) {
        writer.append(rotation.code)
        writer.append(UInt8(0))  // PRODUCT TYPE
        writer.append(.bit(readsAfterBlockErase, 6) | formFactor.rawValue)
        writer.append(.bit(forcesUnitAccessStrictly, 1) | .bit(verifiesUnmappedBlocks, 0))
        writer.appendZeroes(Self.reservedByteCount)
    }
}

/// Logical Block Provisioning VPD page B2h (SBC-4).
public struct LogicalBlockProvisioning: Equatable, Sendable {
    /// THRESHOLD EXPONENT; zero: thresholds are not supported.
    public var thresholdExponent: UInt8 = 0
    /// LBPU: UNMAP.
    public var supportsUnmap = false
    /// LBPWS: WRITE SAME(16) with UNMAP.
    public var supportsWriteSame16Unmap = false
    /// LBPWS10: WRITE SAME(10) with UNMAP.
    public var supportsWriteSame10Unmap = false
    public var unmappedRead = UnmappedRead.unspecified
    /// ANC_SUP
    public var supportsAnchor = false
    public var provisioningType = ProvisioningType.full

    /// LBPRZ: what unmapped blocks read as.
    public enum UnmappedRead: UInt8, Sendable {
        case unspecified = 0
        case zeroes = 1
        case provisioningInitializationPattern = 2
    }

    public enum ProvisioningType: UInt8, Sendable {
        /// Fully provisioned, or not reported.
        case full = 0
        case resource = 1
        case thin = 2
    }

    public init() {}

    func writeBody(to writer: inout ParameterDataWriter) {
        writer.append(thresholdExponent)
        writer.append(
            .bit(supportsUnmap, 7) | .bit(supportsWriteSame16Unmap, 6) | .bit(supportsWriteSame10Unmap, 5)
                | unmappedRead.rawValue << 2 | .bit(supportsAnchor, 1))
        writer.append(provisioningType.rawValue)
        writer.append(UInt8(0))  // THRESHOLD PERCENTAGE
    }
}
