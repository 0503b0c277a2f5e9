// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import Transport

/// One event loop: where it runs, and the memory of its buffers.
public struct LoopReport: Codable, Equatable, Sendable {
    public enum Memory: String, Codable, Sendable {
        /// From wherever the kernel takes it.
        case anywhere
        /// From the loop's node as long as that has any.
        case preferred
        /// From the loop's node and no other.
        case bound
    }

    public var loop = 0
    /// The NUMA node that the loop is kept on; nil when that is open.
    public var node: Int?
    /// The processors that it may run on, as the kernel writes them: "0-3,8".
    public var processors = ""
    public var isPinned = false
    public var memory = Memory.anywhere
    /// Bytes of buffers on loan to commands.
    public var leasedBufferBytes = 0
    /// Bytes of free buffers that are kept for the next ones.
    public var keptBufferBytes = 0

    public init() {}

    init(_ placed: PlacedLoop) {
        loop = placed.loop
        node = placed.place.node
        processors = placed.processors.description
        isPinned = placed.place.isPinned
        memory =
            switch placed.place.memory {
            case .anywhere: .anywhere
            case .preferred: .preferred
            case .bound: .bound
            }
        leasedBufferBytes = placed.leasedByteCount
        keptBufferBytes = placed.keptByteCount
    }

    /// "node 0, pinned to 0-3, memory preferred there; buffers: 64 KiB on loan, 2 MiB kept".
    var words: String {
        let place = [
            node.map { "node \($0)" }, isPinned ? "pinned to \(processors)" : "not pinned (\(processors))",
            memory == .anywhere ? nil : "memory \(memory.rawValue) there",
        ].compactMap { $0 }.joined(separator: ", ")
        let leased = ByteCount.describe(UInt64(max(0, leasedBufferBytes)))
        let kept = ByteCount.describe(UInt64(max(0, keptBufferBytes)))
        return "\(place); buffers: \(leased) on loan, \(kept) kept"
    }
}
