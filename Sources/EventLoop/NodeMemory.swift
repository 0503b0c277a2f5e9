// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// Whole pages from a node of choice. What an allocator gives out may have been touched before, anywhere: these pages
/// are new, and the kernel takes them from the node when they are touched first.
public enum NodeMemory {
    /// `byteCount` bytes of zeros, to be given back with `unmap`. Ends the process when there is no memory, as
    /// allocation does.
    public static func map(byteCount: Int, memory: LoopPlacement.Memory) -> UnsafeMutableRawPointer {
        let address = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, clinux_map_private_anonymous, -1, 0)
        guard let address = unsafe address, unsafe address != clinux_map_failed() else {
            fatalError("out of memory for a buffer of \(byteCount) bytes")
        }
        // Where the kernel refuses, as in some containers, the policy of the thread that touches the pages holds: the
        // loop's own. That one was set, or its refusal told.
        switch memory {
        case .anywhere: break
        case .preferred(let node):
            _ = unsafe clinux_bind_memory(address, byteCount, CInt(clinux_memory_preferred), CInt(node))
        case .bound(let node):
            _ = unsafe clinux_bind_memory(address, byteCount, CInt(clinux_memory_bound), CInt(node))
        }
        return unsafe address
    }

    /// What `map` gave, whole.
    public static func unmap(_ address: UnsafeMutableRawPointer, byteCount: Int) {
        _ = unsafe munmap(address, byteCount)
    }
}
