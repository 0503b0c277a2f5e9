// SPDX-License-Identifier: Apache-2.0
// Opening, making and closing the file of a medium.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "medium_file.h"

// Owner and group, as a disk device has it.
static const mode_t file_mode = 0660;

// What a patient handler waits at most.
enum { patience_turn_count = 50, patience_turn_nanoseconds = 20000000 };

struct medium_geometry medium_geometry_of(struct tcmu_device *dev) {
    int ignored;
    return (struct medium_geometry){
        .byte_count = tcmu_cfgfs_dev_get_info_u64(dev, "Size", &ignored),
        .block_size = tcmu_dev_get_block_size(dev),
        .is_read_only = martlet_device_is_write_protected(dev),
    };
}

// What the steps of opening share.
struct opening {
    struct medium_file *file;
    const char *path;
    const struct medium_geometry *geometry;
    const struct medium_rules *rules;
    struct medium_reason *reason;
    unsigned patience_turn;
};

static int refuse(const struct opening *opening, int error, const char *what) {
    return medium_refuse(error, opening->reason, what, opening->path);
}

// PATH and a remark.
static int object(const struct opening *opening, int error, const char *remark) {
    medium_say(opening->reason->text, sizeof(opening->reason->text), "%s %s", opening->path, remark);
    return -error;
}

// False when it is time to give up.
static bool waits(struct opening *opening, int error) {
    static const struct timespec pause = {.tv_nsec = patience_turn_nanoseconds};
    if (!opening->rules->is_patient || (error != EBUSY && error != EWOULDBLOCK)) return false;
    if (opening->patience_turn++ == patience_turn_count) return false;
    nanosleep(&pause, NULL);
    return true;
}

