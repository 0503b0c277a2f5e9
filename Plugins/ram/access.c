// SPDX-License-Identifier: Apache-2.0
// Reading, writing and discarding.

#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool ram_store_holds(const struct ram_store *store, uint64_t offset, uint64_t length) {
    return offset <= store->byte_count && length <= store->byte_count - offset;
}

struct copy {
    void *to;
    const void *from;
    size_t length;
};

static bool copy(void *argument) {
    const struct copy *work = argument;
    memcpy(work->to, work->from, work->length);
    return true;
}

// Anonymous memory is always there; a file's may have been cut short, or its disk may fail.
static bool copy_guarded(const struct ram_store *store, struct copy work) {
    return store->is_file ? guard_against_page_faults(copy, &work) : copy(&work);
}

bool ram_store_read(const struct ram_store *store, uint64_t offset, void *to, size_t length) {
    return copy_guarded(store, (struct copy){to, store->memory + offset, length});
}

bool ram_store_write(struct ram_store *store, uint64_t offset, const void *from, size_t length) {
    for (size_t done = 0; done < length;) {
        size_t step = ram_piece_length(offset + done, length - done);
        struct copy piece = {store->memory + offset + done, (const uint8_t *)from + done, step};
        struct ram_stripe *stripe = ram_stripe_take(&store->writers, offset + done);
        bool good = copy_guarded(store, piece);
        ram_stripe_give_back(stripe);
        if (!good) return false;
        done += step;
    }
    if (!store->is_file) page_map_mark(&store->written, offset, length);
    return true;
}

struct repeat {
    uint8_t *to;
    uint64_t length;
    const void *block;
    size_t block_size;
};

static bool repeat(void *argument) {
    const struct repeat *work = argument;
    for (uint64_t done = 0; done < work->length; done += work->block_size) {
        uint64_t left = work->length - done;
        memcpy(work->to + done, work->block, left < work->block_size ? left : work->block_size);
    }
    return true;
}

bool ram_store_repeat(
    struct ram_store *store, uint64_t offset, uint64_t length, const void *block, size_t block_size) {
    // A piece has whole blocks.
    for (uint64_t done = 0; done < length;) {
        uint64_t step = ram_piece_length(offset + done, length - done);
        struct repeat work = {store->memory + offset + done, step, block, block_size};
        struct ram_stripe *stripe = ram_stripe_take(&store->writers, offset + done);
        bool good = store->is_file ? guard_against_page_faults(repeat, &work) : repeat(&work);
        ram_stripe_give_back(stripe);
        if (!good) return false;
        done += step;
    }
    if (!store->is_file) page_map_mark(&store->written, offset, length);
    return true;
}

// Zeroes a part of one page of anonymous memory.
static void zero_part(struct ram_store *store, uint64_t offset, uint64_t length) {
    // What was never written is zero, and must not be given a page for that.
    if (length > 0 && page_map_has(&store->written, offset / RAM_PAGE_SIZE)) memset(store->memory + offset, 0, length);
}

static int discard_anonymous(struct ram_store *store, uint64_t offset, uint64_t length) {
    uint64_t end = offset + length;
    uint64_t first_page = (offset + RAM_PAGE_SIZE - 1) / RAM_PAGE_SIZE;
    uint64_t first = first_page * RAM_PAGE_SIZE;
    // The medium's end ends the last page, too.
    uint64_t end_page = end == store->byte_count ? store->written.page_count : end / RAM_PAGE_SIZE;
    if (first_page >= end_page) {
        // One or two pages, neither of them whole.
        uint64_t middle = first > end ? end : first;
        zero_part(store, offset, middle - offset);
        zero_part(store, middle, end - middle);
        return 0;
    }
    zero_part(store, offset, first - offset);
    page_map_clear(&store->written, first_page, end_page - first_page);
    if (madvise(store->memory + first, (end_page - first_page) * RAM_PAGE_SIZE, MADV_DONTNEED) != 0) return -errno;
    if (end > end_page * RAM_PAGE_SIZE) zero_part(store, end_page * RAM_PAGE_SIZE, end - end_page * RAM_PAGE_SIZE);
    return 0;
}

static int discard_file(struct ram_store *store, uint64_t offset, uint64_t length) {
    static const uint8_t zeroes[RAM_PAGE_SIZE];
    int mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
    if (fallocate(store->descriptor, mode, (off_t)offset, (off_t)length) == 0) return 0;
    if (errno != EOPNOTSUPP) return -errno;
    return ram_store_repeat(store, offset, length, zeroes, sizeof(zeroes)) ? 0 : -EIO;
}

int ram_store_discard(struct ram_store *store, uint64_t offset, uint64_t length) {
    if (length == 0) return 0;
    return store->is_file ? discard_file(store, offset, length) : discard_anonymous(store, offset, length);
}

int ram_store_flush(const struct ram_store *store) {
    // Takes along what was written through the mapping.
    return !store->is_file || store->is_read_only || fdatasync(store->descriptor) == 0 ? 0 : -errno;
}
