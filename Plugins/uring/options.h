// SPDX-License-Identifier: Apache-2.0
// What "uring/REST" asks for.
#ifndef URING_OPTIONS_H
#define URING_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "medium_file.h"

#pragma GCC visibility push(hidden)

#define URING_QUEUE_DEPTH_DEFAULT 256u
#define URING_QUEUE_DEPTH_LIMIT 4096u

struct uring_options {
    // Absolute.
    char path[PATH_MAX];
    // O_DIRECT, where it can be had.
    bool is_direct;
    // Threads instead of a ring.
    bool wants_threads;
    // Commands that the kernel has at once, as asked for: may be above the limit.
    uint64_t queue_depth;
};

// Reads the configuration string. False with a reason.
bool uring_options_parse(const char *cfgstring, struct uring_options *options, struct medium_reason *reason);

#pragma GCC visibility pop

#endif
