// SPDX-License-Identifier: Apache-2.0

/// What a logical unit's protection information means (SBC-4 4.22.2).
public enum ProtectionType: UInt8, Sendable, CaseIterable {
    /// The reference tag is the low half of the LBA.
    case type1 = 1
    /// The reference tag counts from what a 32-byte command says.
    case type2
    /// The reference tag is the initiator's own.
    case type3

    /// P_TYPE of READ CAPACITY(16).
    public var protectionTypeField: UInt8 { rawValue - 1 }

    /// SPT of the Extended INQUIRY Data page: this type alone is supported.
    public var supportedTypesField: UInt8 {
        switch self {
        case .type1: 0b000
        case .type2: 0b010
        case .type3: 0b100
        }
    }
}

/// The protection information of one logical block (SBC-4 4.22.3), in the order of its eight bytes.
public struct ProtectionTuple: Equatable, Sendable {
    public static let byteCount = 8

    /// LOGICAL BLOCK GUARD: the CRC of the user data.
    public var guardTag: UInt16
    /// LOGICAL BLOCK APPLICATION TAG
    public var applicationTag: UInt16
    /// LOGICAL BLOCK REFERENCE TAG
    public var referenceTag: UInt32

    /// All ones: of blocks that were never written, or deallocated. Nothing of such a block is checked.
    public static let escape = ProtectionTuple(word: .max)

    @inlinable
    public init(guardTag: UInt16, applicationTag: UInt16, referenceTag: UInt32) {
        self.guardTag = guardTag
        self.applicationTag = applicationTag
        self.referenceTag = referenceTag
    }

    /// The eight bytes, the first of them the most significant.
    @inlinable
    public init(word: UInt64) {
        guardTag = UInt16(truncatingIfNeeded: word >> 48)
        applicationTag = UInt16(truncatingIfNeeded: word >> 32)
        referenceTag = UInt32(truncatingIfNeeded: word)
    }

    @inlinable
    public var word: UInt64 { UInt64(guardTag) << 48 | UInt64(applicationTag) << 32 | UInt64(referenceTag) }

    /// Whether nothing of a block with these tags is checked when it is read.
    @inlinable
    public func disablesChecks(_ type: ProtectionType) -> Bool {
        applicationTag == .max && (type != .type3 || referenceTag == .max)
    }
}

/// A tag that is not what it should be.
public enum ProtectionFault: Equatable, Sendable {
    case guardTag, applicationTag, referenceTag

    var additional: AdditionalSense {
        switch self {
        case .guardTag: .logicalBlockGuardCheckFailed
        case .applicationTag: .logicalBlockApplicationTagCheckFailed
        case .referenceTag: .logicalBlockReferenceTagCheckFailed
        }
    }
}

/// The tags that are checked.
public struct ProtectionChecks: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let guardTag = ProtectionChecks(rawValue: 1 << 0)
    public static let applicationTag = ProtectionChecks(rawValue: 1 << 1)
    public static let referenceTag = ProtectionChecks(rawValue: 1 << 2)
    public static let all: ProtectionChecks = [.guardTag, .applicationTag, .referenceTag]
}

/// RDPROTECT, WRPROTECT, VRPROTECT and ORPROTECT on a unit with protection information (the tables in SBC-4 5.13, 5.35,
/// 5.40 and elsewhere). 110b and 111b are reserved.
public enum ProtectField: UInt8, Sendable, CaseIterable {
    case none = 0b000
    case checkAll = 0b001
    case checkTags = 0b010
    case checkNothing = 0b011
    case checkGuard = 0b100
    case checkAllToo = 0b101

    public static let highestBit = 7

    /// Data come, and go, with their protection information.
    @inlinable
    public var isTransferred: Bool { self != .none }

    /// Of what the medium holds.
    public var readChecks: ProtectionChecks {
        switch self {
        case .none, .checkAll, .checkAllToo: .all
        case .checkTags: [.applicationTag, .referenceTag]
        case .checkNothing: []
        case .checkGuard: .guardTag
        }
    }

    /// Of what came from the initiator. Where the standard leaves a check of the reference tag open, it is made.
    public var writeChecks: ProtectionChecks { isTransferred ? readChecks : [] }

