// SPDX-License-Identifier: Apache-2.0
// Opening and closing the memory.
//
// Anonymous memory is private to the process: a page takes room when it is written, and is all zeroes before that.
//
// A file is reserved in full when it is opened: a page that the file system has no room for could not be written when
// it is needed. For the same reason discarding keeps the reservation.

#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

const struct medium_rules ram_rules = {.takes_block_devices = false};

static int map(struct ram_store *store, struct medium_reason *reason) {
    int protection = store->is_read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    int flags = store->is_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, store->byte_count, protection, flags, store->descriptor, 0);
    int error = memory == MAP_FAILED ? errno : 0;
    if (error == 0) {
        store->memory = memory;
        if (!store->is_file) error = page_map_create(&store->written, store->byte_count);
    }
    if (error != 0) {
        snprintf(
            reason->text, sizeof(reason->text), "cannot map %" PRIu64 " bytes: %s", store->byte_count,
            strerror(error));
        return -error;
    }
    // A file's pages are wanted soon, so that commands seldom wait for them. A medium is no part of a core dump.
    if (store->is_file) madvise(memory, store->byte_count, MADV_WILLNEED);
    madvise(memory, store->byte_count, MADV_DONTDUMP);
    return 0;
}

static int open_anonymous(
    struct ram_store *store, uint64_t asked, const struct medium_geometry *geometry, struct medium_reason *reason) {
    if (geometry->byte_count != 0 && geometry->byte_count != asked) {
        snprintf(
            reason->text, sizeof(reason->text),
            "the configuration string asks for %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out",
            asked, geometry->byte_count);
        return -EINVAL;
    }
    if (asked % geometry->block_size != 0) {
        snprintf(
            reason->text, sizeof(reason->text), "%" PRIu64 " bytes are no multiple of the block size, %u", asked,
            geometry->block_size);
        return -EINVAL;
    }
    store->byte_count = asked;
    return 0;
}

// 0 or an errno. A file system that cannot reserve leaves the file its size only.
static int reserve(int descriptor, off_t byte_count) {
    if (fallocate(descriptor, 0, 0, byte_count) == 0) return 0;
    return errno == EOPNOTSUPP ? 0 : errno;
}

static int open_file(
    struct ram_store *store, const char *path, const struct medium_geometry *geometry, struct medium_reason *reason) {
    struct medium_file file;
    int result = medium_open(&file, path, geometry, &ram_rules, reason);
    if (result != 0) return result;
    int error = store->is_read_only ? 0 : reserve(file.descriptor, (off_t)file.byte_count);
    if (error != 0) {
        snprintf(
            reason->text, sizeof(reason->text), "cannot reserve %" PRIu64 " bytes for %s: %s", file.byte_count, path,
            strerror(error));
        medium_abandon(&file, path);
        return -error;
    }
    store->descriptor = file.descriptor;
    store->byte_count = file.byte_count;
    return 0;
}

int ram_store_open(
    struct ram_store *store, const struct ram_request *request, const struct medium_geometry *geometry,
    struct medium_reason *reason) {
    *store = (struct ram_store){
        .is_file = request->path != NULL, .is_read_only = geometry->is_read_only, .descriptor = -1};
    int result = store->is_file ? open_file(store, request->path, geometry, reason)
                                : open_anonymous(store, request->byte_count, geometry, reason);
    if (result == 0) result = map(store, reason);
    if (result != 0) ram_store_close(store);
    return result;
}

void ram_store_close(struct ram_store *store) {
    if (store->memory != NULL) munmap(store->memory, store->byte_count);
    medium_close(store->descriptor);
    page_map_destroy(&store->written);
    *store = (struct ram_store){.descriptor = -1};
}
