// SPDX-License-Identifier: Apache-2.0
// The file or block device that holds a medium.
#ifndef URING_STORE_H
#define URING_STORE_H

#include "options.h"

#pragma GCC visibility push(hidden)

struct uring_store {
    int descriptor;
    uint64_t byte_count;
    bool is_block_device;
    bool is_read_only;
    // Opened with O_DIRECT.
    bool is_direct;
    bool is_solid_state;
    // Ranges can be deallocated, and read as zeroes then.
    bool can_deallocate;
    // Bytes that the file system allocates at a time; 0: not known.
    uint32_t allocation_byte_count;
};

// What can be done with files here.
extern const struct medium_rules uring_rules;

// Opens or creates the store, through the page cache. 0, or -errno with a reason.
int uring_store_open(
    struct uring_store *store, const char *path, const struct medium_geometry *geometry, struct medium_reason *reason);
void uring_store_close(struct uring_store *store);

// Goes around the page cache from now on. False, and nothing has changed, with the reason why that cannot be.
bool uring_store_go_direct(struct uring_store *store, uint32_t block_size, struct medium_reason *reason);

// As martlet_handler_extension.block_status.
int uring_store_status(
    const struct uring_store *store, uint64_t offset, uint64_t length, uint32_t block_size,
    struct martlet_extent *extents, size_t capacity);

#pragma GCC visibility pop

#endif
