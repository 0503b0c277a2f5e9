// SPDX-License-Identifier: Apache-2.0
// What is known of a store before it is opened.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

int64_t aio_block_device_size(int descriptor) {
    off_t end = lseek(descriptor, 0, SEEK_END);
    return end >= 0 ? (int64_t)end : -errno;
}

static int refuse(int error, const char *path, struct martlet_probe *answer) {
    aio_say(answer->reason, sizeof(answer->reason), "cannot look at %s: %s", path, strerror(error));
    return -error;
}

static int probe_block_device(const char *path, struct martlet_probe *answer) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return refuse(errno, path, answer);
    int64_t size = aio_block_device_size(descriptor);
    close(descriptor);
    if (size < 0) return refuse((int)-size, path, answer);
    answer->byte_count = (uint64_t)size;
    return 0;
}

int aio_store_probe(const struct aio_request *request, struct martlet_probe *answer) {
    const char *path = request->path;
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno != ENOENT) return refuse(errno, path, answer);
        answer->flags |= MARTLET_PROBE_WILL_CREATE;
        return 0;
    }
    if (access(path, W_OK) != 0) answer->flags |= MARTLET_PROBE_READ_ONLY;
    if (S_ISBLK(status.st_mode)) return probe_block_device(path, answer);
    if (!S_ISREG(status.st_mode)) {
        aio_say(answer->reason, sizeof(answer->reason), "%s is neither a regular file nor a block device", path);
        return -EINVAL;
    }
    answer->byte_count = (uint64_t)status.st_size;
    // An empty file holds nothing that could be lost: it is as good as a missing one.
    if (status.st_size == 0) answer->flags |= MARTLET_PROBE_WILL_CREATE;
    return 0;
}
