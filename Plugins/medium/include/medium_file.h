// SPDX-License-Identifier: Apache-2.0
// The file or block device that holds a medium: what the handlers over files have in common. It is linked into each of
// them, and hidden, so that two handlers of different ages in one process never meet each other's.
#ifndef MEDIUM_FILE_H
#define MEDIUM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "martlet-handler.h"

#pragma GCC visibility push(hidden)

// Where a sentence is left when something fails.
struct medium_reason {
    char text[MARTLET_PROBE_REASON_SIZE];
};

// What the device is configured to be.
struct medium_geometry {
    // 0: not configured.
    uint64_t byte_count;
    uint32_t block_size;
    bool is_read_only;
};

struct medium_geometry medium_geometry_of(struct tcmu_device *dev);

// What a handler can do with files.
struct medium_rules {
    bool takes_block_devices;
    // A file in use is tried again for a second: the kernel may hold it a little after a process is gone.
    bool is_patient;
};

struct medium_file {
    int descriptor;
    uint64_t byte_count;
    bool is_block_device;
    // Opening has made the file, or has given it its size.
    bool is_new, was_empty;
    // The disk under it.
    dev_t disk;
    // Bytes that the file system allocates at a time; 0: not known.
    uint32_t allocation_byte_count;
};

// What is known of the file at `path` before it is opened: 0, or -errno with a reason.
int medium_probe(const char *path, const struct medium_rules *rules, struct martlet_probe *answer);

// Opens the file, or creates it where a size is configured, and locks it: one writer, or any number of readers. A new or
// empty file has its size, without storage, and is there after a power failure. 0, or -errno with a reason and nothing
// left behind.
int medium_open(
    struct medium_file *file, const char *path, const struct medium_geometry *geometry,
    const struct medium_rules *rules, struct medium_reason *reason);

// Closes the file, and takes back what opening has made: it was opened, but is of no use.
void medium_abandon(struct medium_file *file, const char *path);

// The descriptor -1 is none.
void medium_close(int descriptor);

// As martlet_handler_extension.block_status, of a file of `byte_count` bytes. A block has storage when any part has.
int medium_extents(
    int descriptor, uint64_t byte_count, uint32_t block_size, uint64_t offset, uint64_t length,
    struct martlet_extent *extents, size_t capacity);

// As martlet_handler_extension.space, of a regular file of `byte_count` bytes.
int medium_space(int descriptor, uint64_t byte_count, struct martlet_space *answer);

// A number that the kernel shows of a disk; -1 when it shows none.
int64_t medium_disk_attribute(dev_t disk, const char *name);

// Writes "WHAT PATH: " and the words for `error`, cut to their room. -error.
int medium_refuse(int error, struct medium_reason *reason, const char *what, const char *path);

// Writes a sentence as printf does, cut to its room: a path in it may be longer.
void medium_say(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#pragma GCC visibility pop

#endif
