/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler may know of the host's record of a device: its own pointer, its events, and their counters. */
#ifndef __TCMUR_DEVICE_H
#define __TCMUR_DEVICE_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccan/list/list.h"
#include "tcmur_aio.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef TCMU_INVALID_LOCK_TAG
#define TCMU_INVALID_LOCK_TAG USHRT_MAX
#endif

/* Locks between nodes: which sort of failover a device has, and what get_lock_state answers. */
enum {
    TCMUR_DEV_FAILOVER_ALL_ACTIVE = 0,
    TCMUR_DEV_FAILOVER_IMPLICIT = 1,
    TCMUR_DEV_FAILOVER_EXPLICIT = 2
};
enum {
    TCMUR_DEV_LOCK_UNKNOWN = 0,
    TCMUR_DEV_LOCK_UNLOCKED = 1,
    TCMUR_DEV_LOCK_READ_LOCKING = 2,
    TCMUR_DEV_LOCK_READ_LOCKED = 3,
    TCMUR_DEV_LOCK_WRITE_LOCKING = 4,
    TCMUR_DEV_LOCK_WRITE_LOCKED = 5
};

/*
 * What tcmu_dev_get_private points to, for report_event: read only. The named fields stand where tcmu-runner 1.5.4 has
 * them; the host keeps them right there, and where 1.6.0 has them. The rest is zero.
 */
struct tcmur_device {
    uint64_t reserved_0[6];
    /* Since the device was opened. */
    uint64_t lock_lost_cnt;
    uint64_t conn_lost_cnt;
    uint64_t cmd_timed_out_cnt;
    uint64_t reserved_72;
    uint8_t reserved_80;
    /* TCMUR_DEV_LOCK_*: UNLOCKED once a lock was reported lost. */
    uint8_t lock_state;
    uint8_t reserved_82[342];
};

/* The handler's own pointer for a device. */
void tcmur_dev_set_private(struct tcmu_device *dev, void *private_data);
void *tcmur_dev_get_private(struct tcmu_device *dev);

/* From any thread; they do not wait. */
void tcmu_notify_conn_lost(struct tcmu_device *dev);
void tcmu_notify_lock_lost(struct tcmu_device *dev);
void tcmu_notify_cmd_timed_out(struct tcmu_device *dev);

#ifdef __cplusplus
}
#endif

#endif
