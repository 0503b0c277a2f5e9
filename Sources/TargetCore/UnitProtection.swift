// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// What an operator says of a unit's protection information.
public struct ProtectionOptions: Sendable {
    public var type: ProtectionType
    /// Holds the tuples: for block n the eight bytes from 8 n, each of them complemented, so that a fresh store of zeroes
    /// holds tuples of all ones. The blocks behind its end are no blocks of the unit.
    public var tuples: any BlockDevice
    /// ATO: application tags are the initiator's own. Then blocks that come without tags get FFFFh, and so are never
    /// checked (SBC-4 table 68, note g).
    public var isTagOwnedByInitiator = false

    public init(type: ProtectionType, tuples: any BlockDevice) {
        self.type = type
        self.tuples = tuples
    }
}

/// The protection information of a logical unit (SBC-4 4.22), kept beside its blocks.
///
/// Data and tuples are two requests to two stores. So that nobody sees one without the other, whoever writes holds its
/// blocks alone (`ITNexus.holdsAlone`). So that a server that is killed in between leaves no block that fails its checks,
/// the tuples are first written as escapes, then the data, then the new tuples.
final class UnitProtection: Sendable {
    let type: ProtectionType
    let device: any BlockDevice
    /// ATO
    let isTagOwnedByInitiator: Bool
    /// Tuples in a block of `device`, which is written as a whole.
    let tuplesPerBlock: UInt64
    /// Blocks of the unit that have a tuple.
    let blockCount: UInt64

    init(_ options: ProtectionOptions) {
        type = options.type
        device = options.tuples
        isTagOwnedByInitiator = options.isTagOwnedByInitiator
        tuplesPerBlock = UInt64(options.tuples.blockByteCount / ProtectionTuple.byteCount)
        let (count, overflow) = options.tuples.blockCount.multipliedReportingOverflow(by: tuplesPerBlock)
        blockCount = overflow ? .max : count
    }

    var hasVolatileWriteCache: Bool { device.features.hasVolatileWriteCache }

    /// What a unit over a store with `features` can do: whatever changes blocks goes through the core.
    func features(of features: BlockDeviceFeatures) -> BlockDeviceFeatures {
        var features = features
        features.canFlush = features.canFlush && device.features.canFlush
        features.isReadOnly = features.isReadOnly || device.features.isReadOnly
        features.canWriteSame = false
        features.canWriteZeroes = false
        features.canCompareAndWrite = false
        features.passthrough = .none
        return features
    }

    /// Blocks of the longest transfer whose tuples the device takes in one request.
    var maximumTransferBlockCount: UInt64 {
        let byDevice = UInt64(device.features.maximumTransferBlockCount)
        return byDevice <= 2 ? .max : (byDevice - 2) * tuplesPerBlock
    }

    /// GRD_CHK, APP_CHK and REF_CHK.
    var readChecks: ProtectionChecks {
        switch type {
        case .type1: [.guardTag, .referenceTag]
        case .type2: isTagOwnedByInitiator ? .all : [.guardTag, .referenceTag]
        case .type3: .guardTag
        }
    }

    /// The blocks whose tuples are written together with those of `range`, which is not empty.
    func claim(for range: BlockRange) -> BlockRange {
        let first = range.lba - range.lba % tuplesPerBlock
        // Neither sum overflows: addresses on the medium are below 2^54.
        let end = (range.lba + range.count + tuplesPerBlock - 1) / tuplesPerBlock * tuplesPerBlock
        return BlockRange(lba: first, count: end - first)
    }

    /// Where the tuples of `range` stand on the device, with those that share its blocks.
    func span(of range: BlockRange) -> TupleSpan {
        let whole = claim(for: range)
        let width = UInt64(ProtectionTuple.byteCount)
        return TupleSpan(
            byteOffset: whole.lba * width, byteCount: Int(whole.count * width),
            lead: Int((range.lba - whole.lba) * width), isExact: whole == range)
    }

    /// Bytes of memory for the tuples of any `count` blocks, as the device has them.
    func spanByteCount(_ count: UInt64) -> Int {
        Int(count + 2 * tuplesPerBlock) * ProtectionTuple.byteCount
    }

    func expectation(
        _ checks: ProtectionChecks, lba: UInt64, cdb: CommandDescriptorBlock
    ) -> ProtectionExpectation {
        ProtectionExpectation(checks, type, isOwnedByInitiator: isTagOwnedByInitiator, lba: lba, cdb: cdb)
    }

    /// The tags of a block that came without (SBC-4 table 68, notes e to g), `index` blocks behind the first, which is
    /// `lba`. With type 2 the reference tag is the one that a later command of the same form expects.
    func generated(guardTag: UInt16, lba: UInt64, index: UInt64, cdb: CommandDescriptorBlock) -> ProtectionTuple {
        let hasExpectedTag = type == .type2 && cdb.opcode == OperationCode.variableLength.rawValue
        let first = hasExpectedTag ? cdb.expectedInitialReferenceTag : UInt32(truncatingIfNeeded: lba)
        return ProtectionTuple(
            guardTag: guardTag, applicationTag: isTagOwnedByInitiator ? .max : 0,
            referenceTag: type == .type3 ? .max : first &+ UInt32(truncatingIfNeeded: index))
    }
}

/// Whole blocks of a tuple device.
struct TupleSpan {
    let byteOffset: UInt64
    let byteCount: Int
    /// Bytes before the first tuple that is meant.
    let lead: Int
    /// No other tuples are in it.
    let isExact: Bool
}
