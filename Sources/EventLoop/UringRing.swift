// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// One io_uring: the two rings that are shared with the kernel, and the call that serves both.
///
/// Belongs to the thread that made it, and the kernel insists on that. In return the kernel works on our requests
/// only while this thread is inside `enter`: between two calls nothing of ours changes, neither the completion ring
/// nor memory that is being received to.
@safe final class UringRing {
    /// Entries. Submissions are handed over once a turn, or when the ring is full. Completions beyond the ring are
    /// kept by the kernel until there is room.
    static let submissionCount: UInt32 = 256
    static let completionCount: UInt32 = 4096

    /// The features without which a completion or a timeout could be lost.
    private static let neededFeatures = UInt32(
        clinux_uring_feature_single_map | clinux_uring_feature_no_drop | clinux_uring_feature_poll_32_bits
            | clinux_uring_feature_extended_argument | clinux_uring_feature_skip_success)

    let descriptor: CInt
    /// The number to enter by: registered with the thread, so that the kernel need not look up the descriptor.
    private var enterDescriptor: CInt
    private var enterFlags = UInt32(clinux_uring_enter_get_events)

    // Shared with the kernel, valid until `deinit` unmaps them. The kernel writes the head of the submissions, the tail
    // of the completions and the flags; we write the others.
    private let rings: UnsafeMutableRawBufferPointer
    private let records: UnsafeMutableRawBufferPointer
    private let submissions: UnsafeMutablePointer<clinux_uring_submission>
    private let submissionHead: UnsafeMutablePointer<UInt32>
    private let submissionTail: UnsafeMutablePointer<UInt32>
    private let flags: UnsafeMutablePointer<UInt32>
    private let submissionMask: UInt32
    private let completions: UnsafeMutablePointer<clinux_uring_completion>
    private let completionHead: UnsafeMutablePointer<UInt32>
    private let completionTail: UnsafeMutablePointer<UInt32>
    private let completionMask: UInt32

    /// Our own copies of the indices that only we write.
    private var queuedTail: UInt32 = 0
    private var takenHead: UInt32 = 0

    init() throws(SystemError) {
        let setupFlags = UInt32(
            clinux_uring_setup_completion_size | clinux_uring_setup_clamp | clinux_uring_setup_submit_all
                | clinux_uring_setup_task_work_flag | clinux_uring_setup_single_issuer
                | clinux_uring_setup_defer_task_work)
        var layout = clinux_uring_layout()
        // The layout is ours and outlives the call.
        let descriptor = unsafe clinux_uring_setup(
            Self.submissionCount, Self.completionCount, setupFlags, &layout)
        guard descriptor >= 0 else { throw SystemError.last("io_uring_setup") }
        guard layout.features & Self.neededFeatures == Self.neededFeatures else {
            close(descriptor)
            throw SystemError(call: "io_uring_setup", code: ENOTSUP)
        }
        guard let rings = unsafe clinux_uring_map(descriptor, 0, layout.rings_byte_count) else {
            defer { close(descriptor) }
            throw SystemError.last("mmap of an io_uring")
        }
        guard let records = unsafe clinux_uring_map(descriptor, 1, layout.submissions_byte_count) else {
            defer {
                unsafe _ = munmap(rings, Int(layout.rings_byte_count))
                close(descriptor)
            }
            throw SystemError.last("mmap of an io_uring")
        }
        self.descriptor = descriptor
        enterDescriptor = descriptor
        unsafe self.rings = UnsafeMutableRawBufferPointer(start: rings, count: Int(layout.rings_byte_count))
        unsafe self.records = UnsafeMutableRawBufferPointer(start: records, count: Int(layout.submissions_byte_count))
        // The kernel has told where in the map each of these lies, and of what type it is.
        unsafe submissions = records.assumingMemoryBound(to: clinux_uring_submission.self)
        unsafe submissionHead = Self.index(rings, layout.submission_head)
        unsafe submissionTail = Self.index(rings, layout.submission_tail)
        unsafe flags = Self.index(rings, layout.submission_flags)
        unsafe submissionMask = Self.index(rings, layout.submission_mask).pointee
        unsafe completionHead = Self.index(rings, layout.completion_head)
        unsafe completionTail = Self.index(rings, layout.completion_tail)
        unsafe completionMask = Self.index(rings, layout.completion_mask).pointee
        unsafe completions = (rings + Int(layout.completion_records))
            .assumingMemoryBound(to: clinux_uring_completion.self)
        // The submission ring holds numbers of records: each its own, for ever.
        let array = unsafe Self.index(rings, layout.submission_array)
        for number in 0..<Int(layout.submission_entry_count) { unsafe array[number] = UInt32(number) }
        let registered = clinux_uring_register_ring(descriptor)
        if registered >= 0 {
            enterDescriptor = registered
            enterFlags |= UInt32(clinux_uring_enter_registered_ring)
        }
    }