    /// The tags that VERIFY with a byte check compares, as a mask of `ProtectionTuple.word`. Not transferred: none.
    /// The application tag, and the reference tag of type 3, are compared by who owns them.
    public func comparedTags(_ type: ProtectionType, isOwnedByInitiator: Bool) -> UInt64 {
        guard isTransferred else { return 0 }
        let isReferenceCompared = type != .type3 || !isOwnedByInitiator || self == .checkAllToo
        return ProtectionTuple(
            guardTag: self == .checkTags ? 0 : .max, applicationTag: isOwnedByInitiator ? .max : 0,
            referenceTag: isReferenceCompared ? .max : 0
        ).word
    }
}

/// What tags should be: of a range of blocks, by the unit's type and by what the CDB says.
public struct ProtectionExpectation: Sendable {
    public let checksGuard: Bool
    /// Of the first block, where it is known and checked; each following block has one more.
    public let referenceTag: UInt32?
    public let applicationTag: UInt16
    /// The bits of the application tag that are checked.
    public let applicationTagMask: UInt16

    /// - Parameters:
    ///   - isOwnedByInitiator: ATO.
    ///   - cdb: where it has 32 bytes, and the type is 2, the expected tags are its own.
    public init(
        _ checks: ProtectionChecks, _ type: ProtectionType, isOwnedByInitiator: Bool, lba: UInt64,
        cdb: CommandDescriptorBlock
    ) {
        let hasExpectedTags = type == .type2 && cdb.opcode == CommandDescriptorBlock.variableLengthOpcode
        checksGuard = checks.contains(.guardTag)
        let initialTag: UInt32? =
            switch type {
            case .type1: UInt32(truncatingIfNeeded: lba)
            case .type2: hasExpectedTags ? cdb.expectedInitialReferenceTag : nil
            case .type3: nil
            }
        referenceTag = checks.contains(.referenceTag) ? initialTag : nil
        let hasApplicationTag = hasExpectedTags && isOwnedByInitiator && checks.contains(.applicationTag)
        applicationTag = hasApplicationTag ? cdb.expectedApplicationTag : 0
        applicationTagMask = hasApplicationTag ? cdb.applicationTagMask : 0
    }

    public var isNothing: Bool { !checksGuard && referenceTag == nil && applicationTagMask == 0 }

    /// What is wrong with `tuple`, of the block `index` blocks behind the first. `guardTag`: the CRC of its data.
    @inlinable
    public func fault(
        of tuple: ProtectionTuple, atBlock index: UInt64, guardTag: @autoclosure () -> UInt16
    ) -> ProtectionFault? {
        if checksGuard, tuple.guardTag != guardTag() { return .guardTag }
        if (tuple.applicationTag ^ applicationTag) & applicationTagMask != 0 { return .applicationTag }
        if let referenceTag, tuple.referenceTag != referenceTag &+ UInt32(truncatingIfNeeded: index) {
            return .referenceTag
        }
        return nil
    }
}

// Fields of the 32-byte commands of type 2 (SBC-4 5.16).
extension CommandDescriptorBlock {
    /// EXPECTED INITIAL LOGICAL BLOCK REFERENCE TAG
    public var expectedInitialReferenceTag: UInt32 { uint32(at: 20) }
    /// EXPECTED LOGICAL BLOCK APPLICATION TAG
    public var expectedApplicationTag: UInt16 { uint16(at: 24) }
    /// LOGICAL BLOCK APPLICATION TAG MASK
    public var applicationTagMask: UInt16 { uint16(at: 26) }
}

extension SenseData {
    /// A tag failed its check. `lba`: the first block that it did so in.
    public static func protectionCheckFailed(_ fault: ProtectionFault, lba: UInt64) -> SenseData {
        SenseData(.abortedCommand, fault.additional, information: lba)
    }

    /// A tag on the medium differs from that which VERIFY brought. `offset`: of the first byte that differs, from the
    /// start of what was transferred.
    public static func protectionMiscompare(_ fault: ProtectionFault, atByte offset: UInt64) -> SenseData {
        SenseData(.miscompare, fault.additional, information: offset)
    }
}
