// SPDX-License-Identifier: Apache-2.0

public import SCSI
import Synchronization

/// What an operator says of asymmetric logical unit access.
public struct AsymmetricAccessOptions: Sendable, Equatable {
    public struct Group: Sendable, Equatable {
        /// At first, and again when the server starts anew.
        public var state: AsymmetricAccessState
        /// PREF
        public var isPreferred: Bool

        public init(state: AsymmetricAccessState = .activeOptimized, isPreferred: Bool = false) {
            self.state = state
            self.isPreferred = isPreferred
        }
    }

    /// TPGS: who changes the states of groups: the server, initiators by SET TARGET PORT GROUPS, or both.
    public var support = StandardInquiryData.TargetPortGroupSupport.none
    /// By target port group. Those that are not named are active/optimized.
    public var groups: [UInt16: Group] = [:]

    public init() {}
}

/// One target port group of a logical unit: its state is looked at for each command while some group is not active.
final class TargetPortGroup: Sendable {
    let number: UInt16
    let isPreferred: Bool
    private let stateCode: Atomic<UInt8>

    init(number: UInt16, _ options: AsymmetricAccessOptions.Group) {
        self.number = number
        isPreferred = options.isPreferred
        stateCode = Atomic(options.state.rawValue)
    }

    /// Changed by `UnitPorts` alone.
    var state: AsymmetricAccessState {
        get { AsymmetricAccessState(rawValue: stateCode.load(ordering: .acquiring)) ?? .activeOptimized }
        set { stateCode.store(newValue.rawValue, ordering: .releasing) }
    }
}

extension LogicalUnit {
    /// An operator gives a target port group another state (implicit, as initiators see it). False when the unit has
    /// no port in the group, or tells nobody of groups. From any thread.
    public func setAccessState(of group: UInt16, to state: AsymmetricAccessState) -> Bool {
        guard ports.isReported else { return false }
        switch ports.set([(group, state)], by: .implicitBehavior) {
        case .made:
            post(.asymmetricAccessStateChanged)
            return true
        case .nothingNew: return true
        case .noSuchGroup, .transitioning: return false
        }
    }

    /// The target port groups as initiators are told of them; empty where they are not.
    public var targetPortGroups: [TargetPortGroupDescriptor] { ports.isReported ? ports.descriptors : [] }
}

extension NexusUnit {
    /// Throws with what `cdb` ends in the present state of the target port group that it came through. Asked while
    /// some group of the unit is not active.
    func checkAccessState(_ cdb: CommandDescriptorBlock) throws(SenseData) {
        guard let state = portGroup?.state, let refusal = state.refusal else { return }
        guard Self.runs(cdb, in: state) else { throw refusal }
    }

    /// The commands that a state leaves: SPC-4 5.11.2.4.4 (standby), 5.11.2.4.5 (unavailable) and 5.11.2.5
    /// (transitions between states). In standby, where a device server may do more, so do the reports and READ
    /// CAPACITY, without which an initiator takes the path for one to another disk.
    private static func runs(_ cdb: CommandDescriptorBlock, in state: AsymmetricAccessState) -> Bool {
        switch OperationCode(rawValue: cdb.opcode) {
        case .inquiry, .reportLUNs, .requestSense:
            return true
        case .maintenanceIn:
            return state == .standby
                || cdb.serviceAction == UInt16(ServiceAction.MaintenanceIn.reportTargetPortGroups.rawValue)
        case .maintenanceOut:
            return state != .transitioning
                && cdb.serviceAction == UInt16(ServiceAction.MaintenanceOut.setTargetPortGroups.rawValue)
        case .readBuffer10, .readBuffer16, .writeBuffer:
            return BufferMode(cdb)?.isEcho == true
        case .logSelect, .logSense, .modeSelect6, .modeSelect10, .modeSense6, .modeSense10, .sendDiagnostic,
            .receiveDiagnosticResults, .persistentReserveIn, .persistentReserveOut, .readCapacity10:
            return state == .standby
        case .serviceActionIn16:
            return state == .standby && cdb.serviceAction == UInt16(ServiceAction.In16.readCapacity16.rawValue)
        default:
            return false
        }
    }
}
