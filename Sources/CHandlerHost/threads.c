// SPDX-License-Identifier: Apache-2.0
// What handlers do to threads.

#define _GNU_SOURCE
#include "device.h"

#include <pthread.h>
#include <string.h>

__thread int __tcmu_is_ework_thread = 0;

void tcmu_set_thread_name(const char *prefix, struct tcmu_device *dev) {
    // A thread that runs report_event keeps its name, whatever the handler does there.
    if (__tcmu_is_ework_thread || prefix == NULL) return;
    char name[TCMU_THREAD_NAME_LEN + MARTLET_HOST_DEVICE_NAME_SIZE] = "";
    strncpy(name, prefix, TCMU_THREAD_NAME_LEN - 1);
    if (dev != NULL && dev->name[0] != '\0') {
        strcat(name, "-");
        strcat(name, dev->name);
    }
    name[TCMU_THREAD_NAME_LEN - 1] = '\0';
    pthread_setname_np(pthread_self(), name);
}

void tcmu_thread_cancel(pthread_t thread) {
    if (pthread_cancel(thread) == 0) pthread_join(thread, NULL);
}
