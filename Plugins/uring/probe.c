// SPDX-License-Identifier: Apache-2.0
// What is known of a store before it is opened.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store.h"

static int refuse(int error, struct martlet_probe *answer, const char *what, const char *path) {
    snprintf(answer->reason, sizeof(answer->reason), "%s %s: %s", what, path, strerror(error));
    return -error;
}

static int probe_block_device(const char *path, struct martlet_probe *answer) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return refuse(errno, answer, "cannot open", path);
    int64_t end = uring_block_device_size(descriptor);
    close(descriptor);
    if (end < 0) return refuse((int)-end, answer, "cannot find the size of", path);
    answer->byte_count = (uint64_t)end;
    return 0;
}

int uring_store_probe(const char *path, struct martlet_probe *answer) {
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno != ENOENT) return refuse(errno, answer, "cannot look at", path);
        answer->flags |= MARTLET_PROBE_WILL_CREATE;
        return 0;
    }
    if (access(path, W_OK) != 0) answer->flags |= MARTLET_PROBE_READ_ONLY;
    if (S_ISBLK(status.st_mode)) return probe_block_device(path, answer);
    if (!S_ISREG(status.st_mode)) {
        snprintf(answer->reason, sizeof(answer->reason), "%s is neither a regular file nor a block device", path);
        return -EINVAL;
    }
    answer->byte_count = (uint64_t)status.st_size;
    // An empty file holds nothing that could be lost: it is as good as a missing one.
    if (status.st_size == 0) answer->flags |= MARTLET_PROBE_WILL_CREATE;
    return 0;
}
