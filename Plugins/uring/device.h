// SPDX-License-Identifier: Apache-2.0
// A device of the handler, and its callouts.
#ifndef URING_DEVICE_H
#define URING_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "martlet-handler.h"
#include "request.h"
#include "ring_engine.h"
#include "store.h"
#include "thread_engine.h"

#pragma GCC visibility push(hidden)

struct uring_device {
    struct tcmu_device *dev;
    struct uring_store store;

    // Over what follows; held for a few instructions, never over a system call or a completion.
    pthread_mutex_t lock;
    struct uring_pool pool;
    // Flushes, one at a time: the kernel reports lost writes to one of those that run together, and the others would
    // end well. Those that come meanwhile share the next one.
    struct uring_request *flush;
    struct uring_request *next_flush;
    // A flush has failed. The kernel reports lost writes once and forgets them: after that no flush can be believed.
    bool has_lost_writes;
    // One of the two engines.
    bool has_ring;
    // There are threads where a ring was wanted.
    bool has_fallen_back;
    struct ring_engine ring;
    struct thread_engine threads;

    // Failures so far of other commands than flushes.
    atomic_uint failure_count;
    atomic_bool has_reported_flush;
};

// Passes a new step of request to the engine. With the lock held.
void uring_device_queue(struct uring_device *device, struct uring_request *request);
// The kernel has answered request's step: queues the next one, or appends to ended all requests that have ended. With
// the lock held.
void uring_device_answer(
    struct uring_device *device, struct uring_request *request, int64_t result, struct uring_list *ended);
// Completes the commands of the requests in ended, which are free then. Without the lock. Their number.
size_t uring_device_complete(struct uring_device *device, struct uring_list *ended);

// Logs "what: the words for error".
void uring_log_error(struct tcmu_device *dev, const char *what, int error);

int uring_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int uring_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int uring_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd);
int uring_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length);
int uring_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags);
void uring_cancel(struct tcmu_device *dev, struct tcmur_cmd *cmd);
int uring_health(struct tcmu_device *dev, struct martlet_health *answer);
int uring_space(struct tcmu_device *dev, struct martlet_space *answer);
int uring_block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity);
int uring_completion_descriptor(struct tcmu_device *dev);
void uring_submit(struct tcmu_device *dev);
size_t uring_reap(struct tcmu_device *dev);

#pragma GCC visibility pop

#endif
