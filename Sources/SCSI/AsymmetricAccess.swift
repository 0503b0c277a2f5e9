// SPDX-License-Identifier: Apache-2.0

/// ASYMMETRIC ACCESS STATE of a target port group for a logical unit (SPC-4 5.11.2.1, table 308).
public enum AsymmetricAccessState: UInt8, Sendable, CaseIterable {
    case activeOptimized = 0x0
    case activeNonOptimized = 0x1
    case standby = 0x2
    case unavailable = 0x3
    case logicalBlockDependent = 0x4
    case offline = 0xE
    case transitioning = 0xF

    /// Every command runs through ports of the group.
    public var isActive: Bool { self == .activeOptimized || self == .activeNonOptimized }

    /// With what a command ends that the state does not let run (SPC-4 5.11.2.4); nil: all of them run.
    public var refusal: SenseData? {
        switch self {
        case .activeOptimized, .activeNonOptimized, .logicalBlockDependent: nil
        case .standby: .targetPortInStandbyState
        case .unavailable, .offline: .targetPortInUnavailableState
        case .transitioning: .asymmetricAccessStateTransition
        }
    }
}

/// One target port group as REPORT TARGET PORT GROUPS describes it (SPC-4 6.37, table 307).
public struct TargetPortGroupDescriptor: Equatable, Sendable {
    /// STATUS CODE: what brought the state about.
    public enum StatusCode: UInt8, Sendable {
        case none = 0
        case setTargetPortGroups = 1
        case implicitBehavior = 2
    }

    /// TARGET PORT GROUP.
    public var number: UInt16
    public var state: AsymmetricAccessState
    /// PREF
    public var isPreferred: Bool
    public var statusCode: StatusCode
    /// RELATIVE TARGET PORT IDENTIFIER of each port; TARGET PORT COUNT is one byte, and what it cannot count is left out.
    public var ports: [UInt16]

    public init(
        number: UInt16, state: AsymmetricAccessState, isPreferred: Bool = false, statusCode: StatusCode = .none,
        ports: [UInt16]
    ) {
        self.number = number
        self.state = state
        self.isPreferred = isPreferred
        self.statusCode = statusCode
        self.ports = ports
    }

    private static let maximumPortCount = 255
    /// T_SUP, U_SUP, S_SUP, AN_SUP, AO_SUP.
    private static let supportedStates: UInt8 = 0x8F

    func write(to writer: inout ParameterDataWriter) {
        let ports = ports.prefix(Self.maximumPortCount)
        writer.append(.bit(isPreferred, 7) | state.rawValue)
        writer.append(Self.supportedStates)
        writer.append(number)
        writer.append(UInt8(0))
        writer.append(statusCode.rawValue)
        writer.append(UInt8(0))  // vendor specific
        writer.append(UInt8(ports.count))
        for port in ports {
            writer.appendZeroes(2)
            writer.append(port)
        }
    }
}

/// Parameter data of REPORT TARGET PORT GROUPS.
public struct TargetPortGroupsData: Equatable, Sendable {
    /// PARAMETER DATA FORMAT of the CDB.
    public enum Format: UInt8, Sendable {
        /// Four bytes of RETURN DATA LENGTH, then the descriptors.
        case lengthOnly = 0
        /// Eight bytes: FORMAT TYPE and IMPLICIT TRANSITION TIME as well.
        case extended = 1
    }

    public var groups: [TargetPortGroupDescriptor]
    /// IMPLICIT TRANSITION TIME, seconds; zero does not tell.
    public var implicitTransitionSeconds: UInt8 = 0

    public init(groups: [TargetPortGroupDescriptor]) {
        self.groups = groups
    }

    public func write(_ format: Format, to writer: inout ParameterDataWriter) {
        let length = writer.reserveLength(.fourBytes)
        if format == .extended {
            writer.append(Format.extended.rawValue << 4)  // FORMAT TYPE
            writer.append(implicitTransitionSeconds)
            writer.appendZeroes(2)
        }
        for group in groups { group.write(to: &writer) }
        writer.fill(length)
    }
}

/// The parameter list of SET TARGET PORT GROUPS (SPC-4 6.45): four bytes, then four for each descriptor.
public struct SetTargetPortGroupsList: Equatable, Sendable {
    public struct Descriptor: Equatable, Sendable {
        public var state: AsymmetricAccessState
        public var group: UInt16
        /// Where the descriptor begins in the list.
        public var offset: Int
    }

    public var descriptors: [Descriptor] = []

    private static let headerByteCount = 4
    private static let descriptorByteCount = 4
    private static let stateBit = 3
    /// Bytes from the start of a descriptor.
    public static let groupOffset = 2

    /// Throws PARAMETER LIST LENGTH ERROR for a list that is cut off, and INVALID FIELD IN PARAMETER LIST, pointing at
    /// the field, for reserved bits, for a state that cannot be asked for (TRANSITIONING, and the states OFFLINE and
    /// LOGICAL BLOCK DEPENDENT, which no port here has), and for a group that stands there twice.
    public init(_ list: RawSpan) throws(SenseData) {
        guard list.byteCount > 0 else { return }
        guard list.byteCount >= Self.headerByteCount,
            (list.byteCount - Self.headerByteCount) % Self.descriptorByteCount == 0
        else { throw .parameterListLengthError }
        for index in 0..<Self.headerByteCount where list.uint8(at: index) != 0 {
            throw .invalidFieldInParameterList(byte: index)
        }
        var offset = Self.headerByteCount
        while offset < list.byteCount {
            let first = list.uint8(at: offset)
            guard first & 0xF0 == 0 else { throw .invalidFieldInParameterList(byte: offset, bit: 7) }
            guard let state = AsymmetricAccessState(rawValue: first), state.canBeAskedFor else {
                throw .invalidFieldInParameterList(byte: offset, bit: Self.stateBit)
            }
            guard list.uint8(at: offset + 1) == 0 else { throw .invalidFieldInParameterList(byte: offset + 1) }
            let group = list.uint16(at: offset + Self.groupOffset)
            guard !descriptors.contains(where: { $0.group == group }) else {
                throw .invalidFieldInParameterList(byte: offset + Self.groupOffset)
            }
            descriptors.append(Descriptor(state: state, group: group, offset: offset))
            offset += Self.descriptorByteCount
        }
    }
}

extension AsymmetricAccessState {
    /// A state that SET TARGET PORT GROUPS may name here.
    fileprivate var canBeAskedFor: Bool {
        switch self {
        case .activeOptimized, .activeNonOptimized, .standby, .unavailable: true
        case .logicalBlockDependent, .offline, .transitioning: false
        }
    }
}
