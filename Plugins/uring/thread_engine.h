// SPDX-License-Identifier: Apache-2.0
// Does requests in threads that wait for the disk: where there is no io_uring.
#ifndef URING_THREAD_ENGINE_H
#define URING_THREAD_ENGINE_H

#include <pthread.h>
#include <stdbool.h>

#include "request.h"

#pragma GCC visibility push(hidden)

struct uring_device;

// A few commands wait for the disk while others are served from the page cache; more threads contend for the file's
// lock in the kernel without getting more out of it.
#define URING_THREAD_COUNT 4u

struct thread_engine {
    pthread_t threads[URING_THREAD_COUNT];
    unsigned thread_count;
    // Guarded by the device's lock.
    pthread_cond_t wake;
    struct uring_list waiting;
    bool is_ending;
};

// 0 or an errno.
int thread_engine_start(struct uring_device *device);
// Waits for all that is queued.
void thread_engine_stop(struct uring_device *device);
// With the device's lock held.
void thread_engine_queue(struct uring_device *device, struct uring_request *request);

// Starts a thread that takes none of the host's signals. 0 or an errno.
int uring_start_thread(pthread_t *thread, void *(*run)(void *argument), void *argument);

#pragma GCC visibility pop

#endif
