// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing

/// Takes a stream of `Pattern`'s bytes and checks each. Places of `placeSizes`, in turn, follow pieces without a place.
final class PatternOwner: ByteStreamOwner {
    /// Overwritten by nobody but the stream.
    static let canary: UInt8 = 0xC5

    private(set) var offset = 0
    private(set) var isIntact = true
    private(set) var ends: [CInt] = []
    private(set) var canSendCount = 0
    private(set) var hungUpCount = 0
    private(set) var receivedCount = 0
    private(set) var placedByteCount = 0
    /// After each call.
    var changed: (PatternOwner) -> Void = { _ in }

    let memory: UnsafeMutableRawBufferPointer
    private let placeSizes: [Int]
    /// Bytes between two places, of no place.
    private let gap: Int
    private let salt: Int
    private var placeIndex = 0
    /// Of the place that is offered now: where in `memory` it begins, and how much is missing. 0: in a gap.
    private var placeStart = 0
    private var missing = 0
    private var gapLeft: Int
    var offersPlace = true

    init(placeSizes: [Int] = [], gap: Int = 48, salt: Int = 0) {
        self.placeSizes = placeSizes
        self.gap = gap
        self.salt = salt
        gapLeft = gap
        memory = .allocate(byteCount: max(1, placeSizes.max() ?? 0), alignment: 4096)
        _ = memory.initializeMemory(as: UInt8.self, repeating: Self.canary)
    }

    deinit { memory.deallocate() }

    var place: UnsafeMutableRawBufferPointer {
        guard offersPlace, missing > 0 else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return UnsafeMutableRawBufferPointer(rebasing: memory[placeStart..<placeStart + missing])
    }

    func received(placedByteCount: Int, batch: UnsafeRawBufferPointer) {
        receivedCount += 1
        tookPlaced(placedByteCount)
        if !Pattern.matches(batch, from: offset, salt: salt) { isIntact = false }
        advance(batch.count)
        changed(self)
    }

    /// So many bytes lie in the place.
    func tookPlaced(_ count: Int) {
        guard count > 0 else { return }
        if count > place.count
            || !Pattern.matches(UnsafeRawBufferPointer(rebasing: place[..<count]), from: offset, salt: salt)
        {
            isIntact = false
        }
        placedByteCount += count
        advance(count)
    }

    private func advance(_ byteCount: Int) {
        offset += byteCount
        var left = byteCount
        while left > 0 {
            if missing > 0 {
                let count = min(left, missing)
                missing -= count
                placeStart += count
                left -= count
                if missing == 0 { gapLeft = gap }
            } else {
                let count = min(left, gapLeft)
                gapLeft -= count
                left -= count
            }
            if missing == 0, gapLeft == 0 {
                missing = placeSizes.isEmpty ? 0 : placeSizes[placeIndex % placeSizes.count]
                placeIndex += 1
                placeStart = 0
                if missing == 0 { gapLeft = max(1, gap) }
            }
        }
    }

    func receiveEnded(_ code: CInt) {
        ends.append(code)
        changed(self)
    }

    func canSend() {
        canSendCount += 1
        changed(self)
    }

    func hungUp() {
        hungUpCount += 1
        changed(self)
    }
}
