// SPDX-License-Identifier: Apache-2.0

/// How many bytes one receive may take into the loop's batch buffer: learned from what the stream brings, so that a
/// deep queue is taken whole, and a shallow one does not spread over memory that has left the cache.
package struct ReceiveBudget {
    /// Bytes. The largest is also the size of the loop's batch buffer.
    package static let smallest = 64 << 10
    package static let largest = 512 << 10
    /// Receives that must all have used less than a quarter before the budget is halved.
    package static let patience: UInt8 = 64

    package private(set) var byteCount = smallest
    private var sparseCount: UInt8 = 0

    package init() {}

    /// A receive has brought `count` bytes into the batch buffer.
    package mutating func received(_ count: Int) {
        if count >= byteCount {
            byteCount = min(2 * byteCount, Self.largest)
            sparseCount = 0
        } else if count >= byteCount / 4 {
            sparseCount = 0
        } else if byteCount > Self.smallest {
            sparseCount += 1
            if sparseCount == Self.patience {
                byteCount /= 2
                sparseCount = 0
            }
        }
    }
}
