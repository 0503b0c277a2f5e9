// SPDX-License-Identifier: Apache-2.0
// Opening and closing the store.

#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

// A server that was killed may still be in the way: the kernel takes its ring, which holds the file, apart a little
// after the process is gone.
const struct medium_rules uring_rules = {.takes_block_devices = true, .is_patient = true};

// Whether the file system can punch holes: asked behind the medium's end, where there is nothing to lose.
static bool can_punch_holes(const struct uring_store *store) {
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (store->byte_count > INT64_MAX - (1 << 20)) return true;
    return fallocate(store->descriptor, mode, (off_t)store->byte_count, 1 << 20) == 0 || errno == EFBIG;
}

// A block device zeroes whole blocks of its own only, and there must be more to it than writing zeroes.
static bool can_discard(const struct uring_store *store, dev_t disk, uint32_t block_size) {
    int own_size = 0;
    if (ioctl(store->descriptor, BLKSSZGET, &own_size) != 0 || own_size <= 0) return false;
    return block_size % (uint32_t)own_size == 0 && medium_disk_attribute(disk, "write_zeroes_max_bytes") > 0;
}

int uring_store_open(
    struct uring_store *store, const char *path, const struct medium_geometry *geometry,
    struct medium_reason *reason) {
    struct medium_file file;
    int result = medium_open(&file, path, geometry, &uring_rules, reason);
    *store = (struct uring_store){.descriptor = -1};
    if (result != 0) return result;
    *store = (struct uring_store){
        .descriptor = file.descriptor,
        .byte_count = file.byte_count,
        .is_block_device = file.is_block_device,
        .is_read_only = geometry->is_read_only,
        .is_solid_state = medium_disk_attribute(file.disk, "rotational") == 0,
        .allocation_byte_count = file.allocation_byte_count,
    };
    store->can_deallocate = store->is_block_device ? can_discard(store, file.disk, geometry->block_size)
                                                   : store->is_read_only || can_punch_holes(store);
    return 0;
}

void uring_store_close(struct uring_store *store) {
    medium_close(store->descriptor);
    store->descriptor = -1;
}
