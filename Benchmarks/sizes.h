// SPDX-License-Identifier: Apache-2.0
#ifndef BENCHMARKS_SIZES_H
#define BENCHMARKS_SIZES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/// A number, or a number of bytes with K, M or G after it. False for anything else, and when it is too large.
static inline bool parse_size(const char *text, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long long number = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift > 0)
        end++;
    if (*end || number > UINT64_MAX >> 1 >> shift)
        return false;
    *value = (uint64_t)number << shift;
    return true;
}

#endif
