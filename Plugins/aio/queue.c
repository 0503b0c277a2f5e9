// SPDX-License-Identifier: Apache-2.0
// The kernel's queue: what is queued is given to it in batches, and its completions are taken in batches.

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device.h"

enum {
    // Commands of one io_submit, events of one io_getevents: their arrays fit a few KiB of stack.
    batch_size = 128,
    // Commands that are allocated at a time, when there are more at once than ever before.
    chunk_size = 64,
};

struct aio_chunk {
    struct aio_chunk *next;
    struct aio_command commands[chunk_size];
};

static bool add_chunk(struct aio_device *aio) {
    struct aio_chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL) return false;
    chunk->next = aio->chunks;
    aio->chunks = chunk;
    for (size_t index = 0; index < chunk_size; index++) {
        chunk->commands[index].next = aio->free;
        aio->free = &chunk->commands[index];
    }
    return true;
}

// Asks for as many commands as the system has left: fs.aio-max-nr limits all processes together.
static void make_context(struct aio_device *aio, unsigned depth) {
    int result = -EINVAL;
    for (aio->depth = depth; aio->depth > 0; aio->depth /= 2) {
        result = io_setup((int)aio->depth, &aio->context);
        if (result != -EAGAIN) break;
    }
    if (result == 0 && aio->depth < depth) {
        tcmu_dev_warn(
            aio->dev, "the kernel has a queue of %u commands only instead of %u: raise fs.aio-max-nr\n", aio->depth,
            depth);
    }
    if (result == 0) return;
    aio->context = 0;
    aio->depth = 1;
    aio_leave_kernel(aio, result == -EAGAIN ? "fs.aio-max-nr is used up" : "the kernel makes none");
}

int aio_queue_open(struct aio_device *aio, unsigned depth) {
    aio->depth = depth;
    aio_list_clear(&aio->queued);
    aio->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (aio->event < 0) return -errno;
    pthread_mutex_init(&aio->lock, NULL);
    pthread_cond_init(&aio->idle, NULL);
    pthread_rwlock_init(&aio->mode, NULL);
    for (unsigned count = 0; count < depth; count += chunk_size) {
        if (add_chunk(aio)) continue;
        aio_queue_close(aio);
        return -ENOMEM;
    }
    if (atomic_load(&aio->uses_kernel)) make_context(aio, depth);
    return 0;
}

void aio_queue_close(struct aio_device *aio) {
    if (aio->has_completer) {
        atomic_store(&aio->is_ending, true);
        eventfd_write(aio->event, 1);
        pthread_join(aio->completer, NULL);
    }
    if (aio->context != 0) io_destroy(aio->context);
    close(aio->event);
    pthread_rwlock_destroy(&aio->mode);
    pthread_cond_destroy(&aio->idle);
    pthread_mutex_destroy(&aio->lock);
    while (aio->chunks != NULL) {
        struct aio_chunk *chunk = aio->chunks;
        aio->chunks = chunk->next;
        free(chunk);
    }
}

struct aio_command *aio_take(struct aio_device *aio) {
    pthread_mutex_lock(&aio->lock);
    struct aio_command *command = aio->free != NULL || add_chunk(aio) ? aio->free : NULL;
    if (command != NULL) aio->free = command->next;
    pthread_mutex_unlock(&aio->lock);
    return command;
}

void aio_give_back(struct aio_device *aio, struct aio_command *command) {
    pthread_mutex_lock(&aio->lock);
    command->next = aio->free;
    aio->free = command;
    pthread_mutex_unlock(&aio->lock);
}

// The body of the thread that reaps when the host does not.
static void *complete(void *argument) {
    struct aio_device *aio = argument;
    struct pollfd look = {.fd = aio->event, .events = POLLIN};
    tcmu_set_thread_name("aio", aio->dev);
    while (!atomic_load(&aio->is_ending)) {
        if (poll(&look, 1, -1) > 0) aio_reap(aio);
    }
    return NULL;
}

void aio_queue(struct aio_device *aio, struct aio_command *command) {
    bool has_batching_host = aio->has_batching_host;
    pthread_mutex_lock(&aio->lock);
    if (!has_batching_host && !aio->has_completer && atomic_load(&aio->uses_kernel)) {
        aio->has_completer = aio_start_thread(&aio->completer, complete, aio) == 0;
        if (!aio->has_completer) aio_leave_kernel(aio, "there is no thread to watch it");
    }
    aio_list_append(&aio->queued, command);
    // A host that submits may find the command, complete it and close the device as soon as the lock is free.
    pthread_mutex_unlock(&aio->lock);
    if (!has_batching_host) aio_submit(aio);
}

void aio_leave_direct(struct aio_device *aio, const char *reason) {
    pthread_rwlock_wrlock(&aio->mode);
    if (atomic_load(&aio->is_direct)) {
        // Nothing is given to the kernel from here on, and what it has it ends by itself.
        atomic_store(&aio->uses_kernel, false);
        pthread_mutex_lock(&aio->lock);
        while (aio->in_flight > 0) pthread_cond_wait(&aio->idle, &aio->lock);
        pthread_mutex_unlock(&aio->lock);
        aio_store_leave_direct(&aio->store);
        atomic_store(&aio->is_direct, false);
        tcmu_dev_warn(
            aio->dev, "direct I/O is not possible, %s: threads do the I/O, through the page cache\n", reason);
    }
    pthread_rwlock_unlock(&aio->mode);
}

void aio_leave_kernel(struct aio_device *aio, const char *reason) {
    if (!atomic_exchange(&aio->uses_kernel, false)) return;
    tcmu_dev_warn(aio->dev, "the kernel's queue cannot be used, %s: threads do the I/O\n", reason);
}

