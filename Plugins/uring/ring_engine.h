// SPDX-License-Identifier: Apache-2.0
// Does requests through a ring.
//
// Up to depth requests are the kernel's; more wait in a list and follow as completions come. The host's loops submit
// and take completions when it has promised to; else each command is submitted at once, and a thread of the device's
// own waits on the event descriptor.
#ifndef URING_RING_ENGINE_H
#define URING_RING_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "request.h"
#include "ring.h"

#pragma GCC visibility push(hidden)

struct uring_device;

struct ring_engine {
    struct uring_ring ring;
    // Requests that the ring holds at most.
    unsigned depth;

    // Guarded by the device's lock, from here on.

    // Between uring_ring_put and uring_ring_take.
    unsigned held_count;
    // Of these, not yet shown to the kernel.
    unsigned unsubmitted_count;
    // A thread is about to show them: others need not.
    bool is_submitting;
    // Some of them come from no callout, so that no host will call submit for them.
    bool is_pressed;
    // Oldest first.
    struct uring_list waiting;

    // Set before any I/O, to the end: the host submits and takes completions.
    bool is_hosts;
    // Until then.
    pthread_t thread;
    atomic_bool is_stopping;
    // Calls of the host that may be inside the functions below while the last command ends, and the device closes.
    atomic_uint inside_count;
};

// Makes the ring and starts the thread. 0, or an errno with a reason.
int ring_engine_start(struct uring_device *device, unsigned queue_depth, struct medium_reason *reason);
// Waits for all that is under way.
void ring_engine_stop(struct uring_device *device);
// Passes the duty to submit and to take completions to the host. The event descriptor.
int ring_engine_hand_over(struct uring_device *device);

// With the device's lock held.
void ring_engine_queue(struct uring_device *device, struct uring_request *request);
// Around the two that follow, where the host calls them. With the device's lock held, or while a command of the caller
// is under way: the device cannot close before.
void ring_engine_begin(struct uring_device *device);
void ring_engine_end(struct uring_device *device);
// Shows the kernel what is queued. Any number of threads.
void ring_engine_submit(struct uring_device *device);
// Takes completions. One thread at a time. The number of commands completed.
size_t ring_engine_reap(struct uring_device *device);

#pragma GCC visibility pop

#endif
