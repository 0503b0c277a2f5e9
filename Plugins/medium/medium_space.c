// SPDX-License-Identifier: Apache-2.0
// How much storage a file has, and how much more it could have.

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "medium_file.h"

static uint64_t smaller(uint64_t left, uint64_t right) { return left < right ? left : right; }

int medium_space(int descriptor, uint64_t byte_count, struct martlet_space *answer) {
    struct stat file;
    struct statvfs system;
    if (fstat(descriptor, &file) != 0 || fstatvfs(descriptor, &system) != 0) return -errno;
    // A disk has all of its storage always.
    if (!S_ISREG(file.st_mode)) return -ENOTSUP;
    // st_blocks counts 512 bytes each, whatever the file system's block is, and the file system's own records too.
    uint64_t used = smaller((uint64_t)file.st_blocks * 512, byte_count);
    uint64_t free = (uint64_t)system.f_bavail * system.f_frsize;
    answer->used_byte_count = used;
    answer->available_byte_count = smaller(free, byte_count - used);
    return 0;
}
