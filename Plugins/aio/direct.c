// SPDX-License-Identifier: Apache-2.0
// Direct I/O: who can do it, and in which blocks. The kernel is asked where it tells, and tried in any case.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

// The host's buffers begin at pages.
static const size_t buffer_alignment = 4096;

static bool suits_alignment(const struct aio_store *store, struct medium_reason *reason) {
#ifdef STATX_DIOALIGN
    struct statx status;
    int result = statx(store->descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status);
    if (result != 0 || (status.stx_mask & STATX_DIOALIGN) == 0) return true;
    if (status.stx_dio_offset_align == 0) {
        medium_say(reason->text, sizeof(reason->text), "the file system cannot do it");
        return false;
    }
    if (status.stx_dio_offset_align > store->block_size || status.stx_dio_mem_align > buffer_alignment) {
        medium_say(
            reason->text, sizeof(reason->text), "it needs blocks of %u bytes, and the device has blocks of %u",
            status.stx_dio_offset_align, store->block_size);
        return false;
    }
#else
    (void)store, (void)reason;
#endif
    return true;
}

static bool set_flag(const struct aio_store *store, bool is_direct) {
    int flags = fcntl(store->descriptor, F_GETFL);
    return flags >= 0 && fcntl(store->descriptor, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

// Reads one block, and a second one, which begins where only blocks of this size do.
static bool can_read(const struct aio_store *store) {
    void *buffer = NULL;
    bool is_possible = true;
    if (posix_memalign(&buffer, buffer_alignment, store->block_size) != 0) return false;
    for (uint64_t block = 0; block < 2 && is_possible; block++) {
        uint64_t offset = block * store->block_size;
        if (!aio_store_holds(store, offset, store->block_size)) break;
        ssize_t count = pread(store->descriptor, buffer, store->block_size, (off_t)offset);
        // Any other error is the disk's, and will be told when somebody reads there.
        if (count < 0 && errno == EINVAL) is_possible = false;
    }
    free(buffer);
    return is_possible;
}

bool aio_store_go_direct(struct aio_store *store, struct medium_reason *reason) {
    if (!suits_alignment(store, reason)) return false;
    if (!set_flag(store, true)) {
        medium_say(reason->text, sizeof(reason->text), "the file system refuses it: %s", strerror(errno));
        return false;
    }
    if (can_read(store)) return true;
    aio_store_leave_direct(store);
    medium_say(reason->text, sizeof(reason->text), "it refuses blocks of %u bytes", store->block_size);
    return false;
}

void aio_store_leave_direct(struct aio_store *store) { (void)set_flag(store, false); }
