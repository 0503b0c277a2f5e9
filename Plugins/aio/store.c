// SPDX-License-Identifier: Apache-2.0
// Opening, making and closing a store.

#define _GNU_SOURCE
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Owner and group, as a disk device has it.
static const mode_t file_mode = 0660;

static int refuse(int error, struct aio_reason *reason, const char *what, const char *path) {
    aio_say(reason->text, sizeof(reason->text), "%s %s: %s", what, path, strerror(error));
    return -error;
}

// A number that the kernel shows of the disk under a file; -1 when it shows none.
static long long disk_attribute(dev_t disk, const char *name) {
    // A partition has its disk's queue.
    static const char *const folders[] = {"queue", "../queue"};
    long long value = -1;
    for (size_t index = 0; index < sizeof(folders) / sizeof(*folders) && value < 0; index++) {
        char path[128];
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(disk), minor(disk), folders[index], name);
        FILE *file = fopen(path, "re");
        if (file == NULL) continue;
        if (fscanf(file, "%lld", &value) != 1) value = -1;
        fclose(file);
    }
    return value;
}

// The size of the medium, from the store's and the configured one. 0 or -errno.
static int agree_on_size(
    struct aio_store *store, const char *path, uint64_t found, uint64_t configured, struct aio_reason *reason) {
    if (found == 0 && configured == 0) {
        aio_say(reason->text, sizeof(reason->text), "%s is empty: configure the size that it shall have", path);
        return -EINVAL;
    }
    if (found == 0 && store->is_read_only) {
        aio_say(reason->text, sizeof(reason->text), "%s is empty, and the device is read only", path);
        return -EROFS;
    }
    if (found != 0 && configured != 0 && found != configured) {
        aio_say(
            reason->text, sizeof(reason->text),
            "%s has %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out, or name another file", path,
            found, configured);
        return -EINVAL;
    }
    store->byte_count = found != 0 ? found : configured;
    if (store->byte_count % store->block_size == 0) return 0;
    aio_say(
        reason->text, sizeof(reason->text), "%s: %" PRIu64 " bytes are no multiple of the block size, %u", path,
        store->byte_count, store->block_size);
    return -EINVAL;
}

// Gives an empty file its size, without storage, so that it and its name are there after a power failure.
static int give_size(const struct aio_store *store, const char *path, struct aio_reason *reason) {
    char copy[PATH_MAX];
    if (ftruncate(store->descriptor, (off_t)store->byte_count) != 0 || fsync(store->descriptor) != 0) {
        return refuse(errno, reason, "cannot give its size to", path);
    }
    snprintf(copy, sizeof(copy), "%s", path);
    const char *folder_path = dirname(copy);
    int folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return refuse(errno, reason, "cannot open", folder_path);
    int result = fsync(folder) == 0 ? 0 : refuse(errno, reason, "cannot make durable", folder_path);
    close(folder);
    return result;
}

// Looks at an open store and makes it fit.
static int prepare(
    struct aio_store *store, const char *path, const struct aio_geometry *geometry, struct aio_reason *reason) {
    struct stat status;
    // One writer, or any number of readers.
    if (flock(store->descriptor, (store->is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return refuse(errno, reason, "cannot lock", path);
        aio_say(reason->text, sizeof(reason->text), "%s is in use by another device or server", path);
        return -EBUSY;
    }
    if (fstat(store->descriptor, &status) != 0) return refuse(errno, reason, "cannot look at", path);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        aio_say(reason->text, sizeof(reason->text), "%s is neither a regular file nor a block device", path);
        return -EINVAL;
    }
    store->is_block_device = S_ISBLK(status.st_mode);
    int64_t found = store->is_block_device ? aio_block_device_size(store->descriptor) : (int64_t)status.st_size;
    if (found < 0) return refuse((int)-found, reason, "cannot find the size of", path);
    dev_t disk = store->is_block_device ? status.st_rdev : status.st_dev;
    store->is_solid_state = disk_attribute(disk, "rotational") == 0;
    store->can_unmap = !store->is_block_device || disk_attribute(disk, "write_zeroes_max_bytes") > 0;
    int result = agree_on_size(store, path, (uint64_t)found, geometry->byte_count, reason);
    return result == 0 && found == 0 ? give_size(store, path, reason) : result;
}

static int open_store(
    struct aio_store *store, const char *path, const struct aio_geometry *geometry, struct aio_reason *reason) {
    int flags = (store->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    bool is_new = false;
    struct stat status;
    // A block device that is mounted, or part of another one, is refused by the kernel.
    int exclusive = !store->is_read_only && stat(path, &status) == 0 && S_ISBLK(status.st_mode) ? O_EXCL : 0;
    store->descriptor = open(path, flags | exclusive);
    if (store->descriptor < 0 && errno == ENOENT && !store->is_read_only) {
        if (geometry->byte_count == 0) {
            aio_say(reason->text, sizeof(reason->text), "%s does not exist: configure a size to create it", path);
            return -ENOENT;
        }
        store->descriptor = open(path, flags | O_CREAT | O_EXCL, file_mode);
        is_new = store->descriptor >= 0;
    }
    if (store->descriptor < 0) return refuse(errno, reason, "cannot open", path);
    int result = prepare(store, path, geometry, reason);
    // Nobody else can have begun to use a file that was made here.
    if (result != 0 && is_new) unlink(path);
    return result;
}

int aio_store_open(
    struct aio_store *store, const struct aio_request *request, const struct aio_geometry *geometry,
    struct aio_reason *reason) {
    *store = (struct aio_store){
        .descriptor = -1, .block_size = geometry->block_size, .is_read_only = geometry->is_read_only};
    int result = open_store(store, request->path, geometry, reason);
    if (result != 0) aio_store_close(store);
    return result;
}

void aio_store_close(struct aio_store *store) {
    if (store->descriptor >= 0) close(store->descriptor);
    store->descriptor = -1;
}

bool aio_store_holds(const struct aio_store *store, uint64_t offset, uint64_t length) {
    return offset <= store->byte_count && length <= store->byte_count - offset;
}
