// SPDX-License-Identifier: Apache-2.0

public import SCSI

/// One row of the command table: all that the device server knows of a command.
///
/// The row feeds the look-up, the check of reserved bits, REPORT SUPPORTED OPERATION CODES, reservations, unit
/// attentions and ordering, so that adding a command is adding a row.
public final class CommandDescriptor: Sendable {
    public enum DataDirection: Sendable {
        case none, fromInitiator, toInitiator
    }

    /// What stands between the command and its work, beyond what every command must pass.
    public struct Traits: OptionSet, Sendable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Works on the medium: refused while the unit is not ready.
        public static let needsMedium = Traits(rawValue: 1 << 0)
        /// Changes the medium: refused while the unit is write protected.
        public static let writesMedium = Traits(rawValue: 1 << 1)
        /// Runs although a unit attention is pending (SPC-4 5.14).
        public static let passesUnitAttention = Traits(rawValue: 1 << 2)
        /// Runs ahead of its task set whatever its attribute (SAM-5 8.2).
        public static let implicitHeadOfQueue = Traits(rawValue: 1 << 3)
        /// The core's own even on a store that answers every CDB itself.
        public static let ownedByCore = Traits(rawValue: 1 << 4)
        /// Moves or compares blocks of the medium without changing them: waits for atomic commands on the same blocks,
        /// as those that write do.
        public static let readsMedium = Traits(rawValue: 1 << 5)
        /// The blocks are those of the CDB's LOGICAL BLOCK ADDRESS and length, at its group's usual places. Without it
        /// a command that reads or writes is taken to touch all of the medium.
        public static let namesOneExtent = Traits(rawValue: 1 << 6)
        /// Claims its blocks itself (`ITNexus.holdsAlone`).
        public static let claimsExtent = Traits(rawValue: 1 << 7)
        /// Writes, and tells the unit's tokens itself which blocks (`TokenStore.revoke`).
        public static let revokesTokens = Traits(rawValue: 1 << 12)
        /// Tells of the medium without reading it: refused while there is none.
        public static let namesMedium = Traits(rawValue: 1 << 15)
        /// Writes all of the medium anew: runs while a format or sanitize operation has left it unusable.
        public static let rewritesMedium = Traits(rawValue: 1 << 13)
        /// Processed while a format or sanitize operation is at work, or a self-test in foreground mode.
        public static let duringOperations = Traits(rawValue: 1 << 14)
        /// The highest three bits of byte 1 are RDPROTECT or its like, where there is protection information.
        public static let hasProtectField = Traits(rawValue: 1 << 8)
        /// Writes protection information with the data, where there is some, and claims its blocks then
        /// (`ProtectedMedium`). A unit with protection information has no other commands that write.
        public static let keepsProtection = Traits(rawValue: 1 << 9)
    }

    /// Checks the CDB, and says how many bytes the command moves. Must not touch the medium.
    typealias Plan = @Sendable (SCSITask, NexusUnit) throws(SenseData) -> TransferPlan
    /// Goes one step. Called with `task.step` 0 at first, and again, one higher, each time a request ended well.
    typealias Perform = @Sendable (SCSITask, NexusUnit) throws(SenseData) -> Step

    enum Step {
        /// `task.request` has been filled: start it. Its failure ends the command; no row sees one.
        case request
        /// The same, but on this device instead of the unit's own.
        case requestOn(any BlockDevice)
        /// Somebody else will post `task.request` to the loop; then the same step is called again.
        case wait
        /// GOOD, with so many bytes for the initiator at the start of the buffer.
        case finished(toInitiator: Int)
        /// CONDITION MET, without data.
        case conditionMet
        case reservationConflict
    }

    public let name: String
    public let opcode: UInt8
    /// For operation codes with a SERVICE ACTION field.
    public let serviceAction: UInt16?
    /// The bits of the CDB that the device server looks at: all others must be zero, NACA among them, since no auto
    /// contingent allegiance is offered (NORMACA zero).
    /// On a unit with protection information there may be more: `usage(on:)`.
    public let usage: CDBUsage
    private let usageWithProtectField: CDBUsage
    public let data: DataDirection
    public let traits: Traits
    public let reservation: ReservationRule
    /// What the command counts as in the log pages.
    let activityKind: ActivityKind

    /// Nil: every logical unit does the command.
    private let isSupported: (@Sendable (LogicalUnit) -> Bool)?
    let plan: Plan
    let perform: Perform

    /// `usage` begins with byte 1 of the CDB.
    init(
        name: String, opcode: OperationCode, serviceAction: UInt8? = nil,
        variableLengthServiceAction: ServiceAction.VariableLength? = nil, usage: [UInt8], data: DataDirection = .none,
        traits: Traits = [], reservation: ReservationRule,
        isSupported: (@Sendable (LogicalUnit) -> Bool)? = nil,
        plan: @escaping Plan = { _, _ in TransferPlan() }, perform: @escaping Perform
    ) {
        self.name = name
        self.opcode = opcode.rawValue
        self.serviceAction = serviceAction.map(UInt16.init) ?? variableLengthServiceAction?.rawValue
        self.usage = CDBUsage(usage)
        usageWithProtectField =
            traits.contains(.hasProtectField)
            ? CDBUsage([usage[0] | Self.protectFieldMask] + usage.dropFirst()) : self.usage
        self.data = data
        self.traits = traits
        activityKind = ActivityKind(traits, data)
        self.reservation = reservation
        self.isSupported = isSupported
        self.plan = plan
        self.perform = perform
    }

    /// Whether `unit` really does the command.
    func isSupported(by unit: LogicalUnit) -> Bool {
        if unit.isProtected, traits.contains(.writesMedium), !traits.contains(.keepsProtection) { return false }
        return isSupported?(unit) ?? true
    }

    private static let protectFieldMask: UInt8 = 0xE0

    /// The bits of the CDB that `unit` looks at. With type 2 the 32-byte commands alone transfer protection information.
    func usage(on unit: LogicalUnit) -> CDBUsage {
        guard let protection = unit.protection, protection.type != .type2 else { return usage }
        return usageWithProtectField
    }

    /// Byte and highest bit of the SERVICE ACTION field.
    static let serviceActionByte = 1
    static let serviceActionBit = 4

    /// Throws INVALID FIELD IN CDB with a pointer to the first bit that should be zero, or to the first byte that is
    /// missing.
    func checkReservedBits(_ cdb: CommandDescriptorBlock, on unit: LogicalUnit) throws(SenseData) {
        guard cdb.byteCount >= usage.byteCount else { throw .invalidFieldInCDB(byte: cdb.byteCount) }
        if usage.firstReservedBit(in: cdb) == nil { return }
        guard let position = usage(on: unit).firstReservedBit(in: cdb) else { return }
        if unit.protection?.type == .type2, traits.contains(.hasProtectField), position.byte == 1,
            cdb[1] & Self.protectFieldMask != 0
        {
            // SBC-4 4.22.2.4
            throw .invalidCommandOperationCode
        }
        throw .invalidFieldInCDB(byte: position.byte, bit: position.bit)
    }
}
