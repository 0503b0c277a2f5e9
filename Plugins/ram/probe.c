// SPDX-License-Identifier: Apache-2.0
// What is known of a store before it is opened.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

int ram_store_probe(const struct ram_request *request, struct martlet_probe *answer) {
    struct stat status;
    if (request->path == NULL) {
        answer->byte_count = request->byte_count;
        return 0;
    }
    if (stat(request->path, &status) != 0) {
        int error = errno;
        if (error == ENOENT) {
            answer->flags |= MARTLET_PROBE_WILL_CREATE;
            return 0;
        }
        snprintf(
            answer->reason, sizeof(answer->reason), "cannot look at %s: %s", request->path, strerror(error));
        return -error;
    }
    if (!S_ISREG(status.st_mode)) {
        snprintf(answer->reason, sizeof(answer->reason), "%s is not a regular file", request->path);
        return -EINVAL;
    }
    answer->byte_count = (uint64_t)status.st_size;
    // An empty file holds nothing that could be lost: it is as good as a missing one.
    if (status.st_size == 0) answer->flags |= MARTLET_PROBE_WILL_CREATE;
    if (access(request->path, W_OK) != 0) answer->flags |= MARTLET_PROBE_READ_ONLY;
    return 0;
}
