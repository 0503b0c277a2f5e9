// SPDX-License-Identifier: Apache-2.0
#include "micro.h"

#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#define RUNNING_ON_VALGRIND 0
#endif

__attribute__((noinline)) int micro_work(void *buffer, size_t byte_count, uint64_t offset)
{
    uint8_t *bytes = buffer;
    bytes[0] = (uint8_t)(byte_count + offset);
    return 0;
}

void micro_count_begin(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

void micro_count_end(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}

int micro_is_counted(void) { return RUNNING_ON_VALGRIND != 0; }

__attribute__((noinline)) void micro_consume(const void *value) { __asm__ volatile("" : : "r"(value) : "memory"); }

uint64_t micro_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
