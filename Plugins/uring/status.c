// SPDX-License-Identifier: Apache-2.0
// Which blocks have storage behind them. A block has when any part of it has.

#include "store.h"

int uring_store_status(
    const struct uring_store *store, uint64_t offset, uint64_t length, uint32_t block_size,
    struct martlet_extent *extents, size_t capacity) {
    if (store->is_block_device) {
        // Nobody tells of a block device's holes.
        extents[0] = (struct martlet_extent){.byte_count = length, .flags = MARTLET_EXTENT_MAPPED};
        return 1;
    }
    return medium_extents(store->descriptor, store->byte_count, block_size, offset, length, extents, capacity);
}
