// SPDX-License-Identifier: Apache-2.0

/// Where threads run and where their memory lies: system calls that the C library wraps for small machines only, or
/// not at all. Included by CLinux.h.

#ifndef CLINUX_NUMA_H
#define CLINUX_NUMA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/// mmap(2)'s flags for new memory of our own, and its way to say that there is none.
static const int clinux_map_private_anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
static inline void *_Nonnull clinux_map_failed(void) { return MAP_FAILED; }

/// Of a memory policy: from these nodes while they have any; or from no others.
enum {
    clinux_memory_preferred = 1,
    clinux_memory_bound = 2,
};

/// The processors that the calling thread may run on, as `word_count` words, least significant first. The number of
/// words that were written, or -1 with errno (EINVAL: there are more processors than bits).
int clinux_get_affinity(uint64_t *_Nonnull mask, size_t word_count);

/// Lets the calling thread run on these processors only. 0, or -1 with errno.
int clinux_set_affinity(const uint64_t *_Nonnull mask, size_t word_count);

/// The memory that the calling thread touches first comes from node `node` from now on. 0, or -1 with errno.
int clinux_set_memory_policy(int mode, int node);

/// The memory behind these pages, which nobody has touched, comes from node `node`. 0, or -1 with errno.
int clinux_bind_memory(void *_Nonnull address, size_t byte_count, int mode, int node);

/// The mode of the calling thread's memory policy, 0 for the kernel's own, or -1 with errno.
int clinux_get_memory_policy(void);

/// The node that the page at `address` lies on, or -1 with errno.
int clinux_node_of_memory(void *_Nonnull address);

#endif
