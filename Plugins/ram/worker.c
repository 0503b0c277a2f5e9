// SPDX-License-Identifier: Apache-2.0

#include "worker.h"

#include <signal.h>
#include <stdlib.h>

// NULL when the worker shall end and nothing is queued.
static struct ram_job *take(struct ram_worker *worker) {
    pthread_mutex_lock(&worker->lock);
    while (worker->first == NULL && !worker->is_ending) pthread_cond_wait(&worker->wake, &worker->lock);
    struct ram_job *job = worker->first;
    if (job != NULL) {
        worker->first = job->next;
        if (worker->first == NULL) worker->last = &worker->first;
    }
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void *run(void *argument) {
    struct ram_worker *worker = argument;
    struct ram_job *job;
    tcmu_set_thread_name("ram", worker->dev);
    while ((job = take(worker)) != NULL) {
        int status = job->perform(worker->dev, job);
        tcmur_cmd_complete(worker->dev, job->command, status);
        free(job);
    }
    return NULL;
}

int ram_worker_start(struct ram_worker *worker, struct tcmu_device *dev) {
    sigset_t all, before;
    worker->dev = dev;
    worker->first = NULL;
    worker->last = &worker->first;
    worker->is_ending = false;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    // The host's signals are the host's to take; a fault is the thread's own.
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->lock);
    }
    return error;
}

void ram_worker_stop(struct ram_worker *worker) {
    pthread_mutex_lock(&worker->lock);
    worker->is_ending = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
}

int ram_worker_queue(struct ram_worker *worker, const struct ram_job *job) {
    struct ram_job *copy = malloc(sizeof(*copy));
    if (copy == NULL) return TCMU_STS_NO_RESOURCE;
    *copy = *job;
    copy->next = NULL;
    pthread_mutex_lock(&worker->lock);
    *worker->last = copy;
    worker->last = &copy->next;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    return TCMU_STS_OK;
}
