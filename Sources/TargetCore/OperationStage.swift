// SPDX-License-Identifier: Apache-2.0

/// What an operation does over the whole medium, or with it.
enum OperationStage: Sendable {
    /// Makes the change durable, where the unit has a store.
    case save(@Sendable (inout DurableUnitState) -> Void)
    case flush
    /// Writes the block, of one logical block's bytes, over every block.
    case fill([UInt8])
    /// Zeroes with storage behind them.
    case zero
    /// Deallocates what can be, where that reads as zeroes, and zeroes the rest.
    case deallocate
    /// Reads so many pieces spread over the medium, and compares every block of them.
    case compare([UInt8], sampleCount: Int)
    /// Reads so many pieces, or everything.
    case read(sampleCount: Int?)

    /// Blocks zeroed by one request: a stop waits for no longer than that.
    static let zeroBlockCount: UInt64 = 1 << 16

    var isPass: Bool {
        switch self {
        case .save, .flush: false
        case .fill, .zero, .deallocate, .compare, .read: true
        }
    }

    var sampleCount: Int? {
        switch self {
        case .compare(_, let count): count
        case .read(let count): count
        case .save, .flush, .fill, .zero, .deallocate: nil
        }
    }

    var mayUnmap: Bool {
        switch self {
        case .deallocate: true
        case .save, .flush, .fill, .zero, .compare, .read: false
        }
    }
}
