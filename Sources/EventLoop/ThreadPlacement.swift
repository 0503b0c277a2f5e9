// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Where the calling thread runs and has its memory. Threads that it starts afterwards inherit both.
public enum ThreadPlacement {
    /// The processors that the thread may run on.
    public static func processors() throws(SystemError) -> ProcessorSet {
        var words = [UInt64](repeating: 0, count: ProcessorSet.limit / UInt64.bitWidth)
        // The buffer is ours, and its length goes with it.
        let count = unsafe words.withUnsafeMutableBufferPointer { buffer in
            unsafe clinux_get_affinity(buffer.baseAddress!, buffer.count)
        }
        if count < 0 { throw SystemError.last("sched_getaffinity") }
        return ProcessorSet(mask: words.prefix(Int(count)))
    }

    /// Keeps the thread on these.
    public static func setProcessors(_ processors: ProcessorSet) throws(SystemError) {
        let words = processors.mask
        guard !words.isEmpty else { throw SystemError(call: "sched_setaffinity", code: EINVAL) }
        // As above.
        let result = unsafe words.withUnsafeBufferPointer { buffer in
            unsafe clinux_set_affinity(buffer.baseAddress!, buffer.count)
        }
        if result != 0 { throw SystemError.last("sched_setaffinity \(processors)") }
    }

    /// From now on the pages that the thread is first to touch are taken from there.
    public static func setMemory(_ memory: LoopPlacement.Memory) throws(SystemError) {
        let result =
            switch memory {
            case .anywhere: CInt(0)
            case .preferred(let node): clinux_set_memory_policy(CInt(clinux_memory_preferred), CInt(node))
            case .bound(let node): clinux_set_memory_policy(CInt(clinux_memory_bound), CInt(node))
            }
        if result != 0 { throw SystemError.last("set_mempolicy") }
    }
}