// A file that has just got its name and size is there after a power failure, too.
static int make_durable(int descriptor, const char *path) {
    char copy[PATH_MAX];
    if (fsync(descriptor) != 0) return -errno;
    if (strlen(path) >= sizeof(copy)) return -ENAMETOOLONG;
    strcpy(copy, path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -errno;
    int result = fsync(folder) == 0 ? 0 : -errno;
    close(folder);
    return result;
}

// Gives an empty file its size, without storage.
static int give_size(const struct opening *opening) {
    int descriptor = opening->file->descriptor;
    if (opening->geometry->is_read_only) return object(opening, EROFS, "is empty, and the device is read only");
    if (ftruncate(descriptor, (off_t)opening->file->byte_count) != 0) {
        return refuse(opening, errno, "cannot give its size to");
    }
    int result = make_durable(descriptor, opening->path);
    return result == 0 ? 0 : refuse(opening, -result, "cannot make durable");
}

// The size of the medium, from the file's and the configured one.
static int agree_on_size(const struct opening *opening, uint64_t found) {
    struct medium_file *file = opening->file;
    struct medium_reason *reason = opening->reason;
    uint64_t configured = opening->geometry->byte_count;
    if (found == 0 && (configured == 0 || file->is_block_device)) {
        return object(opening, EINVAL, "is empty: configure the size that it shall have");
    }
    if (found != 0 && configured != 0 && found != configured) {
        medium_say(
            reason->text, sizeof(reason->text),
            "%s has %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out, or name another file",
            opening->path, found, configured);
        return -EINVAL;
    }
    file->byte_count = found != 0 ? found : configured;
    if (file->byte_count % opening->geometry->block_size != 0 || file->byte_count > INT64_MAX) {
        medium_say(
            reason->text, sizeof(reason->text), "%s: %" PRIu64 " bytes are no multiple of the block size, %u",
            opening->path, file->byte_count, opening->geometry->block_size);
        return -EINVAL;
    }
    file->was_empty = found == 0;
    return found == 0 ? give_size(opening) : 0;
}

static int lock(struct opening *opening) {
    int mode = opening->geometry->is_read_only ? LOCK_SH : LOCK_EX;
    while (flock(opening->file->descriptor, mode | LOCK_NB) != 0) {
        if (errno == EINTR || waits(opening, errno)) continue;
        if (errno != EWOULDBLOCK) return refuse(opening, errno, "cannot lock");
        return object(opening, EBUSY, "is in use by another device or server");
    }
    return 0;
}

// Looks at an open file and makes it fit.
static int prepare(struct opening *opening) {
    struct medium_file *file = opening->file;
    struct stat status;
    int result = lock(opening);
    if (result != 0) return result;
    if (fstat(file->descriptor, &status) != 0) return refuse(opening, errno, "cannot look at");
    file->is_block_device = S_ISBLK(status.st_mode) && opening->rules->takes_block_devices;
    if (!file->is_block_device && !S_ISREG(status.st_mode)) {
        return object(
            opening, EINVAL,
            opening->rules->takes_block_devices ? "is neither a regular file nor a block device"
                                                : "is not a regular file");
    }
    // O_NONBLOCK was for opening, where a pipe would wait; a ring would take it as "rather fail than wait".
    int flags = fcntl(file->descriptor, F_GETFL);
    if (flags < 0 || fcntl(file->descriptor, F_SETFL, flags & ~O_NONBLOCK) != 0) {
        return refuse(opening, errno, "cannot set up");
    }
    file->disk = file->is_block_device ? status.st_rdev : status.st_dev;
    if (!file->is_block_device && status.st_blksize > 0) file->allocation_byte_count = (uint32_t)status.st_blksize;
    off_t found = file->is_block_device ? lseek(file->descriptor, 0, SEEK_END) : status.st_size;
    return found < 0 ? refuse(opening, errno, "cannot find the size of") : agree_on_size(opening, (uint64_t)found);
}

// The descriptor of an existing or a new file, or -errno.
static int open_or_create(struct opening *opening) {
    const struct medium_geometry *geometry = opening->geometry;
    int flags = (geometry->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct stat status;
    if (stat(opening->path, &status) == 0) {
        // A block device that is mounted, or part of another one, is refused by the kernel.
        if (S_ISBLK(status.st_mode) && opening->rules->takes_block_devices && !geometry->is_read_only) flags |= O_EXCL;
        int descriptor;
        do descriptor = open(opening->path, flags);
        while (descriptor < 0 && waits(opening, errno));
        return descriptor >= 0 ? descriptor : refuse(opening, errno, "cannot open");
    }
    if (errno != ENOENT) return refuse(opening, errno, "cannot look at");
    if (geometry->is_read_only) return object(opening, ENOENT, "does not exist, and the device is read only");
    if (geometry->byte_count == 0) return object(opening, ENOENT, "does not exist: configure a size to create it");
    int descriptor = open(opening->path, flags | O_CREAT | O_EXCL, file_mode);
    if (descriptor < 0) return refuse(opening, errno, "cannot create");
    // Nobody else can have begun to use a file that was made here.
    opening->file->is_new = true;
    return descriptor;
}

int medium_open(
    struct medium_file *file, const char *path, const struct medium_geometry *geometry,
    const struct medium_rules *rules, struct medium_reason *reason) {
    struct opening opening = {.file = file, .path = path, .geometry = geometry, .rules = rules, .reason = reason};
    *file = (struct medium_file){.descriptor = -1};
    int descriptor = open_or_create(&opening);
    if (descriptor < 0) return descriptor;
    file->descriptor = descriptor;
    int result = prepare(&opening);
    if (result != 0) medium_abandon(file, path);
    return result;
}

void medium_abandon(struct medium_file *file, const char *path) {
    if (file->is_new) {
        unlink(path);
    } else if (file->was_empty && ftruncate(file->descriptor, 0) != 0) {
        // It keeps its size, and is found with it the next time.
    }
    medium_close(file->descriptor);
    file->descriptor = -1;
}

void medium_close(int descriptor) {
    if (descriptor < 0) return;
    // The lock is the open file's, which ends with its last user, such as a ring: not later than here.
    flock(descriptor, LOCK_UN);
    close(descriptor);
}
