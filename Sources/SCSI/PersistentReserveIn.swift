// SPDX-License-Identifier: Apache-2.0

/// TYPE of a persistent reservation (SPC-4 6.15.3).
public enum ReservationType: UInt8, Sendable, CaseIterable {
    case writeExclusive = 0x1
    case exclusiveAccess = 0x3
    case writeExclusiveRegistrantsOnly = 0x5
    case exclusiveAccessRegistrantsOnly = 0x6
    case writeExclusiveAllRegistrants = 0x7
    case exclusiveAccessAllRegistrants = 0x8

    /// Others may not even read.
    public var isExclusiveAccess: Bool {
        switch self {
        case .exclusiveAccess, .exclusiveAccessRegistrantsOnly, .exclusiveAccessAllRegistrants: true
        case .writeExclusive, .writeExclusiveRegistrantsOnly, .writeExclusiveAllRegistrants: false
        }
    }

    /// Every registered I_T nexus is a holder.
    public var isAllRegistrants: Bool {
        self == .writeExclusiveAllRegistrants || self == .exclusiveAccessAllRegistrants
    }

    /// Registered I_T nexuses have access whether or not they hold the reservation.
    public var admitsRegistrants: Bool { self != .writeExclusive && self != .exclusiveAccess }

    /// Its bit in the PERSISTENT RESERVATION TYPE MASK: the low byte is byte 5 of the parameter data.
    fileprivate var maskBit: UInt16 {
        self == .exclusiveAccessAllRegistrants ? 0x0001 : 0x0100 << UInt16(rawValue)
    }
}

/// SERVICE ACTION of PERSISTENT RESERVE IN (SPC-4 6.15).
public enum PersistentReserveInServiceAction: UInt8, Sendable {
    case readKeys = 0x00
    case readReservation = 0x01
    case reportCapabilities = 0x02
    case readFullStatus = 0x03
}

/// One registered I_T nexus, as READ FULL STATUS describes it (SPC-4 6.15.5).
public struct RegistrationStatus: Equatable, Sendable {
    public var key: UInt64
    /// ALL_TG_PT: registered through all target ports.
    public var isForAllTargetPorts = false
    /// R_HOLDER with SCOPE and TYPE; nil where the nexus holds no reservation.
    public var held: ReservationType?
    public var relativeTargetPort: UInt16
    public var initiatorPort: TransportID

    public init(
        key: UInt64, held: ReservationType? = nil, relativeTargetPort: UInt16, initiatorPort: TransportID,
        isForAllTargetPorts: Bool = false
    ) {
        self.key = key
        self.held = held
        self.relativeTargetPort = relativeTargetPort
        self.initiatorPort = initiatorPort
        self.isForAllTargetPorts = isForAllTargetPorts
    }
}

/// What REPORT CAPABILITIES says (SPC-4 6.15.4).
public struct ReservationCapabilities: Equatable, Sendable {
    /// CRH: RESERVE and RELEASE of registrants end as SPC-4 5.13.3 says, instead of with a conflict.
    public var handlesCompatibleReservation = false
    /// SIP_C: SPEC_I_PT.
    public var canSpecifyInitiatorPorts = false
    /// ATP_C: ALL_TG_PT.
    public var canSpecifyAllTargetPorts = false
    /// PTPL_C: reservations can survive power loss.
    public var canPersistThroughPowerLoss = false
    /// PTPL_A: they do so now.
    public var isPersistingThroughPowerLoss = false
    public var types = ReservationType.allCases

    public init() {}
}

/// Parameter data of PERSISTENT RESERVE IN.
public struct PersistentReserveInData: Equatable, Sendable {
    /// PRGENERATION
    public var generation: UInt32

    public init(generation: UInt32) {
        self.generation = generation
    }

    /// READ KEYS: eight bytes, then the keys.
    public func write(keys: [UInt64], to writer: inout ParameterDataWriter) {
        let length = beginList(&writer)
        for key in keys { writer.append(key) }
        writer.fill(length)
    }

    /// READ RESERVATION: eight bytes, then 16 more where there is a reservation. `key` is the holder's, or zero with
    /// an all registrants type.
    public func write(reservation: (key: UInt64, type: ReservationType)?, to writer: inout ParameterDataWriter) {
        let length = beginList(&writer)
        if let reservation {
            writer.append(reservation.key)
            writer.appendZeroes(5)
            writer.append(reservation.type.rawValue)  // SCOPE 0h: the logical unit
            writer.appendZeroes(2)
        }
        writer.fill(length)
    }

    /// READ FULL STATUS: eight bytes, then a descriptor for each registered I_T nexus.
    public func write(fullStatus: [RegistrationStatus], to writer: inout ParameterDataWriter) {
        let length = beginList(&writer)
        for status in fullStatus {
            writer.append(status.key)
            writer.appendZeroes(4)
            writer.append(.bit(status.isForAllTargetPorts, 1) | .bit(status.held != nil, 0))
            writer.append(status.held?.rawValue ?? 0)
            writer.appendZeroes(4)
            writer.append(status.relativeTargetPort)
            let additionalLength = writer.reserveLength(.fourBytes)
            status.initiatorPort.write(to: &writer)
            writer.fill(additionalLength)
        }
        writer.fill(length)
    }

    private func beginList(_ writer: inout ParameterDataWriter) -> ParameterDataWriter.LengthField {
        writer.append(generation)
        return writer.reserveLength(.fourBytes)
    }
}

extension ReservationCapabilities {
    public static let byteCount: UInt16 = 8

    /// TMV. ALLOW COMMANDS stays zero: nothing is told of commands that a reservation lets pass.
    private static let typeMaskValid: UInt8 = 0x80

    /// REPORT CAPABILITIES.
    public func write(to writer: inout ParameterDataWriter) {
        writer.append(Self.byteCount)
        writer.append(
            .bit(handlesCompatibleReservation, 4) | .bit(canSpecifyInitiatorPorts, 3)
                | .bit(canSpecifyAllTargetPorts, 2) | .bit(canPersistThroughPowerLoss, 0))
        writer.append(Self.typeMaskValid | .bit(isPersistingThroughPowerLoss, 0))
        writer.append(types.reduce(UInt16(0)) { $0 | $1.maskBit })
        writer.appendZeroes(2)
    }
}
