// SPDX-License-Identifier: Apache-2.0
// Which blocks have storage behind them. A block has when any part of it has.

#include "store.h"

// Pages that one answer looks at: 64 GiB, about 100 microseconds.
static const uint64_t page_limit = (uint64_t)64 << 30 >> 12;

static uint64_t smaller(uint64_t left, uint64_t right) { return left < right ? left : right; }

static int anonymous_status(
    const struct ram_store *store, uint64_t offset, uint64_t length, struct martlet_extent *extents,
    size_t capacity) {
    uint64_t page = offset / RAM_PAGE_SIZE, position = offset;
    uint64_t end_page = (offset + length - 1) / RAM_PAGE_SIZE + 1;
    size_t count = 0;
    end_page = smaller(end_page, page + page_limit);
    // A block lies within one page, so that extents of pages are extents of blocks.
    while (page < end_page && count < capacity) {
        bool is_mapped = page_map_has(&store->written, page);
        page = page_map_run_end(&store->written, page, end_page);
        uint64_t end = smaller(page * RAM_PAGE_SIZE, offset + length);
        extents[count++] = (struct martlet_extent){
            .byte_count = end - position, .flags = is_mapped ? MARTLET_EXTENT_MAPPED : 0};
        position = end;
    }
    return (int)count;
}

int ram_store_status(
    const struct ram_store *store, uint64_t offset, uint64_t length, uint32_t block_size,
    struct martlet_extent *extents, size_t capacity) {
    if (!store->is_file) return anonymous_status(store, offset, length, extents, capacity);
    return medium_extents(store->descriptor, store->byte_count, block_size, offset, length, extents, capacity);
}
