// SPDX-License-Identifier: Apache-2.0

/// Where one loop is to run and to have its memory.
public struct LoopPlacement: Equatable, Sendable {
    /// Where memory comes from.
    public enum Memory: Equatable, Sendable {
        /// Wherever the kernel takes it from: the node that the thread runs on at the moment.
        case anywhere
        /// From this node as long as it has any.
        case preferred(node: Int)
        /// From this node and no other.
        case bound(node: Int)
    }

    /// The node that the processors are on; nil when that is open.
    public var node: Int?
    /// What the loop's thread is to be kept on; empty: it is not.
    public var processors = ProcessorSet()
    public var memory = Memory.anywhere

    public init() {}

    public var isPinned: Bool { !processors.isEmpty }
}

/// Places for all loops of a server: a function of what the machine has, of what the process may use and of what was
/// asked for.
public struct PlacementPlan: Equatable, Sendable {
    /// By the loops' numbers.
    public var loops: [LoopPlacement]
    /// Nodes with processors that may be used.
    public var usableNodeCount = 0
    public var isMemoryPlaced = false

    /// Whether threads have anything to do for it.
    public var placesAnything: Bool { loops.contains { $0 != LoopPlacement() } }

    /// Loops go to the nodes by the number of their processors, the next to where they are sparsest. `allowed`: the
    /// processors that the process may use. Errors are sentences for the operator.
    public static func make(
        topology: Topology, allowed: ProcessorSet, loopCount: Int, settings: PlacementSettings
    ) throws(PlacementError) -> PlacementPlan {
        let usable = try usable(allowed, settings.pinning)
        var groups = topology.nodes.map { node in
            Group(
                node: node.number, processors: node.processors.intersection(usable),
                hasMemory: node.memoryByteCount != 0)
        }.filter { !$0.processors.isEmpty }
        let isMemoryPlaced = settings.numa != .off && groups.count > 1
        var plan = PlacementPlan(loops: [], usableNodeCount: groups.count, isMemoryPlaced: isMemoryPlaced)
        guard isMemoryPlaced || settings.pinning != .no else {
            plan.loops = Array(repeating: LoopPlacement(), count: loopCount)
            return plan
        }
        // Processors that no node owns up to are used as well.
        if groups.isEmpty { groups = [Group(node: nil, processors: usable, hasMemory: true)] }
        if isMemoryPlaced, settings.numa == .strict, let group = groups.first(where: { !$0.hasMemory }) {
            throw PlacementError(
                "node \(group.node ?? 0) has processors and no memory, so that numa: strict cannot be had: write auto, or "
                    + "leave its processors out with pin")
        }
        for _ in 0..<loopCount {
            let index = sparsest(groups)
            var loop = LoopPlacement()
            loop.node = groups[index].node
            loop.processors = settings.pinning == .no ? groups[index].processors : groups[index].nextProcessor
            if isMemoryPlaced, groups[index].hasMemory, let node = loop.node {
                loop.memory = settings.numa == .strict ? .bound(node: node) : .preferred(node: node)
            }
            groups[index].loopCount += 1
            plan.loops.append(loop)
        }
        return plan
    }

    /// The processors of one node that may be used.
    private struct Group {
        let node: Int?
        let processors: ProcessorSet
        let hasMemory: Bool
        var loopCount = 0

        init(node: Int?, processors: ProcessorSet, hasMemory: Bool) {
            self.node = node
            self.processors = processors
            self.hasMemory = hasMemory
        }

        /// One after the other, and again from the first.
        var nextProcessor: ProcessorSet {
            let numbers = processors.numbers
            return ProcessorSet([numbers[loopCount % numbers.count]])
        }
    }

    private static func usable(_ allowed: ProcessorSet, _ pinning: Pinning) throws(PlacementError) -> ProcessorSet {
        guard case .processors(let wanted) = pinning else { return allowed }
        let missing = wanted.subtracting(allowed)
        guard missing.isEmpty else {
            throw PlacementError(
                "pin names \(missing.count == 1 ? "processor" : "processors") \(missing), which this process cannot use: it "
                    + "has \(allowed)")
        }
        return wanted
    }

    /// The group that has the fewest loops for each processor once it has one more; the first of several.
    private static func sparsest(_ groups: [Group]) -> Int {
        groups.indices.min { left, right in
            (groups[left].loopCount + 1) * groups[right].processors.count
                < (groups[right].loopCount + 1) * groups[left].processors.count
        } ?? 0
    }
}

/// Why loops cannot be placed as it was asked for.
public struct PlacementError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}
