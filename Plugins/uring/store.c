// SPDX-License-Identifier: Apache-2.0
// Opening, creating and closing the store.

#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

// Owner and group, as a disk device has it.
static const mode_t file_mode = 0660;

// A server that was killed may still be in the way: the kernel takes its ring, which holds the file, apart a little
// after the process is gone. Not longer than this is waited for.
enum { patience_turn_count = 50, patience_turn_nanoseconds = 20000000 };

// False when it is time to give up; turn counts from 0.
static bool is_patient(int error, unsigned *turn) {
    static const struct timespec pause = {.tv_nsec = patience_turn_nanoseconds};
    if ((error != EBUSY && error != EWOULDBLOCK) || *turn == patience_turn_count) return false;
    nanosleep(&pause, NULL);
    (*turn)++;
    return true;
}

static int refuse(int error, struct uring_reason *reason, const char *what, const char *path) {
    snprintf(reason->text, sizeof(reason->text), "%s %s: %s", what, path, strerror(error));
    return -error;
}

// A file that has just got its name and size is there after a power failure, too.
static int make_durable(int descriptor, const char *path) {
    char copy[PATH_MAX];
    if (fsync(descriptor) != 0) return -errno;
    snprintf(copy, sizeof(copy), "%s", path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -errno;
    int result = fsync(folder) == 0 ? 0 : -errno;
    close(folder);
    return result;
}

// Gives an empty file its size, without storage.
static int give_size(const struct uring_store *store, const char *path, struct uring_reason *reason) {
    if (store->is_read_only) {
        snprintf(reason->text, sizeof(reason->text), "%s is empty, and the device is read only", path);
        return -EROFS;
    }
    if (ftruncate(store->descriptor, (off_t)store->byte_count) != 0) {
        return refuse(errno, reason, "cannot give its size to", path);
    }
    int result = make_durable(store->descriptor, path);
    if (result == 0) return 0;
    // As it was found, so that it can be tried again.
    if (ftruncate(store->descriptor, 0) != 0) result = -errno;
    return refuse(-result, reason, "cannot make durable", path);
}

// The size of the medium, from the store's and the configured one. 0 or -errno.
static int agree_on_size(
    struct uring_store *store, const char *path, uint64_t found, const struct uring_geometry *geometry,
    struct uring_reason *reason) {
    uint64_t configured = geometry->byte_count;
    if (found == 0 && (configured == 0 || store->is_block_device)) {
        snprintf(reason->text, sizeof(reason->text), "%s is empty: configure the size that it shall have", path);
        return -EINVAL;
    }
    if (found != 0 && configured != 0 && found != configured) {
        snprintf(
            reason->text, sizeof(reason->text),
            "%s has %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out, or name another file", path,
            found, configured);
        return -EINVAL;
    }
    store->byte_count = found != 0 ? found : configured;
    if (store->byte_count % geometry->block_size != 0 || store->byte_count > INT64_MAX) {
        snprintf(
            reason->text, sizeof(reason->text), "%" PRIu64 " bytes are no multiple of the block size, %u",
            store->byte_count, geometry->block_size);
        return -EINVAL;
    }
    return found == 0 ? give_size(store, path, reason) : 0;
}

int64_t uring_block_device_size(int descriptor) {
    off_t end = lseek(descriptor, 0, SEEK_END);
    return end >= 0 ? end : -errno;
}

// What the kernel says of the disk under the store: a number in a file of /sys, or -1.
static int64_t disk_attribute(dev_t disk, const char *name) {
    // A partition has its disk's queue.
    static const char *const places[] = {"queue", "../queue"};
    for (size_t index = 0; index < ARRAY_SIZE(places); index++) {
        char path[PATH_MAX];
        int64_t number = -1;
        snprintf(
            path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(disk), minor(disk), places[index], name);
        FILE *file = fopen(path, "re");
        if (file == NULL) continue;
        if (fscanf(file, "%" SCNd64, &number) != 1) number = -1;
        fclose(file);
        return number;
    }
    return -1;
}

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
    return block_size % (uint32_t)own_size == 0 && disk_attribute(disk, "write_zeroes_max_bytes") > 0;
}

