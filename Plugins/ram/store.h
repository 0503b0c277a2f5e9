// SPDX-License-Identifier: Apache-2.0
// A piece of memory that holds a medium: anonymous, or a file's pages.
#ifndef RAM_STORE_H
#define RAM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "martlet-handler.h"
#include "medium_file.h"
#include "page_map.h"
#include "stripes.h"

#pragma GCC visibility push(hidden)

// What "ram/REST" asks for.
struct ram_request {
    // Anonymous: its bytes. A file: 0.
    uint64_t byte_count;
    // The file; NULL: anonymous. Points into the configuration string.
    const char *path;
};

// Reads the configuration string. False with a reason when it is neither a size nor an absolute path.
bool ram_parse(const char *cfgstring, struct ram_request *request, char *reason, size_t reason_size);

struct ram_store {
    uint8_t *memory;
    uint64_t byte_count;
    bool is_file;
    bool is_read_only;
    // A file's.
    int descriptor;
    // Of anonymous memory: the pages that have been written.
    struct page_map written;
    struct ram_stripes writers;
};

// What can be done with files here.
extern const struct medium_rules ram_rules;

// Opens or creates the store. 0, or -errno with a reason.
int ram_store_open(
    struct ram_store *store, const struct ram_request *request, const struct medium_geometry *geometry,
    struct medium_reason *reason);
void ram_store_close(struct ram_store *store);

// Whether length bytes from offset on lie in the medium.
bool ram_store_holds(const struct ram_store *store, uint64_t offset, uint64_t length);

// The range of all that follow lies in the medium. False, or -errno, when the file cannot be read or written.

bool ram_store_read(const struct ram_store *store, uint64_t offset, void *to, size_t length);
bool ram_store_write(struct ram_store *store, uint64_t offset, const void *from, size_t length);
// Writes the block over length bytes.
bool ram_store_repeat(
    struct ram_store *store, uint64_t offset, uint64_t length, const void *block, size_t block_size);
// Makes the range read as zeroes and gives its storage back, a file's only as far as the file stays reserved.
int ram_store_discard(struct ram_store *store, uint64_t offset, uint64_t length);
int ram_store_flush(const struct ram_store *store);
// As martlet_handler_extension.block_status.
int ram_store_status(
    const struct ram_store *store, uint64_t offset, uint64_t length, uint32_t block_size,
    struct martlet_extent *extents, size_t capacity);

// Runs work(argument) and returns its answer, or false when a page of a mapped file could not be had.
bool guard_against_page_faults(bool (*work)(void *argument), void *argument);

#pragma GCC visibility pop

#endif
