// SPDX-License-Identifier: Apache-2.0
// Flushing, giving storage back, and telling where there is some.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "store.h"

static uint64_t smaller(uint64_t left, uint64_t right) { return left < right ? left : right; }

int aio_store_flush(const struct aio_store *store) {
    while (fdatasync(store->descriptor) != 0) {
        if (errno != EINTR) return -errno;
    }
    return 0;
}

// 0, -errno, or 1 when there is no such operation here.
static int allocate(const struct aio_store *store, int mode, uint64_t offset, uint64_t length) {
    while (fallocate(store->descriptor, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) != 0) {
        if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS) return 1;
        if (errno != EINTR) return -errno;
    }
    return 0;
}

static int write_zeroes(const struct aio_store *store, uint64_t offset, uint64_t length) {
    // Aligned for direct I/O.
    static const uint8_t zeroes[65536] __attribute__((aligned(4096)));
    while (length > 0) {
        ssize_t count = pwrite(store->descriptor, zeroes, smaller(length, sizeof(zeroes)), (off_t)offset);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -errno;
        // A write may end inside a block: the next begins with that block.
        uint64_t whole = (uint64_t)count / store->block_size * store->block_size;
        if (whole == 0) return -EIO;
        offset += whole;
        length -= whole;
    }
    return 0;
}

// On a block device a hole is what the kernel can zero without writing; BLKDISCARD would leave open what is read.
int aio_store_discard(const struct aio_store *store, uint64_t offset, uint64_t length) {
    if (length == 0) return 0;
    int result = allocate(store, FALLOC_FL_PUNCH_HOLE, offset, length);
    if (result == 1) result = allocate(store, FALLOC_FL_ZERO_RANGE, offset, length);
    return result == 1 ? write_zeroes(store, offset, length) : result;
}

int aio_store_zero(const struct aio_store *store, uint64_t offset, uint64_t length) {
    if (length == 0) return 0;
    int result = allocate(store, FALLOC_FL_ZERO_RANGE, offset, length);
    return result == 1 ? write_zeroes(store, offset, length) : result;
}

int aio_store_status(
    const struct aio_store *store, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    if (store->is_block_device) {
        // The page cache of a block device knows no holes.
        extents[0] = (struct martlet_extent){.byte_count = length, .flags = MARTLET_EXTENT_MAPPED};
        return 1;
    }
    return medium_extents(
        store->descriptor, store->byte_count, store->block_size, offset, length, extents, capacity);
}
