// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Samples on their way from a loop to whoever makes statistics of them: one thread writes, one at a time reads, and
/// neither waits for the other. What finds no room is counted and gone.
///
/// Nobody is woken for a few samples: they lie here until somebody wants to see them. Only a ring that is half full asks
/// to be emptied, once until that is done.
@safe package final class StatisticsRing: @unchecked Sendable {
    /// Samples. At a million commands a second, one of 64 sampled, it asks eight times a second to be emptied.
    package static let capacity = 4096

    private let slots: UnsafeMutablePointer<LatencySample>
    /// Samples written and read since the start: the difference lies in the ring.
    private let written = Atomic<Int>(0)
    private let read = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)
    private let isDrainAsked = Atomic<Bool>(false)
    private let whenHalfFull: @Sendable () -> Void
    private let reader = Mutex<Void>(())

    /// `whenHalfFull` is called in the writer's thread: it must not wait.
    package init(whenHalfFull: @escaping @Sendable () -> Void) {
        self.whenHalfFull = whenHalfFull
        // Pages that no sample has touched cost nothing.
        unsafe slots = .allocate(capacity: Self.capacity)
    }

    deinit { unsafe slots.deallocate() }

    /// Samples that found no room.
    package var lostCount: UInt64 { lost.load(ordering: .relaxed) }

    /// In the one thread that writes.
    package func push(_ sample: LatencySample) {
        let end = written.load(ordering: .relaxed)
        let waiting = end - read.load(ordering: .acquiring)
        guard waiting < Self.capacity else {
            lost.add(1, ordering: .relaxed)
            return
        }
        // The reader has left this slot: it is behind `read` by less than the capacity. A sample is plain bytes.
        unsafe (slots + end % Self.capacity).initialize(to: sample)
        written.store(end + 1, ordering: .releasing)
        if waiting + 1 >= Self.capacity / 2, !isDrainAsked.exchange(true, ordering: .acquiringAndReleasing) {
            whenHalfFull()
        }
    }

    /// Takes all that has been written, oldest first. From any thread but the writer's.
    package func drain(_ body: (LatencySample) -> Void) {
        reader.withLock { _ in
            isDrainAsked.store(false, ordering: .sequentiallyConsistent)
            var position = read.load(ordering: .relaxed)
            let end = written.load(ordering: .acquiring)
            while position < end {
                // Written before `end` was stored, and not written again before `read` has passed it.
                body(unsafe slots[position % Self.capacity])
                position += 1
                read.store(position, ordering: .releasing)
            }
        }
    }
}
