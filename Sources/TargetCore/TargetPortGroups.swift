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

/// A target port through which a logical unit is reached.
struct TargetPortDescription: Sendable, Equatable {
    var relativeIdentifier: UInt16
    var name: String
    var group: UInt16
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

    /// Changed by `TargetPortGroups` alone.
    fileprivate(set) var state: AsymmetricAccessState {
        get { AsymmetricAccessState(rawValue: stateCode.load(ordering: .acquiring)) ?? .activeOptimized }
        set { stateCode.store(newValue.rawValue, ordering: .releasing) }
    }
}

/// The target ports of a logical unit, their groups, and the groups' asymmetric access states (SPC-4 5.11).
///
/// Ports come with their targets. Each logical unit has states of its own.
final class TargetPortGroups: Sendable {
    private struct Member {
        let group: TargetPortGroup
        var statusCode = TargetPortGroupDescriptor.StatusCode.none
        /// Ascending by relative identifier.
        var ports: [TargetPortDescription] = []
    }

    let options: AsymmetricAccessOptions
    private let conditions: UnitConditions
    /// By number.
    private let members = Mutex<[UInt16: Member]>([:])

    init(_ options: AsymmetricAccessOptions, conditions: UnitConditions) {
        self.options = options
        self.conditions = conditions
    }

    var isReported: Bool { options.support != .none }

    var canBeSet: Bool { options.support == .explicit || options.support == .implicitAndExplicit }

    /// A target has the unit: its port leads there. The same relative identifier again is the same port.
    func join(_ port: TargetPortDescription) {
        members.withLock { members in
            for number in members.keys {
                members[number]?.ports.removeAll { $0.relativeIdentifier == port.relativeIdentifier }
            }
            var member =
                members[port.group]
                ?? Member(group: TargetPortGroup(number: port.group, options.groups[port.group] ?? .init()))
            let place = member.ports.firstIndex { $0.relativeIdentifier > port.relativeIdentifier }
            member.ports.insert(port, at: place ?? member.ports.count)
            members[port.group] = member
            members = members.filter { !$0.value.ports.isEmpty }
            noteConditions(members)
        }
    }

    func group(_ number: UInt16) -> TargetPortGroup? { members.withLock { $0[number]?.group } }

    /// All ports, by relative identifier.
    var ports: [TargetPortDescription] {
        members.withLock { members in
            members.values.flatMap(\.ports).sorted { $0.relativeIdentifier < $1.relativeIdentifier }
        }
    }

    /// All groups, by number.
    var descriptors: [TargetPortGroupDescriptor] {
        members.withLock { members in
            members.values.sorted { $0.group.number < $1.group.number }.map { member in
                TargetPortGroupDescriptor(
                    number: member.group.number, state: member.group.state, isPreferred: member.group.isPreferred,
                    statusCode: member.statusCode, ports: member.ports.map(\.relativeIdentifier))
            }
        }
    }

    /// What became of a change of states.
    enum Change {
        case made, nothingNew
        case noSuchGroup(index: Int)
        /// A group is between two states by the operator's will.
        case transitioning
    }

    /// Gives the groups their states, all or none.
    func set(
        _ wanted: [(group: UInt16, state: AsymmetricAccessState)], by code: TargetPortGroupDescriptor.StatusCode
    ) -> Change {
        members.withLock { members in
            for (index, each) in wanted.enumerated() {
                guard let member = members[each.group] else { return .noSuchGroup(index: index) }
                if code == .setTargetPortGroups, member.group.state == .transitioning { return .transitioning }
            }
            var hasChanged = false
            for each in wanted {
                guard let group = members[each.group]?.group, group.state != each.state else { continue }
                group.state = each.state
                members[each.group]?.statusCode = code
                hasChanged = true
            }
            noteConditions(members)
            return hasChanged ? .made : .nothingNew
        }
    }

    private func noteConditions(_ members: [UInt16: Member]) {
        conditions.set(.asymmetric, members.values.contains { !$0.group.state.isActive })
    }
}

extension LogicalUnit {
    /// An operator gives a target port group another state (implicit, as initiators see it). False when the unit has
    /// no port in the group, or tells nobody of groups. From any thread.
    public func setAccessState(of group: UInt16, to state: AsymmetricAccessState) -> Bool {
        guard portGroups.isReported else { return false }
        switch portGroups.set([(group, state)], by: .implicitBehavior) {
        case .made:
            post(.asymmetricAccessStateChanged)
            return true
        case .nothingNew: return true
        case .noSuchGroup, .transitioning: return false
        }
    }

    /// The target port groups as initiators are told of them; empty where they are not.
    public var targetPortGroups: [TargetPortGroupDescriptor] { portGroups.isReported ? portGroups.descriptors : [] }
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