// These commands are no longer the kernel's. Under the lock.
static void retire(struct aio_device *aio, size_t count) {
    aio->in_flight -= (unsigned)count;
    if (aio->in_flight == 0) pthread_cond_broadcast(&aio->idle);
}

// The kernel takes nothing more. What it has it will complete, and then it is asked again; if it has nothing, nobody
// would ask, and workers do what is queued. Returns what is theirs.
static struct aio_list put_back(struct aio_device *aio, struct iocb **iocbs, size_t count) {
    struct aio_list rest, workers;
    aio_list_clear(&rest);
    aio_list_clear(&workers);
    for (size_t index = 0; index < count; index++) aio_list_append(&rest, (struct aio_command *)iocbs[index]);
    pthread_mutex_lock(&aio->lock);
    aio_list_prepend(&aio->queued, &rest);
    retire(aio, count);
    aio->is_held_back = aio->in_flight > 0;
    if (aio->in_flight == 0) aio_list_prepend(&workers, &aio->queued);
    pthread_mutex_unlock(&aio->lock);
    return workers;
}

static void hand_over(struct aio_device *aio, struct aio_command *command) {
    struct aio_list list;
    aio_list_clear(&list);
    aio_list_append(&list, command);
    pthread_mutex_lock(&aio->lock);
    retire(aio, 1);
    pthread_mutex_unlock(&aio->lock);
    aio_workers_queue(aio, &list);
}

static void prepare(struct aio_device *aio, struct iocb **iocbs, size_t count) {
    for (size_t index = 0; index < count; index++) aio_prepare(aio, (struct aio_command *)iocbs[index]);
}

// Gives commands to the kernel. False when it takes no more for now.
static bool start(struct aio_device *aio, struct iocb **iocbs, size_t count) {
    size_t done = 0;
    prepare(aio, iocbs, count);
    while (done < count) {
        int result = io_submit(aio->context, (long)(count - done), iocbs + done);
        if (result > 0) {
            done += (size_t)result;
        } else if (result == 0 || result == -EAGAIN) {
            struct aio_list workers = put_back(aio, iocbs + done, count - done);
            aio_workers_queue(aio, &workers);
            return false;
        } else if (result == -EOPNOTSUPP && atomic_exchange(&aio->refuses_to_wait, false)) {
            prepare(aio, iocbs + done, count - done);
        } else {
            // Its error is about the first of them.
            hand_over(aio, (struct aio_command *)iocbs[done++]);
        }
    }
    return true;
}

void aio_submit(struct aio_device *aio) {
    struct iocb *batch[batch_size];
    size_t count;
    do {
        count = 0;
        pthread_mutex_lock(&aio->lock);
        if (!atomic_load(&aio->uses_kernel)) {
            struct aio_list workers;
            aio_list_clear(&workers);
            aio_list_prepend(&workers, &aio->queued);
            pthread_mutex_unlock(&aio->lock);
            aio_workers_queue(aio, &workers);
            return;
        }
        while (count < batch_size && aio->in_flight < aio->depth && aio->queued.first != NULL) {
            batch[count++] = &aio_list_pop(&aio->queued)->iocb;
            aio->in_flight++;
        }
        aio->is_held_back = aio->queued.first != NULL;
        pthread_mutex_unlock(&aio->lock);
    } while (count > 0 && start(aio, batch, count));
}

// What the events of one io_getevents come to.
struct outcome {
    struct aio_command *ended;
    struct aio_list again, workers;
};

static void take_event(struct aio_device *aio, const struct io_event *event, struct outcome *outcome) {
    struct aio_command *command = (struct aio_command *)event->obj;
    int status = TCMU_STS_OK;
    switch (aio_progress(aio, command, (long)event->res, &status)) {
    case AIO_ENDED:
        tcmur_cmd_complete(aio->dev, command->command, status);
        command->next = outcome->ended;
        outcome->ended = command;
        break;
    case AIO_GOES_ON: aio_list_append(&outcome->again, command); break;
    case AIO_NEEDS_WORKER: aio_list_append(&outcome->workers, command); break;
    }
}

// Returns the commands ended; sets whether there is something to submit.
static size_t take_events(struct aio_device *aio, const struct io_event *events, size_t count, bool *has_work) {
    struct outcome outcome = {.ended = NULL};
    size_t ended = 0;
    aio_list_clear(&outcome.again);
    aio_list_clear(&outcome.workers);
    for (size_t index = 0; index < count; index++) take_event(aio, &events[index], &outcome);
    pthread_mutex_lock(&aio->lock);
    while (outcome.ended != NULL) {
        struct aio_command *command = outcome.ended;
        outcome.ended = command->next;
        command->next = aio->free;
        aio->free = command;
        ended++;
    }
    retire(aio, count);
    if (outcome.again.first != NULL) aio->is_held_back = true;
    aio_list_prepend(&aio->queued, &outcome.again);
    *has_work = *has_work || aio->is_held_back;
    pthread_mutex_unlock(&aio->lock);
    aio_workers_queue(aio, &outcome.workers);
    return ended;
}

size_t aio_reap(struct aio_device *aio) {
    struct io_event events[batch_size];
    struct timespec no_time = {0};
    size_t ended = 0;
    bool has_work = false;
    eventfd_t ignored;
    // First: what completes from here on signals again.
    (void)eventfd_read(aio->event, &ignored);
    if (aio->context == 0) return 0;
    int count;
    do {
        count = io_getevents(aio->context, 0, batch_size, events, &no_time);
        if (count > 0) ended += take_events(aio, events, (size_t)count, &has_work);
    } while (count == batch_size || count == -EINTR);
    if (has_work) aio_submit(aio);
    return ended;
}
