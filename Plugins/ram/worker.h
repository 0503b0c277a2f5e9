// SPDX-License-Identifier: Apache-2.0
// The one thread of a device that does what would keep the caller waiting.
#ifndef RAM_WORKER_H
#define RAM_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tcmu-runner.h"

#pragma GCC visibility push(hidden)

struct ram_job {
    struct ram_job *next;
    struct tcmur_cmd *command;
    // What the command does: returns its TCMU_STS_*.
    int (*perform)(struct tcmu_device *dev, struct ram_job *job);
    uint64_t offset;
    uint64_t length;
    // The command's data, the host's until the command is completed.
    struct iovec *iovec;
    size_t iov_cnt;
};

struct ram_worker {
    struct tcmu_device *dev;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    // Oldest first.
    struct ram_job *first;
    struct ram_job **last;
    bool is_ending;
};

// 0 or an errno.
int ram_worker_start(struct ram_worker *worker, struct tcmu_device *dev);
// Performs what is queued, then ends.
void ram_worker_stop(struct ram_worker *worker);
// Queues a copy of job; its command is completed from the worker's thread. TCMU_STS_OK or TCMU_STS_NO_RESOURCE.
int ram_worker_queue(struct ram_worker *worker, const struct ram_job *job);

#pragma GCC visibility pop

#endif