static void look_at_disk(struct uring_store *store, const struct stat *status, uint32_t block_size) {
    dev_t disk = store->is_block_device ? status->st_rdev : status->st_dev;
    store->is_solid_state = disk_attribute(disk, "rotational") == 0;
    if (store->is_block_device) {
        store->can_deallocate = can_discard(store, disk, block_size);
    } else {
        store->can_deallocate = store->is_read_only || can_punch_holes(store);
        if (status->st_blksize > 0) store->allocation_byte_count = (uint32_t)status->st_blksize;
    }
}

// Looks at an open store and makes it fit.
static int prepare(
    struct uring_store *store, const char *path, const struct uring_geometry *geometry, struct uring_reason *reason) {
    struct stat status;
    unsigned turn = 0;
    // One writer, or any number of readers.
    while (flock(store->descriptor, (store->is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        if (is_patient(errno, &turn)) continue;
        if (errno != EWOULDBLOCK) return refuse(errno, reason, "cannot lock", path);
        snprintf(reason->text, sizeof(reason->text), "%s is in use by another device or server", path);
        return -EBUSY;
    }
    if (fstat(store->descriptor, &status) != 0) return refuse(errno, reason, "cannot look at", path);
    store->is_block_device = S_ISBLK(status.st_mode);
    if (!store->is_block_device && !S_ISREG(status.st_mode)) {
        snprintf(reason->text, sizeof(reason->text), "%s is neither a regular file nor a block device", path);
        return -EINVAL;
    }
    // O_NONBLOCK was for opening, where a pipe would wait; a ring would take it as "rather fail than wait".
    int flags = fcntl(store->descriptor, F_GETFL);
    if (flags < 0 || fcntl(store->descriptor, F_SETFL, flags & ~O_NONBLOCK) != 0) {
        return refuse(errno, reason, "cannot set up", path);
    }
    int64_t found = store->is_block_device ? uring_block_device_size(store->descriptor) : status.st_size;
    if (found < 0) return refuse((int)-found, reason, "cannot find the size of", path);
    int result = agree_on_size(store, path, (uint64_t)found, geometry, reason);
    if (result == 0) look_at_disk(store, &status, geometry->block_size);
    return result;
}

// A new file. Its descriptor, or -errno with a reason.
static int create(
    const char *path, int flags, const struct uring_geometry *geometry, struct uring_reason *reason) {
    if (geometry->is_read_only) {
        snprintf(reason->text, sizeof(reason->text), "%s does not exist, and the device is read only", path);
        return -ENOENT;
    }
    if (geometry->byte_count == 0) {
        snprintf(reason->text, sizeof(reason->text), "%s does not exist: configure a size to create it", path);
        return -ENOENT;
    }
    int descriptor = open(path, flags | O_CREAT | O_EXCL, file_mode);
    return descriptor >= 0 ? descriptor : refuse(errno, reason, "cannot create", path);
}

int uring_store_open(
    struct uring_store *store, const char *path, const struct uring_geometry *geometry, struct uring_reason *reason) {
    int flags = (geometry->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct stat status;
    bool is_new = false;
    *store = (struct uring_store){.descriptor = -1, .is_read_only = geometry->is_read_only};
    if (stat(path, &status) == 0) {
        // A block device that is mounted, or part of another one, is refused by the kernel.
        if (S_ISBLK(status.st_mode) && !store->is_read_only) flags |= O_EXCL;
        unsigned turn = 0;
        do store->descriptor = open(path, flags);
        while (store->descriptor < 0 && is_patient(errno, &turn));
        if (store->descriptor < 0) return refuse(errno, reason, "cannot open", path);
    } else {
        if (errno != ENOENT) return refuse(errno, reason, "cannot look at", path);
        store->descriptor = create(path, flags, geometry, reason);
        if (store->descriptor < 0) return store->descriptor;
        is_new = true;
    }
    int result = prepare(store, path, geometry, reason);
    if (result == 0) return 0;
    // Nobody else can have begun to use a file that was made here.
    if (is_new) unlink(path);
    uring_store_close(store);
    return result;
}

void uring_store_close(struct uring_store *store) {
    if (store->descriptor < 0) return;
    // The lock is the open file's, which ends with its last user: not later than here.
    flock(store->descriptor, LOCK_UN);
    close(store->descriptor);
    store->descriptor = -1;
}
