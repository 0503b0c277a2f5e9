// SPDX-License-Identifier: Apache-2.0
// What a configuration string asks for.
#ifndef AIO_CONFIGURATION_H
#define AIO_CONFIGURATION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

enum {
    AIO_DEFAULT_QUEUE_DEPTH = 256,
    AIO_MAXIMUM_QUEUE_DEPTH = 4096,
};

struct aio_request {
    char path[PATH_MAX];
    // direct=on: past the page cache, where the store can do that.
    bool wants_direct;
    // Commands that the kernel is given at a time.
    unsigned queue_depth;
};

// Reads "aio//path;key=value;...". False with a reason when it cannot be meant.
bool aio_parse(const char *cfgstring, struct aio_request *request, char *reason, size_t reason_size);

#pragma GCC visibility pop

#endif
