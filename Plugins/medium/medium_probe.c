// SPDX-License-Identifier: Apache-2.0
// What is known of a file, and of the disk under it, before and after it is opened.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "medium_file.h"

void medium_say(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
}

int medium_refuse(int error, struct medium_reason *reason, const char *what, const char *path) {
    medium_say(reason->text, sizeof(reason->text), "%s %s: %s", what, path, strerror(error));
    return -error;
}

int64_t medium_disk_attribute(dev_t disk, const char *name) {
    // A partition has its disk's queue.
    static const char *const places[] = {"queue", "../queue"};
    for (size_t index = 0; index < sizeof(places) / sizeof(*places); index++) {
        char path[PATH_MAX];
        long long number = -1;
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(disk), minor(disk), places[index], name);
        FILE *file = fopen(path, "re");
        if (file == NULL) continue;
        bool is_number = fscanf(file, "%lld", &number) == 1;
        fclose(file);
        if (is_number && number >= 0) return number;
    }
    return -1;
}

static int refuse(int error, struct martlet_probe *answer, const char *what, const char *path) {
    medium_say(answer->reason, sizeof(answer->reason), "%s %s: %s", what, path, strerror(error));
    return -error;
}

static int probe_block_device(const char *path, struct martlet_probe *answer) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return refuse(errno, answer, "cannot open", path);
    off_t end = lseek(descriptor, 0, SEEK_END);
    int error = errno;
    close(descriptor);
    if (end < 0) return refuse(error, answer, "cannot find the size of", path);
    answer->byte_count = (uint64_t)end;
    return 0;
}

int medium_probe(const char *path, const struct medium_rules *rules, struct martlet_probe *answer) {
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno != ENOENT) return refuse(errno, answer, "cannot look at", path);
        answer->flags |= MARTLET_PROBE_WILL_CREATE;
        return 0;
    }
    if (access(path, W_OK) != 0) answer->flags |= MARTLET_PROBE_READ_ONLY;
    if (S_ISBLK(status.st_mode) && rules->takes_block_devices) return probe_block_device(path, answer);
    if (!S_ISREG(status.st_mode)) {
        medium_say(
            answer->reason, sizeof(answer->reason), "%s is %s", path,
            rules->takes_block_devices ? "neither a regular file nor a block device" : "not a regular file");
        return -EINVAL;
    }
    answer->byte_count = (uint64_t)status.st_size;
    // An empty file holds nothing that could be lost: it is as good as a missing one.
    if (status.st_size == 0) answer->flags |= MARTLET_PROBE_WILL_CREATE;
    return 0;
}
