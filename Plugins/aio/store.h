// SPDX-License-Identifier: Apache-2.0
// The file or block device that holds a medium.
#ifndef AIO_STORE_H
#define AIO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "configuration.h"
#include "martlet-handler.h"
#include "medium_file.h"

#pragma GCC visibility push(hidden)

// What can be done with files here.
extern const struct medium_rules aio_rules;

struct aio_store {
    int descriptor;
    uint64_t byte_count;
    uint32_t block_size;
    bool is_block_device;
    bool is_read_only;
    bool is_solid_state;
    // Deallocated blocks read as zeroes, and deallocating is more than writing zeroes.
    bool can_unmap;
};

// Opens or creates the store, not yet for direct I/O. 0, or -errno with a reason.
int aio_store_open(
    struct aio_store *store, const struct aio_request *request, const struct medium_geometry *geometry,
    struct medium_reason *reason);
void aio_store_close(struct aio_store *store);

// Turns direct I/O on. False with a reason when the store cannot do it in blocks of this size.
bool aio_store_go_direct(struct aio_store *store, struct medium_reason *reason);
// Turns it off again; I/O under way goes on.
void aio_store_leave_direct(struct aio_store *store);

// Whether length bytes from offset on lie in the medium.
bool aio_store_holds(const struct aio_store *store, uint64_t offset, uint64_t length);

// 0 or -errno, all three.
int aio_store_flush(const struct aio_store *store);
// Gives storage back; the range reads as zeroes then.
int aio_store_discard(const struct aio_store *store, uint64_t offset, uint64_t length);
// Makes the range read as zeroes, and keeps or makes its storage.
int aio_store_zero(const struct aio_store *store, uint64_t offset, uint64_t length);

// As martlet_handler_extension.block_status.
int aio_store_status(
    const struct aio_store *store, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity);

#pragma GCC visibility pop

#endif
