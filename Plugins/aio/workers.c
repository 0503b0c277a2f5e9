// SPDX-License-Identifier: Apache-2.0
// The threads of a device that do what would keep an event loop waiting.

#define _GNU_SOURCE
#include "device.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

// Threads of one device: what goes through the page cache is mostly memcpy, and a disk sees enough of it with these.
enum { thread_limit = 4 };

struct aio_workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct aio_list jobs;
    size_t thread_count, idle_count;
    // Threads that were woken and have not looked yet.
    size_t waking_count;
    bool is_ending;
    pthread_t threads[thread_limit];
};

int aio_start_thread(pthread_t *thread, void *(*run)(void *), void *argument) {
    sigset_t all, before;
    // The host's signals are the host's to take; a fault is the thread's own.
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

// NULL when the workers shall end and nothing is queued.
static struct aio_command *take(struct aio_workers *workers) {
    pthread_mutex_lock(&workers->lock);
    while (workers->jobs.first == NULL && !workers->is_ending) {
        workers->idle_count++;
        pthread_cond_wait(&workers->wake, &workers->lock);
        workers->idle_count--;
        if (workers->waking_count > 0) workers->waking_count--;
    }
    struct aio_command *job = aio_list_pop(&workers->jobs);
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *run(void *argument) {
    struct aio_device *aio = argument;
    struct aio_command *job;
    tcmu_set_thread_name("aio-work", aio->dev);
    while ((job = take(aio->workers)) != NULL) {
        struct tcmur_cmd *command = job->command;
        int status = job->perform(aio, job);
        aio_give_back(aio, job);
        tcmur_cmd_complete(aio->dev, command, status);
    }
    return NULL;
}

int aio_workers_start(struct aio_device *aio) {
    struct aio_workers *workers = calloc(1, sizeof(*workers));
    if (workers == NULL) return ENOMEM;
    aio_list_clear(&workers->jobs);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    aio->workers = workers;
    // The first must be there; the others come when there is work for them.
    int error = aio_start_thread(&workers->threads[0], run, aio);
    if (error == 0) {
        workers->thread_count = 1;
    } else {
        aio_workers_stop(aio);
    }
    return error;
}

void aio_workers_stop(struct aio_device *aio) {
    struct aio_workers *workers = aio->workers;
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (size_t index = 0; index < workers->thread_count; index++) pthread_join(workers->threads[index], NULL);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
    aio->workers = NULL;
}

void aio_workers_queue(struct aio_device *aio, struct aio_list *commands) {
    struct aio_workers *workers = aio->workers;
    struct aio_command *command;
    size_t count = 0;
    if (commands->first == NULL) return;
    pthread_mutex_lock(&workers->lock);
    while ((command = aio_list_pop(commands)) != NULL) {
        aio_list_append(&workers->jobs, command);
        count++;
    }
    size_t sleeping = workers->idle_count - workers->waking_count;
    size_t woken = count < sleeping ? count : sleeping;
    workers->waking_count += woken;
    if (count > woken && workers->thread_count < thread_limit) {
        // Without another thread those that are there do it.
        if (aio_start_thread(&workers->threads[workers->thread_count], run, aio) == 0) workers->thread_count++;
    }
    // Before the lock is free: then a command may end, and the device with it.
    while (woken-- > 0) pthread_cond_signal(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
}
