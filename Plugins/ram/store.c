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
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Owner and group, as a disk device has it.
static const mode_t file_mode = 0660;

static int refuse(int error, struct ram_reason *reason, const char *what, const char *path) {
    snprintf(reason->text, sizeof(reason->text), "%s %s: %s", what, path, strerror(error));
    return -error;
}

static int refuse_size(uint64_t byte_count, uint32_t block_size, struct ram_reason *reason) {
    snprintf(
        reason->text, sizeof(reason->text), "%" PRIu64 " bytes are no multiple of the block size, %u", byte_count,
        block_size);
    return -EINVAL;
}

static int map(struct ram_store *store, struct ram_reason *reason) {
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
    struct ram_store *store, uint64_t asked, const struct ram_geometry *geometry, struct ram_reason *reason) {
    if (geometry->byte_count != 0 && geometry->byte_count != asked) {
        snprintf(
            reason->text, sizeof(reason->text),
            "the configuration string asks for %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out",
            asked, geometry->byte_count);
        return -EINVAL;
    }
    if (asked % geometry->block_size != 0) return refuse_size(asked, geometry->block_size, reason);
    store->byte_count = asked;
    return 0;
}

// A file that has just got its name and size is there after a power failure, too.
static int make_durable(int descriptor, const char *path) {
    char copy[PATH_MAX];
    if (fsync(descriptor) != 0) return -errno;
    if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) return -ENAMETOOLONG;
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -errno;
    int result = fsync(folder) == 0 ? 0 : -errno;
    close(folder);
    return result;
}

// 0 or an errno. A file system that cannot reserve gives the file its size only.
static int reserve(int descriptor, off_t byte_count) {
    if (fallocate(descriptor, 0, 0, byte_count) == 0) return 0;
    if (errno != EOPNOTSUPP) return errno;
    return ftruncate(descriptor, byte_count) == 0 ? 0 : errno;
}

// The size of the medium, from the file's and the configured one. 0 or -errno.
static int agree_on_size(
    struct ram_store *store, const char *path, uint64_t found, const struct ram_geometry *geometry,
    struct ram_reason *reason) {
    uint64_t configured = geometry->byte_count;
    if (found == 0 && configured == 0) {
        snprintf(reason->text, sizeof(reason->text), "%s is empty: configure the size that it shall have", path);
        return -EINVAL;
    }
    if (found == 0 && store->is_read_only) {
        snprintf(reason->text, sizeof(reason->text), "%s is empty, and the device is read only", path);
        return -EROFS;
    }
    if (found != 0 && configured != 0 && found != configured) {
        snprintf(
            reason->text, sizeof(reason->text),
            "%s has %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out, or name another file", path,
            found, configured);
        return -EINVAL;
    }
    store->byte_count = found != 0 ? found : configured;
    if (store->byte_count % geometry->block_size == 0) return 0;
    return refuse_size(store->byte_count, geometry->block_size, reason);
}

// Looks at an open file and makes it fit.
static int prepare_file(
    struct ram_store *store, const char *path, const struct ram_geometry *geometry, struct ram_reason *reason) {
    struct stat status;
    if (flock(store->descriptor, (store->is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return refuse(errno, reason, "cannot lock", path);
        snprintf(reason->text, sizeof(reason->text), "%s is in use by another device or server", path);
        return -EBUSY;
    }
    if (fstat(store->descriptor, &status) != 0) return refuse(errno, reason, "cannot look at", path);
    if (!S_ISREG(status.st_mode)) {
        snprintf(reason->text, sizeof(reason->text), "%s is not a regular file", path);
        return -EINVAL;
    }
    int result = agree_on_size(store, path, (uint64_t)status.st_size, geometry, reason);
    if (result != 0 || store->is_read_only) return result;
    int error = reserve(store->descriptor, (off_t)store->byte_count);
    if (error != 0) {
        if (status.st_size == 0 && ftruncate(store->descriptor, 0) != 0) error = errno;
        snprintf(
            reason->text, sizeof(reason->text), "cannot reserve %" PRIu64 " bytes for %s: %s", store->byte_count, path,
            strerror(error));
        return -error;
    }
    result = status.st_size == 0 ? make_durable(store->descriptor, path) : 0;
    return result == 0 ? 0 : refuse(-result, reason, "cannot make durable", path);
}

static int open_file(
    struct ram_store *store, const char *path, const struct ram_geometry *geometry, struct ram_reason *reason) {
    int flags = (store->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    bool is_new = false;
    store->descriptor = open(path, flags);
    if (store->descriptor < 0 && errno == ENOENT && !store->is_read_only) {
        if (geometry->byte_count == 0) {
            snprintf(reason->text, sizeof(reason->text), "%s does not exist: configure a size to create it", path);
            return -ENOENT;
        }
        store->descriptor = open(path, flags | O_CREAT | O_EXCL, file_mode);
        is_new = store->descriptor >= 0;
    }
    if (store->descriptor < 0) return refuse(errno, reason, "cannot open", path);
    int result = prepare_file(store, path, geometry, reason);
    // Nobody else can have begun to use a file that was made here.
    if (result != 0 && is_new) unlink(path);
    return result;
}

int ram_store_open(
    struct ram_store *store, const struct ram_request *request, const struct ram_geometry *geometry,
    struct ram_reason *reason) {
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
    if (store->descriptor >= 0) close(store->descriptor);
    page_map_destroy(&store->written);
    *store = (struct ram_store){.descriptor = -1};
}
