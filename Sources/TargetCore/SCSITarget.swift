// SPDX-License-Identifier: Apache-2.0

import SCSI
import Synchronization

/// A SCSI target device: a name, target ports, and logical units by number.
///
/// Its own map is what a nexus sees that is given no other. The transport tells those that are there of a new one, each
/// on its loop (`ITNexus.change`).
public final class SCSITarget: Sendable {
    /// SCSI device name; with iSCSI the IQN.
    public let name: String
    /// One at least. The first is that of nexuses that are not told theirs.
    public let ports: [TargetPortDescription]
    /// Whether a new I_T nexus finds POWER ON, RESET, OR BUS DEVICE RESET OCCURRED pending, as SAM-5 6.2 asks.
    public let postsPowerOnAttention: Bool

    let absentUnit: LogicalUnit
    private let state: Mutex<State>

    private struct State {
        var map: LUNMap
        /// Units to which the ports lead by some map.
        var reached: [ObjectIdentifier: LogicalUnit] = [:]
    }

    /// `ports`: with relative identifiers that no other target with some unit of these has.
    public init(name: String, map: LUNMap, ports: [TargetPortDescription], postsPowerOnAttention: Bool = true) {
        precondition(!ports.isEmpty, "a target without a port")
        self.name = name
        self.ports = ports
        self.postsPowerOnAttention = postsPowerOnAttention
        state = Mutex(State(map: map))
        absentUnit = LogicalUnit(device: AbsentDevice(), identity: LogicalUnitIdentity(serial: name))
        leads(to: map)
    }

    /// A target of one port, whose units may be written by all.
    public convenience init(
        name: String, luns: [Int: LogicalUnit], relativePortIdentifier: UInt16 = 1, portName: String? = nil,
        portGroup: UInt16 = 1, postsPowerOnAttention: Bool = true
    ) {
        let port = TargetPortDescription(
            relativeIdentifier: relativePortIdentifier, name: portName ?? name, group: portGroup)
        self.init(name: name, map: LUNMap(luns), ports: [port], postsPowerOnAttention: postsPowerOnAttention)
    }

    public func port(named name: String) -> TargetPortDescription? { ports.first { $0.name == name } }

    // MARK: - Logical units

    /// What a nexus sees that is given no map of its own. From any thread.
    public var map: LUNMap { state.withLock { $0.map } }

    /// Another map of the target's own, for nexuses to come. `others`: all maps besides that nexuses may be given. The
    /// target's ports lead to the units of these and to no others from now on. From any thread.
    public func replaceMap(_ map: LUNMap, others: [LUNMap] = []) {
        state.withLock { state in
            state.map = map
            let reached = ([map] + others).reduce(into: [:]) { $0.merge($1.units) { first, _ in first } }
            for (identifier, unit) in state.reached where reached[identifier] == nil { unit.isLeft(by: name) }
            for (identifier, unit) in reached where state.reached[identifier] == nil {
                unit.isReached(through: ports, of: name)
            }
            state.reached = reached
        }
    }

    /// Some nexus is about to see the units of `map`.
    func leads(to map: LUNMap) {
        let units = map.units
        state.withLock { state in
            for (identifier, unit) in units where state.reached.updateValue(unit, forKey: identifier) == nil {
                unit.isReached(through: ports, of: name)
            }
        }
    }
}

/// Behind the numbers that name no logical unit. No command of such a number reaches a store.
private final class AbsentDevice: BlockDevice {
    let blockByteCount = 512
    let blockCount: UInt64 = 0
    let features = BlockDeviceFeatures()

    func submit(_ request: BlockRequest) {
        request.complete(.failed(.checkCondition, .logicalUnitNotSupported))
    }

    func submissionsEnded() {}
}
