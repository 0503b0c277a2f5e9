// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// A target port of a SCSI target device.
public struct TargetPortDescription: Sendable, Equatable {
    /// RELATIVE TARGET PORT IDENTIFIER (SPC-4 4.3.4): from 1. No two ports that lead to one logical unit share it.
    public var relativeIdentifier: UInt16
    /// SCSI port name; with iSCSI `iqn,t,0xTPGT`.
    public var name: String
    /// TARGET PORT GROUP (SPC-4 5.11): from 1.
    public var group: UInt16

    public init(relativeIdentifier: UInt16, name: String, group: UInt16 = 1) {
        self.relativeIdentifier = relativeIdentifier
        self.name = name
        self.group = group
    }
}

/// The target ports that lead to a logical unit, their groups, and the groups' asymmetric access states (SPC-4 5.11).
///
/// Ports come and go with the targets that have the unit. Each logical unit has states of its own; a group whose ports
/// have gone keeps its state for when one comes again.
final class UnitPorts: Sendable {
    /// A target port by what does not change with a configuration's order.
    struct Name: Sendable, Hashable {
        var target: String
        /// Nil: the target's first one.
        var port: String?
    }

    private struct Port {
        let description: TargetPortDescription
        let target: String
    }

    private struct Member {
        let group: TargetPortGroup
        var statusCode = TargetPortGroupDescriptor.StatusCode.none
    }

    private struct State {
        /// By relative identifier.
        var ports: [UInt16: Port] = [:]
        /// By number.
        var groups: [UInt16: Member] = [:]
        /// Ports that registrations name, and that do not lead here, or not yet. Numbered from the top, where no
        /// configuration comes.
        var absent: [UInt16: Name] = [:]

        /// Ascending by relative identifier.
        var descriptions: [TargetPortDescription] {
            ports.values.map(\.description).sorted { $0.relativeIdentifier < $1.relativeIdentifier }
        }

        /// The group of this number, when some port is in it.
        func member(_ number: UInt16) -> Member? {
            ports.values.contains { $0.description.group == number } ? groups[number] : nil
        }

        mutating func numberAbsent(_ name: Name) -> UInt16 {
            var number = UInt16.max
            while ports[number] != nil || absent[number] != nil { number -= 1 }
            absent[number] = name
            return number
        }
    }

    /// A port is known by another number from now on.
    struct Renumbering: Sendable, Equatable {
        let old: UInt16
        let new: UInt16
    }

    let options: AsymmetricAccessOptions
    private let conditions: UnitConditions
    private let state = Mutex(State())

    init(_ options: AsymmetricAccessOptions, conditions: UnitConditions) {
        self.options = options
        self.conditions = conditions
    }

    // MARK: - Ports

    /// `target` has the unit: its ports lead there. A relative identifier that is known is that port anew.
    func join(_ ports: [TargetPortDescription], of target: String) -> [Renumbering] {
        state.withLock { state in
            for port in ports {
                state.ports[port.relativeIdentifier] = Port(description: port, target: target)
                guard state.groups[port.group] == nil else { continue }
                state.groups[port.group] = Member(
                    group: TargetPortGroup(number: port.group, options.groups[port.group] ?? .init()))
            }
            noteConditions(state)
            var renumberings: [Renumbering] = []
            for (old, name) in state.absent where name.target == target {
                let port = name.port == nil ? ports.first : ports.first { $0.name == name.port }
                guard let port else { continue }
                state.absent[old] = nil
                renumberings.append(Renumbering(old: old, new: port.relativeIdentifier))
            }
            return renumberings
        }
    }

    /// `target` has the unit no more. Those of its ports that registrations name, by their numbers until now, keep them
    /// under numbers that no other port can get.
    func leave(_ target: String, named: Set<UInt16>) -> [Renumbering] {
        state.withLock { state in
            let left = state.ports.filter { $0.value.target == target }
            for number in left.keys { state.ports[number] = nil }
            noteConditions(state)
            return left.filter { named.contains($0.key) }.map { number, port in
                let name = Name(target: target, port: port.description.name)
                return Renumbering(old: number, new: state.numberAbsent(name))
            }
        }
    }

    /// Ascending by relative identifier.
    var all: [TargetPortDescription] { state.withLock { $0.descriptions } }

    func isReachable(_ number: UInt16) -> Bool { state.withLock { $0.ports[number] != nil } }

    /// A port that leads here, or led here once.
    func name(of number: UInt16) -> Name {
        state.withLock { state in
            if let port = state.ports[number] { return Name(target: port.target, port: port.description.name) }
            return state.absent[number] ?? Name(target: "")
        }
    }

    /// The number of a port, whether it leads here or not.
    func number(of name: Name) -> UInt16 {
        state.withLock { state in
            let known = state.ports.filter {
                $0.value.target == name.target && ($0.value.description.name == name.port || name.port == nil)
            }
            return known.keys.min() ?? state.absent.first { $0.value == name }?.key ?? state.numberAbsent(name)
        }
    }

    // MARK: - Groups

    var isReported: Bool { options.support != .none }

    var canBeSet: Bool { options.support == .explicit || options.support == .implicitAndExplicit }

    func group(_ number: UInt16) -> TargetPortGroup? { state.withLock { $0.groups[number]?.group } }

    /// All groups with a port, by number.
    var descriptors: [TargetPortGroupDescriptor] {
        state.withLock { state in
            Dictionary(grouping: state.descriptions, by: \.group).sorted { $0.key < $1.key }.compactMap { each in
                state.groups[each.key].map { member in
                    TargetPortGroupDescriptor(
                        number: each.key, state: member.group.state, isPreferred: member.group.isPreferred,
                        statusCode: member.statusCode, ports: each.value.map(\.relativeIdentifier))
                }
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
        state.withLock { state in
            for (index, each) in wanted.enumerated() {
                guard let member = state.member(each.group) else { return .noSuchGroup(index: index) }
                if code == .setTargetPortGroups, member.group.state == .transitioning { return .transitioning }
            }
            var hasChanged = false
            for each in wanted {
                guard let group = state.groups[each.group]?.group, group.state != each.state else { continue }
                group.state = each.state
                state.groups[each.group]?.statusCode = code
                hasChanged = true
            }
            noteConditions(state)
            return hasChanged ? .made : .nothingNew
        }
    }

    /// A group without ports still has its state for a nexus that came through one and is about to go.
    private func noteConditions(_ state: State) {
        conditions.set(.asymmetric, state.groups.values.contains { !$0.group.state.isActive })
    }
}