    deinit {
        unsafe _ = munmap(records.baseAddress, records.count)
        unsafe _ = munmap(rings.baseAddress, rings.count)
        close(descriptor)
    }

    private static func index(_ rings: UnsafeMutableRawPointer, _ offset: UInt32) -> UnsafeMutablePointer<UInt32> {
        unsafe (rings + Int(offset)).assumingMemoryBound(to: UInt32.self)
    }

    // MARK: Submissions

    /// Queues `submission` for the next `enter`. False when the ring is full and the kernel takes nothing now.
    func queue(_ submission: clinux_uring_submission) -> Bool {
        if queuedCount > submissionMask {
            _ = try? enter(minimumCount: 0, timeoutNanoseconds: nil)
            if queuedCount > submissionMask { return false }
        }
        // A record between the kernel's head and our tail plus the size of the ring is ours.
        unsafe submissions[Int(queuedTail & submissionMask)] = submission
        queuedTail &+= 1
        unsafe clinux_uring_store_release(submissionTail, queuedTail)
        return true
    }

    /// Submissions that the kernel has not taken yet.
    private var queuedCount: UInt32 {
        let head = unsafe clinux_uring_load_acquire(submissionHead)
        return queuedTail &- head
    }

    // MARK: Completions

    /// The next completion, in the kernel's order; nil when there is none.
    func take() -> clinux_uring_completion? {
        guard hasCompletions else { return nil }
        let completion = unsafe completions[Int(takenHead & completionMask)]
        takenHead &+= 1
        unsafe clinux_uring_store_release(completionHead, takenHead)
        return completion
    }

    var hasCompletions: Bool { unsafe clinux_uring_load_acquire(completionTail) != takenHead }

    /// Whether an `enter` that does not wait would find nothing to do: known without a system call.
    var isIdle: Bool {
        queuedCount == 0 && !hasCompletions && !has(clinux_uring_has_task_work | clinux_uring_is_overflown)
    }

    /// Whether the kernel keeps completions that had no room in the ring.
    var isOverflown: Bool { has(clinux_uring_is_overflown) }

    private func has(_ flags: Int) -> Bool {
        let current = unsafe clinux_uring_load_acquire(self.flags)
        return current & UInt32(flags) != 0
    }

    // MARK: The call

    /// Hands over all that is queued, lets the kernel work, and waits for `minimumCount` completions or until
    /// `timeoutNanoseconds` have passed (nil: without end). That the time has passed, or a signal came, is no error.
    func enter(minimumCount: UInt32, timeoutNanoseconds: UInt64?) throws(SystemError) {
        let result = clinux_uring_enter(
            enterDescriptor, queuedCount, minimumCount, enterFlags,
            minimumCount == 0 ? -1 : timeoutNanoseconds.map { Int64(clamping: $0) } ?? -1)
        if result < 0 { try Self.check(clinux_errno()) }
    }

    @inline(never)
    private static func check(_ code: CInt) throws(SystemError) {
        switch code {
        // EAGAIN, EBUSY: no memory or no room for now; what is queued stays queued and goes with the next call.
        case ETIME, EINTR, EAGAIN, EBUSY: break
        default: throw SystemError(call: "io_uring_enter", code: code)
        }
    }
}
