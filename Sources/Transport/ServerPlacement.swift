// SPDX-License-Identifier: Apache-2.0

internal import CLinux
public import EventLoop
internal import Synchronization
internal import TargetCore

/// Puts the loops of a server in their places, and knows what came of it.
final class ServerPlacement: Sendable {
    private let settings: PlacementSettings
    private let topology: Topology
    private let plan: PlacementPlan
    private let allowed: ProcessorSet
    private let refusals = Mutex<[SystemError]>([])
    private let placed: Latch

    /// Threads that have begun are placed after a few system calls.
    private static let timeoutMilliseconds: UInt64 = 10_000

    init(settings: PlacementSettings, loopCount: Int, diagnostics: Diagnostics) throws(ServerError) {
        self.settings = settings
        topology = Topology.read(root: settings.systemRoot)
        placed = Latch(count: loopCount)
        if settings.isWanted {
            for defect in topology.defects { diagnostics.report(.warning, defect) }
        }
        do throws(SystemError) {
            allowed = try ThreadPlacement.processors()
        } catch {
            guard !settings.isWanted else { throw ServerError("loops cannot be placed: \(error)") }
            allowed = ProcessorSet()
        }
        do throws(PlacementError) {
            plan = try PlacementPlan.make(
                topology: topology, allowed: allowed, loopCount: loopCount, settings: settings)
        } catch {
            throw ServerError(error.description)
        }
    }

    /// In the loop's thread, before it has any memory. Returns the place that it really has.
    func place(loop index: Int) -> LoopPlacement {
        defer { placed.countDown() }
        let wanted = plan.loops[index]
        var place = LoopPlacement()
        if wanted.isPinned {
            attempt { () throws(SystemError) in
                try ThreadPlacement.setProcessors(wanted.processors)
                place.processors = wanted.processors
                place.node = wanted.node
            }
        }
        if wanted.memory != .anywhere {
            attempt { () throws(SystemError) in
                try ThreadPlacement.setMemory(wanted.memory)
                place.memory = wanted.memory
            }
        }
        return place
    }

    private func attempt(_ body: () throws(SystemError) -> Void) {
        do throws(SystemError) {
            try body()
        } catch {
            refusals.withLock { $0.append(error) }
        }
    }

    /// Waits until all loops are placed; tells what the kernel has refused, once for all, or fails where nothing may be
    /// refused.
    func finish(_ diagnostics: Diagnostics) throws(ServerError) {
        guard plan.placesAnything else { return }
        placed.wait(milliseconds: Self.timeoutMilliseconds)
        guard let refusal = refusals.withLock({ $0.first }) else { return }
        if settings.numa == .strict {
            throw ServerError(
                "numa: strict cannot be had: \(refusal)\(Self.advice(refusal)); write auto to do without")
        }
        diagnostics.report(
            .warning, "loops run without the places that were asked for: \(refusal)\(Self.advice(refusal))")
    }

    private static func advice(_ refusal: SystemError) -> String {
        switch refusal.code {
        case EPERM: " (a container may need the capability SYS_NICE)"
        case ENOSYS: " (this kernel knows no NUMA)"
        default: ""
        }
    }

    /// For people: what was placed, and why nothing was.
    var summary: String {
        let count = topology.nodes.count
        let nodes = count == 0 ? "no NUMA nodes" : count == 1 ? "one NUMA node" : "\(count) NUMA nodes"
        let usable = plan.usableNodeCount < count ? ", \(plan.usableNodeCount) usable" : ""
        let refusal = refusals.withLock { $0.first }.map { "; refused: \($0)" } ?? ""
        let deed =
            if plan.isMemoryPlaced {
                "loops and their memory are kept on them"
            } else if plan.placesAnything {
                "loops are pinned"
            } else if plan.usableNodeCount > 1 {
                "not used, for numa is off"
            } else {
                "nothing to place"
            }
        return "\(nodes)\(usable): \(deed)\(refusal)"
    }

    /// In the loop's thread.
    func look(at context: LoopContext, loop index: Int) -> PlacedLoop {
        PlacedLoop(
            loop: index, place: context.place,
            processors: context.place.isPinned ? context.place.processors : allowed,
            leasedByteCount: context.pool.leasedByteCount, keptByteCount: context.pool.keptByteCount)
    }
}

/// Where a loop runs and what memory its buffers take, at one moment.
public struct PlacedLoop: Sendable {
    /// Position of the loop among those of the server.
    public let loop: Int
    public let place: LoopPlacement
    /// What its thread may run on.
    public let processors: ProcessorSet
    /// Bytes of buffers on loan to commands.
    public let leasedByteCount: Int
    /// Bytes of free buffers that are kept for the next ones.
    public let keptByteCount: Int
}
