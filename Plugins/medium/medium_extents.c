// SPDX-License-Identifier: Apache-2.0
// Which blocks of a file have storage behind them.

#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "medium_file.h"

static uint64_t smaller(uint64_t left, uint64_t right) { return left < right ? left : right; }

// Where data, or a hole, begins at or after position; the medium's end when there is none. Or -errno.
static int64_t seek(int descriptor, uint64_t byte_count, uint64_t position, int what) {
    off_t found = lseek(descriptor, (off_t)position, what);
    if (found >= 0) return (int64_t)smaller((uint64_t)found, byte_count);
    return errno == ENXIO ? (int64_t)byte_count : -errno;
}

int medium_extents(
    int descriptor, uint64_t byte_count, uint32_t block_size, uint64_t offset, uint64_t length,
    struct martlet_extent *extents, size_t capacity) {
    uint64_t position = offset;
    size_t count = 0;
    while (position < offset + length && count < capacity) {
        int64_t data = seek(descriptor, byte_count, position, SEEK_DATA);
        if (data < 0) return (int)data;
        uint64_t hole_end = (uint64_t)data / block_size * block_size;
        if (hole_end > position) {
            extents[count++] = (struct martlet_extent){.byte_count = hole_end - position};
            position = hole_end;
            continue;
        }
        int64_t hole = seek(descriptor, byte_count, (uint64_t)data, SEEK_HOLE);
        if (hole < 0) return (int)hole;
        uint64_t data_end = smaller(((uint64_t)hole + block_size - 1) / block_size * block_size, byte_count);
        // The file was cut short meanwhile.
        if (data_end <= position) return -EIO;
        extents[count++] =
            (struct martlet_extent){.byte_count = data_end - position, .flags = MARTLET_EXTENT_MAPPED};
        position = data_end;
    }
    return (int)count;
}
