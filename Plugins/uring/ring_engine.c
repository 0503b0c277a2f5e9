// SPDX-License-Identifier: Apache-2.0

#include "ring_engine.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "device.h"

// Completions that are taken under one lock.
enum { batch_count = 64 };

// Times that one thread shows the kernel what came in meanwhile, before it leaves the rest to whoever takes
// completions.
static const unsigned round_limit = 8;

static bool is_idle(struct uring_device *device) {
    pthread_mutex_lock(&device->lock);
    bool is_idle = device->ring.held_count == 0 && device->ring.waiting.first == NULL;
    pthread_mutex_unlock(&device->lock);
    return is_idle;
}

static void put(struct ring_engine *engine, struct uring_request *request) {
    uring_ring_put(&engine->ring, request);
    engine->held_count++;
    engine->unsubmitted_count++;
}

void ring_engine_queue(struct uring_device *device, struct uring_request *request) {
    struct ring_engine *engine = &device->ring;
    if (engine->held_count < engine->depth && engine->waiting.first == NULL) {
        put(engine, request);
    } else {
        uring_list_append(&engine->waiting, request);
    }
}

// Requests have ended: those that wait take their room.
static void admit(struct ring_engine *engine) {
    struct uring_request *request;
    while (engine->held_count < engine->depth && (request = uring_list_take(&engine->waiting)) != NULL) {
        put(engine, request);
    }
}

// The kernel takes nothing any more: what it has not taken ends with error.
static void give_up(struct uring_device *device, int error, struct uring_list *ended) {
    struct ring_engine *engine = &device->ring;
    struct uring_request *request;
    struct uring_list refused = {0};
    while ((request = uring_ring_take_back(&engine->ring)) != NULL) {
        engine->held_count--;
        uring_list_append(&refused, request);
    }
    engine->unsubmitted_count = 0;
    uring_list_move(&refused, &engine->waiting);
    // What an answer queues in its turn, as the next flush, meets the same end at the next submission.
    while ((request = uring_list_take(&refused)) != NULL) uring_device_answer(device, request, -error, ended);
}

// Whether the kernel may do later what it has refused now.
static bool is_temporary(int error) { return error == EAGAIN || error == EBUSY || error == ENOMEM; }

// One system call, with the lock given up meanwhile. False when it is not to be repeated now.
static bool enter(struct uring_device *device, struct uring_list *ended) {
    struct ring_engine *engine = &device->ring;
    unsigned count = engine->unsubmitted_count;
    pthread_mutex_unlock(&device->lock);
    int result = uring_ring_enter(&engine->ring, count);
    pthread_mutex_lock(&device->lock);
    if (result > 0) {
        engine->unsubmitted_count -= (unsigned)result;
        return true;
    }
    if (result == -EINTR) return true;
    if (result < 0 && !is_temporary(-result)) give_up(device, -result, ended);
    return false;
}

void ring_engine_submit(struct uring_device *device) {
    struct ring_engine *engine = &device->ring;
    struct uring_list ended = {0};
    pthread_mutex_lock(&device->lock);
    if (engine->is_submitting) {
        // That thread looks again before it ends.
        pthread_mutex_unlock(&device->lock);
        return;
    }
    engine->is_submitting = true;
    engine->is_pressed = false;
    unsigned round = 0;
    while (engine->unsubmitted_count > 0 && round < round_limit && enter(device, &ended)) round++;
    engine->is_submitting = false;
    bool is_unfinished = engine->unsubmitted_count > 0;
    if (is_unfinished) engine->is_pressed = true;
    pthread_mutex_unlock(&device->lock);
    uring_device_complete(device, &ended);
    // Whoever takes completions goes on.
    if (is_unfinished) uring_ring_raise_event(&engine->ring);
}

// Takes up to batch_count completions. False when there were none.
static bool take(struct uring_device *device, struct uring_list *ended) {
    struct ring_engine *engine = &device->ring;
    struct uring_completion completions[batch_count];
    size_t count = uring_ring_take(&engine->ring, completions, batch_count);
    if (count == 0) return false;
    pthread_mutex_lock(&device->lock);
    unsigned unsubmitted = engine->unsubmitted_count;
    engine->held_count -= (unsigned)count;
    for (size_t index = 0; index < count; index++) {
        uring_device_answer(device, completions[index].request, completions[index].result, ended);
    }
    admit(engine);
    if (engine->unsubmitted_count > unsubmitted) engine->is_pressed = true;
    pthread_mutex_unlock(&device->lock);
    return true;
}

size_t ring_engine_reap(struct uring_device *device) {
    struct ring_engine *engine = &device->ring;
    struct uring_list ended = {0};
    size_t count = 0;
    // Before looking: what comes later signals again.
    uring_ring_clear_event(&engine->ring);
    while (take(device, &ended)) count += uring_device_complete(device, &ended);
    pthread_mutex_lock(&device->lock);
    bool is_pressed = engine->is_pressed;
    pthread_mutex_unlock(&device->lock);
    if (is_pressed) ring_engine_submit(device);
    return count;
}

static void wait_for_event(const struct ring_engine *engine) {
    struct pollfd event = {.fd = engine->ring.event, .events = POLLIN};
    poll(&event, 1, -1);
}

static void *run(void *argument) {
    struct uring_device *device = argument;
    tcmu_set_thread_name("uring", device->dev);
    while (!atomic_load(&device->ring.is_stopping)) {
        wait_for_event(&device->ring);
        ring_engine_reap(device);
    }
    return NULL;
}

void ring_engine_begin(struct uring_device *device) {
    atomic_fetch_add_explicit(&device->ring.inside_count, 1, memory_order_relaxed);
}

void ring_engine_end(struct uring_device *device) {
    // Nothing of the device is touched afterwards.
    atomic_fetch_sub_explicit(&device->ring.inside_count, 1, memory_order_release);
}

int ring_engine_start(struct uring_device *device, unsigned queue_depth, struct medium_reason *reason) {
    struct ring_engine *engine = &device->ring;
    int error = uring_ring_open(&engine->ring, queue_depth, device->store.descriptor, reason);
    if (error != 0) return error;
    engine->depth = min(queue_depth, engine->ring.entry_count);
    error = uring_start_thread(&engine->thread, run, device);
    if (error == 0) return 0;
    snprintf(reason->text, sizeof(reason->text), "no thread can be started");
    uring_ring_close(&engine->ring);
    return error;
}

// Ends the device's own thread.
static void stop_thread(struct ring_engine *engine) {
    atomic_store(&engine->is_stopping, true);
    uring_ring_raise_event(&engine->ring);
    pthread_join(engine->thread, NULL);
}

int ring_engine_hand_over(struct uring_device *device) {
    struct ring_engine *engine = &device->ring;
    if (!engine->is_hosts) stop_thread(engine);
    engine->is_hosts = true;
    uring_ring_clear_event(&engine->ring);
    return engine->ring.event;
}

void ring_engine_stop(struct uring_device *device) {
    struct ring_engine *engine = &device->ring;
    if (!engine->is_hosts) stop_thread(engine);
    // The last command may have ended before the thread that submitted it has left.
    while (atomic_load_explicit(&engine->inside_count, memory_order_acquire) > 0) sched_yield();
    // The host closes a device only when all of its commands have ended. Were that broken, the kernel would go on
    // writing to memory that is no longer the command's.
    if (!is_idle(device)) tcmu_dev_err(device->dev, "closed with commands under way: waiting for them\n");
    while (!is_idle(device)) {
        ring_engine_submit(device);
        wait_for_event(engine);
        ring_engine_reap(device);
    }
    uring_ring_close(&engine->ring);
}
