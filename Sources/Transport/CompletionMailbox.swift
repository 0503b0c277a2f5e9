// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import Synchronization
internal import TargetCore

/// Where a handler's thread leaves block requests that have ended, for the loop that owns their tasks.
///
/// A stack that many push to and one takes whole, so there is nothing to lock; only the push that finds it empty
/// wakes the loop, so a batch of completions costs one wake-up at most.
final class CompletionMailbox: OwnerLoop {
    private let handle: LoopHandle
    /// The request pushed last, as an address; 0 when there is none. The requests are linked by `next`.
    private let top = Atomic<UInt>(0)

    init(handle: LoopHandle) { self.handle = handle }

    func post(_ request: BlockRequest) {
        if request.isTimed { request.postedNanoseconds = clinux_monotonic_nanoseconds() }
        // Its session keeps a request alive while it is under way, so no count is taken.
        let address = unsafe UInt(bitPattern: Unmanaged.passUnretained(request).toOpaque())
        var current = top.load(ordering: .relaxed)
        while true {
            unsafe request.next = Self.request(at: current)
            let (exchanged, original) = top.compareExchange(
                expected: current, desired: address, ordering: .sequentiallyConsistent)
            if exchanged { break }
            current = original
        }
        if current == 0 { handle.wake() }
    }

    func perform(_ work: @escaping @Sendable () -> Void) { handle.execute(work) }

    var isEmpty: Bool { top.load(ordering: .sequentiallyConsistent) == 0 }

    /// In the loop's thread: resumes all that has been posted, oldest first.
    func drain() {
        var newest = unsafe Self.request(at: top.exchange(0, ordering: .acquiringAndReleasing))
        var oldest: Unmanaged<BlockRequest>? = nil
        while let each = unsafe newest {
            let request = unsafe each.takeUnretainedValue()
            unsafe newest = request.next
            unsafe request.next = oldest
            unsafe oldest = each
        }
        while let each = unsafe oldest {
            let request = unsafe each.takeUnretainedValue()
            unsafe oldest = request.next
            unsafe request.next = nil
            request.resume()
        }
    }

    private static func request(at address: UInt) -> Unmanaged<BlockRequest>? {
        // The address came from `post` and from nowhere else.
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return nil }
        return unsafe Unmanaged.fromOpaque(pointer)
    }
}
