// SPDX-License-Identifier: Apache-2.0
#include "histogram.h"

/// The middle of a bucket: the inverse of `histogram_bucket`.
static uint64_t bucket_middle(unsigned index)
{
    if (index < 2 * HISTOGRAM_STEPS)
        return index;
    unsigned shift = (index >> HISTOGRAM_STEP_BITS) - 1;
    uint64_t low = (uint64_t)(index - (shift << HISTOGRAM_STEP_BITS)) << shift;
    return low + (1ull << shift) / 2;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
    uint64_t rank = (uint64_t)((double)histogram->count * fraction), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen > rank) {
            uint64_t middle = bucket_middle(i);
            return middle < histogram->maximum ? middle : histogram->maximum;
        }
    }
    return histogram->maximum;
}
