// SPDX-License-Identifier: Apache-2.0
// O_DIRECT, where the file system has it for blocks of the device's size.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

// What a host's memory is aligned to.
static const uint32_t page_byte_count = 4096;

static bool refuse(struct medium_reason *reason, const char *words) {
    snprintf(reason->text, sizeof(reason->text), "%s", words);
    return false;
}

static bool refuse_alignment(struct medium_reason *reason, uint32_t alignment, uint32_t block_size) {
    snprintf(
        reason->text, sizeof(reason->text), "direct I/O is aligned to %u bytes here, and blocks have %u", alignment,
        block_size);
    return false;
}

// What the file system says of itself: since Linux 6.1, and not all of them do.
static bool is_announced(int descriptor, uint32_t block_size, struct medium_reason *reason) {
#ifdef STATX_DIOALIGN
    struct statx status;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return true;
    if ((status.stx_mask & STATX_DIOALIGN) == 0) return true;
    if (status.stx_dio_offset_align == 0) return refuse(reason, "the file system has no direct I/O");
    if (block_size % status.stx_dio_offset_align != 0) {
        return refuse_alignment(reason, status.stx_dio_offset_align, block_size);
    }
    if (page_byte_count % status.stx_dio_mem_align != 0) {
        return refuse(reason, "direct I/O wants memory that is aligned to more than a page");
    }
#else
    (void)descriptor, (void)block_size, (void)reason;
#endif
    return true;
}

// Reads a block that is aligned to nothing but the block size.
static bool is_possible(int descriptor, uint32_t block_size, struct medium_reason *reason) {
    void *memory = NULL;
    if (posix_memalign(&memory, page_byte_count, block_size) != 0) return refuse(reason, strerror(ENOMEM));
    ssize_t count = pread(descriptor, memory, block_size, (off_t)block_size);
    // What else may be wrong with that block concerns the command that reads it.
    bool is_good = count >= 0 || errno != EINVAL;
    free(memory);
    if (is_good) return true;
    snprintf(
        reason->text, sizeof(reason->text), "the file system has no direct I/O for blocks of %u bytes", block_size);
    return false;
}

bool uring_store_go_direct(struct uring_store *store, uint32_t block_size, struct medium_reason *reason) {
    int flags = fcntl(store->descriptor, F_GETFL);
    if (flags < 0 || fcntl(store->descriptor, F_SETFL, flags | O_DIRECT) != 0) {
        return refuse(reason, errno == EINVAL ? "the file system has no direct I/O" : strerror(errno));
    }
    store->is_direct =
        is_announced(store->descriptor, block_size, reason) && is_possible(store->descriptor, block_size, reason);
    if (!store->is_direct) fcntl(store->descriptor, F_SETFL, flags);
    return store->is_direct;
}
