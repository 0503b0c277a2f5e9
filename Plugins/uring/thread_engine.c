// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "thread_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"

int uring_start_thread(pthread_t *thread, void *(*run)(void *argument), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

// One step of request: what the kernel answers, bytes or -errno.
static int64_t perform(int descriptor, const struct uring_request *request) {
    int count = (int)min(request->iov_cnt, (size_t)URING_VECTOR_LIMIT);
    off_t offset = (off_t)request->offset;
    int64_t result = -1;
    switch (request->operation) {
    case URING_READ:
        result = preadv(descriptor, request->iovec, count, offset);
        break;
    case URING_WRITE:
    case URING_WRITE_ZEROES:
        result = pwritev(descriptor, request->iovec, count, offset);
        break;
    case URING_FLUSH:
        result = fdatasync(descriptor);
        break;
    case URING_UNMAP:
        result = fallocate(
            descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)request->length);
        break;
    case URING_ZERO:
        result = fallocate(
            descriptor, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, (off_t)request->length);
        break;
    }
    return result >= 0 ? result : -errno;
}

static void *run(void *argument) {
    struct uring_device *device = argument;
    struct thread_engine *engine = &device->threads;
    tcmu_set_thread_name("uring", device->dev);
    pthread_mutex_lock(&device->lock);
    for (;;) {
        struct uring_request *request = uring_list_take(&engine->waiting);
        if (request == NULL) {
            if (engine->is_ending) break;
            pthread_cond_wait(&engine->wake, &device->lock);
            continue;
        }
        struct uring_list ended = {0};
        pthread_mutex_unlock(&device->lock);
        int64_t result = perform(device->store.descriptor, request);
        pthread_mutex_lock(&device->lock);
        uring_device_answer(device, request, result, &ended);
        pthread_mutex_unlock(&device->lock);
        uring_device_complete(device, &ended);
        pthread_mutex_lock(&device->lock);
    }
    pthread_mutex_unlock(&device->lock);
    return NULL;
}

int thread_engine_start(struct uring_device *device) {
    struct thread_engine *engine = &device->threads;
    pthread_cond_init(&engine->wake, NULL);
    while (engine->thread_count < URING_THREAD_COUNT) {
        int error = uring_start_thread(&engine->threads[engine->thread_count], run, device);
        if (error != 0) {
            thread_engine_stop(device);
            return error;
        }
        engine->thread_count++;
    }
    return 0;
}

void thread_engine_stop(struct uring_device *device) {
    struct thread_engine *engine = &device->threads;
    pthread_mutex_lock(&device->lock);
    engine->is_ending = true;
    pthread_cond_broadcast(&engine->wake);
    pthread_mutex_unlock(&device->lock);
    for (unsigned index = 0; index < engine->thread_count; index++) pthread_join(engine->threads[index], NULL);
    pthread_cond_destroy(&engine->wake);
}

void thread_engine_queue(struct uring_device *device, struct uring_request *request) {
    uring_list_append(&device->threads.waiting, request);
    pthread_cond_signal(&device->threads.wake);
}
