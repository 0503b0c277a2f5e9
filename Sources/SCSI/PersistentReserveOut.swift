// SPDX-License-Identifier: Apache-2.0

/// SERVICE ACTION of PERSISTENT RESERVE OUT (SPC-4 6.16.2).
public enum PersistentReserveOutServiceAction: UInt8, Sendable, CaseIterable {
    case register = 0x00
    case reserve = 0x01
    case release = 0x02
    case clear = 0x03
    case preempt = 0x04
    case preemptAndAbort = 0x05
    case registerAndIgnoreExistingKey = 0x06
    case registerAndMove = 0x07
    case replaceLostReservation = 0x08
}

/// The CDB of PERSISTENT RESERVE OUT (SPC-4 6.16.1).
public struct PersistentReserveOutRequest: Equatable, Sendable {
    /// SCOPE: only 0h, the logical unit, is defined.
    public var scope: UInt8
    /// TYPE; nil for values that are reserved.
    public var type: ReservationType?
    /// PARAMETER LIST LENGTH, bytes.
    public var parameterListLength: UInt32

    public init(_ cdb: CommandDescriptorBlock) {
        scope = cdb[2] >> 4
        type = ReservationType(rawValue: cdb[2] & 0x0F)
        parameterListLength = cdb.uint32(at: 5)
    }

    /// The type, for service actions that use it. Throws INVALID FIELD IN CDB for another scope, or a reserved type.
    public func checkedType() throws(SenseData) -> ReservationType {
        guard scope == 0 else { throw .invalidFieldInCDB(byte: 2, bit: 7) }
        guard let type else { throw .invalidFieldInCDB(byte: 2, bit: 3) }
        return type
    }
}

/// The parameter list of all service actions but REGISTER AND MOVE (SPC-4 6.16.3).
public struct PersistentReserveOutParameterList: Equatable, Sendable {
    /// RESERVATION KEY
    public var key: UInt64
    /// SERVICE ACTION RESERVATION KEY
    public var serviceActionKey: UInt64
    /// ALL_TG_PT
    public var isForAllTargetPorts: Bool
    /// APTPL
    public var persistsThroughPowerLoss: Bool
    /// With SPEC_I_PT: the initiator ports to register besides the one that sent the command.
    public var initiatorPorts: [TransportID]?
    /// Where in the list each of them begins, bytes.
    public private(set) var initiatorPortOffsets: [Int] = []

    /// Bytes of the list without TransportIDs.
    public static let byteCount = 24
    /// TransportIDs that one list may hold; more are refused with INSUFFICIENT REGISTRATION RESOURCES.
    public static let maximumTransportIDCount = 128
    /// Bytes of the longest list that can hold so many.
    public static let maximumByteCount = transportIDsOffset + maximumTransportIDCount * TransportID.maximumByteCount

    private static let flagsOffset = 20
    private static let transportIDsLengthOffset = 24
    private static let transportIDsOffset = 28

    /// Reads the list in `bytes`, all of PARAMETER LIST LENGTH bytes.
    ///
    /// Throws PARAMETER LIST LENGTH ERROR when it is not 24 bytes long, or with SPEC_I_PT not as long as it says;
    /// INVALID FIELD IN PARAMETER LIST for SPEC_I_PT outside REGISTER, and for a bad TransportID.
    public init(
        _ bytes: RawSpan, serviceAction: PersistentReserveOutServiceAction
    ) throws(SenseData) {
        guard bytes.byteCount >= Self.byteCount else { throw .parameterListLengthError }
        let flags = bytes.uint8(at: Self.flagsOffset)
        key = bytes.uint64(at: 0)
        serviceActionKey = bytes.uint64(at: 8)
        isForAllTargetPorts = flags & 0x04 != 0
        persistsThroughPowerLoss = flags & 0x01 != 0
        let specifiesInitiatorPorts = flags & 0x08 != 0
        guard specifiesInitiatorPorts else {
            guard bytes.byteCount == Self.byteCount else { throw .parameterListLengthError }
            initiatorPorts = nil
            return
        }
        guard serviceAction == .register else {
            throw .invalidFieldInParameterList(byte: Self.flagsOffset, bit: 3)
        }
        (initiatorPorts, initiatorPortOffsets) = try Self.readTransportIDs(bytes)
    }

    private static func readTransportIDs(_ bytes: RawSpan) throws(SenseData) -> ([TransportID], offsets: [Int]) {
        guard bytes.byteCount >= transportIDsOffset,
            bytes.byteCount - transportIDsOffset == Int(bytes.uint32(at: transportIDsLengthOffset))
        else { throw .parameterListLengthError }
        var identifiers: [TransportID] = []
        var offsets: [Int] = []
        var offset = transportIDsOffset
        while offset < bytes.byteCount {
            guard identifiers.count < maximumTransportIDCount else { throw .insufficientRegistrationResources }
            let (identifier, byteCount) = try TransportID.read(from: bytes, at: offset)
            identifiers.append(identifier)
            offsets.append(offset)
            offset += byteCount
        }
        return (identifiers, offsets)
    }
}

/// The parameter list of REGISTER AND MOVE (SPC-4 6.16.4).
public struct RegisterAndMoveParameterList: Equatable, Sendable {
    /// RESERVATION KEY
    public var key: UInt64
    /// SERVICE ACTION RESERVATION KEY: the new holder's.
    public var serviceActionKey: UInt64
    /// UNREG: the sender loses its registration.
    public var unregisters: Bool
    /// APTPL
    public var persistsThroughPowerLoss: Bool
    /// RELATIVE TARGET PORT IDENTIFIER of the new holder's I_T nexus.
    public var relativeTargetPort: UInt16
    public var initiatorPort: TransportID

    public static let transportIDOffset = 24

    /// Reads the list in `bytes`, all of PARAMETER LIST LENGTH bytes.
    ///
    /// Throws PARAMETER LIST LENGTH ERROR when it is not as long as it says; INVALID FIELD IN PARAMETER LIST for a
    /// bad TransportID.
    public init(_ bytes: RawSpan) throws(SenseData) {
        guard bytes.byteCount >= Self.transportIDOffset,
            bytes.byteCount - Self.transportIDOffset == Int(bytes.uint32(at: 20))
        else { throw .parameterListLengthError }
        key = bytes.uint64(at: 0)
        serviceActionKey = bytes.uint64(at: 8)
        unregisters = bytes.uint8(at: 17) & 0x02 != 0
        persistsThroughPowerLoss = bytes.uint8(at: 17) & 0x01 != 0
        relativeTargetPort = bytes.uint16(at: 18)
        let byteCount: Int
        (initiatorPort, byteCount) = try TransportID.read(from: bytes, at: Self.transportIDOffset)
        guard bytes.byteCount == Self.transportIDOffset + byteCount else { throw .parameterListLengthError }
    }
}
