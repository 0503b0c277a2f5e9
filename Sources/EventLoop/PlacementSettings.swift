// SPDX-License-Identifier: Apache-2.0

/// Whether loops and their memory stay on one NUMA node.
public enum NUMAMode: String, CaseIterable, Sendable {
    case off
    /// Where there is more than one node; what the kernel refuses is told and done without.
    case auto
    /// The same, but what the kernel refuses is an error.
    case strict
}

/// Whether each loop has a processor of its own.
public enum Pinning: Equatable, Sendable {
    case no
    case yes
    /// One of these each, in turn.
    case processors(ProcessorSet)
}

/// Where loops are to run and to have their memory.
public struct PlacementSettings: Equatable, Sendable {
    public static let defaultNUMA = NUMAMode.off

    public var numa = defaultNUMA
    public var pinning = Pinning.no
    /// Where the machine tells what it has.
    public var systemRoot = Topology.systemRoot

    public init() {}

    /// Whether anything at all is to be placed.
    public var isWanted: Bool { numa != .off || pinning != .no }
}
