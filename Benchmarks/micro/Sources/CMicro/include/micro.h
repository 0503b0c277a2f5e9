// SPDX-License-Identifier: Apache-2.0
//
// What the microbenchmarks need in C: the work that a handler does, and marks for callgrind.
#ifndef MICRO_H
#define MICRO_H

#include <stddef.h>
#include <stdint.h>

/// The work of a read that costs next to nothing: what calling a handler costs is the difference. Not inlined.
int micro_work(void *buffer, size_t byte_count, uint64_t offset);

/// Between these two callgrind counts, and writes its counts with the name. Without valgrind they do nothing.
void micro_count_begin(void);
void micro_count_end(const char *name);
int micro_is_counted(void);

/// Looks at nothing, and the compiler of the caller cannot know that.
void micro_consume(const void *value);

uint64_t micro_now_ns(void);

#endif
