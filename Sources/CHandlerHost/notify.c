// SPDX-License-Identifier: Apache-2.0
// Events that handlers report.

#include "device.h"

static void notify(struct tcmu_device *dev, enum tcmur_event event) {
    runner_device_count(dev, event);
    if (host_hooks()->event != NULL) host_hooks()->event(dev, event);
}

void tcmu_notify_lock_lost(struct tcmu_device *dev) { notify(dev, TCMUR_EVT_LOCK_LOST); }
void tcmu_notify_conn_lost(struct tcmu_device *dev) { notify(dev, TCMUR_EVT_CONN_LOST); }
void tcmu_notify_cmd_timed_out(struct tcmu_device *dev) { notify(dev, TCMUR_EVT_CMD_TIMED_OUT); }

const char *tcmu_event_name(enum tcmur_event event) {
    switch (event) {
    case TCMUR_EVT_LOCK_LOST: return "lock lost";
    case TCMUR_EVT_CONN_LOST: return "connection lost";
    case TCMUR_EVT_CMD_TIMED_OUT: return "command timed out";
    }
    return "unknown event";
}
