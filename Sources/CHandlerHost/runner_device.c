// SPDX-License-Identifier: Apache-2.0
// What tcmu_dev_get_private answers.
//
// In tcmu-runner it is the runner's own record of the device, and Debian's handler_rbd, built when its layout was
// public, reads four fields of it. They stand in other places in 1.5.3 and 1.5.4 than since 1.6.0. The places do not
// overlap, so one block carries each value at both.

#include "device.h"

#include <string.h>

struct runner_layout {
    size_t lock_lost_count;
    size_t connection_lost_count;
    size_t command_timed_out_count;
    size_t lock_state;
};

static const struct runner_layout layouts[] = {
    {48, 56, 64, 81},   // 1.5.3, 1.5.4
    {88, 96, 104, 121}  // 1.6.0 to 1.6.2
};

void runner_device_reset(struct tcmu_device *dev) { memset(dev->runner_device, 0, sizeof(dev->runner_device)); }

static void count_at(struct tcmu_device *dev, size_t offset) {
    // Aligned to 8 by the table; handlers read it as a plain uint64_t.
    __atomic_fetch_add((uint64_t *)(void *)(dev->runner_device + offset), 1, __ATOMIC_RELAXED);
}

void runner_device_count(struct tcmu_device *dev, enum tcmur_event event) {
    for (size_t index = 0; index < ARRAY_SIZE(layouts); index++) {
        const struct runner_layout *layout = &layouts[index];
        switch (event) {
        case TCMUR_EVT_LOCK_LOST:
            count_at(dev, layout->lock_lost_count);
            __atomic_store_n(dev->runner_device + layout->lock_state, TCMUR_DEV_LOCK_UNLOCKED, __ATOMIC_RELAXED);
            break;
        case TCMUR_EVT_CONN_LOST:
            count_at(dev, layout->connection_lost_count);
            break;
        case TCMUR_EVT_CMD_TIMED_OUT:
            count_at(dev, layout->command_timed_out_count);
            break;
        }
    }
}
