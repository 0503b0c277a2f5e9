// SPDX-License-Identifier: Apache-2.0
//
// A log-linear histogram of nanoseconds: each power of two is cut into 32 equal steps, so a quantile is
// never wrong by more than about three percent, from a nanosecond to hours, in fixed memory.
#ifndef BENCHMARKS_HISTOGRAM_H
#define BENCHMARKS_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEP_BITS = 5, HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS, HISTOGRAM_BUCKETS = 64 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t maximum;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return (shift << HISTOGRAM_STEP_BITS) + (unsigned)(value >> shift);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->maximum)
        histogram->maximum = value;
    histogram->bucket[histogram_bucket(value)]++;
}

/// The value below which the given fraction (0 to 1) of what was added lies; 0 for an empty histogram.
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

#endif
