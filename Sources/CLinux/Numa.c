// SPDX-License-Identifier: Apache-2.0

// syscall needs a declaration beyond POSIX.
#define _GNU_SOURCE 1

#include "CLinuxNuma.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// More nodes than any kernel is built for.
#define NODE_LIMIT 8192
#define BITS_PER_WORD (8 * sizeof(unsigned long))

_Static_assert(clinux_memory_preferred == MPOL_PREFERRED, "the kernel's number");
_Static_assert(clinux_memory_bound == MPOL_BIND, "the kernel's number");
_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "the kernel's masks are made of long words");

struct node_mask {
    unsigned long words[NODE_LIMIT / BITS_PER_WORD];
};

// False with errno when there can be no such node.
static int set_node(struct node_mask *mask, int node) {
    if (node < 0 || node >= NODE_LIMIT) {
        errno = EINVAL;
        return 0;
    }
    memset(mask, 0, sizeof *mask);
    mask->words[(size_t)node / BITS_PER_WORD] = 1ul << ((size_t)node % BITS_PER_WORD);
    return 1;
}

// The kernel takes one bit less than it is told.
static unsigned long bit_count(int node) { return (unsigned long)node + 2; }

int clinux_get_affinity(uint64_t *mask, size_t word_count) {
    long byte_count = syscall(SYS_sched_getaffinity, 0, word_count * sizeof *mask, mask);
    return byte_count < 0 ? -1 : (int)(((size_t)byte_count + sizeof *mask - 1) / sizeof *mask);
}

int clinux_set_affinity(const uint64_t *mask, size_t word_count) {
    return (int)syscall(SYS_sched_setaffinity, 0, word_count * sizeof *mask, mask);
}

int clinux_set_memory_policy(int mode, int node) {
    struct node_mask mask;
    if (!set_node(&mask, node)) return -1;
    return (int)syscall(SYS_set_mempolicy, mode, mask.words, bit_count(node));
}

int clinux_bind_memory(void *address, size_t byte_count, int mode, int node) {
    struct node_mask mask;
    if (!set_node(&mask, node)) return -1;
    return (int)syscall(SYS_mbind, address, byte_count, mode, mask.words, bit_count(node), 0);
}

int clinux_get_memory_policy(void) {
    int mode = 0;
    if (syscall(SYS_get_mempolicy, &mode, NULL, 0ul, NULL, 0ul) != 0) return -1;
    return mode;
}

int clinux_node_of_memory(void *address) {
    int node = 0;
    if (syscall(SYS_get_mempolicy, &node, NULL, 0ul, address, (unsigned long)(MPOL_F_NODE | MPOL_F_ADDR)) != 0) return -1;
    return node;
}
