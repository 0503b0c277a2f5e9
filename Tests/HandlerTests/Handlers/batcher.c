// SPDX-License-Identifier: Apache-2.0
// A store in memory that takes commands in batches: "batcher/log=FILE". Callouts queue, submit hands what is queued to
// a thread that performs it, and reap completes it. What it was asked to do it writes down, one a line.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "martlet-handler.h"

// What completion_descriptor answers instead of a descriptor; 0: a good one.
#ifndef ANSWER
#define ANSWER 0
#endif
#ifndef FLAGS
#define FLAGS (MARTLET_HANDLER_NEVER_BLOCKS | MARTLET_HANDLER_VECTORED)
#endif
// Worker threads of the host's, in which commands are performed at once; 0: batches.
#ifndef THREADS
#define THREADS 0
#endif
// A command that touches this byte fails; a write that begins there loses the connection.
#ifndef BAD_BYTE
#define BAD_BYTE (MEDIUM_SIZE - 1)
#endif

#define MEDIUM_SIZE (1 << 20)
#define LIMIT 4096

struct job {
    struct tcmur_cmd *command;
    struct iovec *vector;
    size_t count, length;
    off_t offset;
    char kind;
    int status;
};

struct list {
    struct job jobs[LIMIT];
    size_t count;
};

struct store {
    int log, event;
    bool is_told, is_ending;
    atomic_int reaping;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list queued, submitted, ended;
    struct tcmu_device *dev;
    unsigned char medium[MEDIUM_SIZE];
};

static void note(struct store *store, const char *format, long first, long second, long third) {
    char line[128];
    int length = snprintf(line, sizeof line, format, first, second, third);
    if (write(store->log, line, (size_t)length) != length) abort();
}

static void move(struct list *to, struct list *from) {
    memcpy(to->jobs + to->count, from->jobs, from->count * sizeof *from->jobs);
    to->count += from->count;
    from->count = 0;
}

static void perform(struct store *store, struct job *job) {
    job->status = TCMU_STS_OK;
    if (job->kind == 'f') return;
    if (job->offset <= BAD_BYTE && BAD_BYTE < job->offset + (off_t)job->length) {
        job->status = job->kind == 'r' ? TCMU_STS_RD_ERR : TCMU_STS_WR_ERR;
        return;
    }
    if (job->kind == 'r') tcmu_memcpy_into_iovec(job->vector, job->count, store->medium + job->offset, job->length);
    if (job->kind == 'w') tcmu_memcpy_from_iovec(store->medium + job->offset, job->length, job->vector, job->count);
    if (strncmp((char *)store->medium + job->offset, "lost", 4) == 0) {
        memset(store->medium + job->offset, 0, 4);
        tcmu_notify_conn_lost(store->dev);
    }
}

static void *work(void *argument) {
    struct store *store = argument;
    struct list *mine = calloc(1, sizeof *mine);
    pthread_mutex_lock(&store->lock);
    for (;;) {
        while (store->submitted.count == 0 && !store->is_ending) pthread_cond_wait(&store->changed, &store->lock);
        if (store->submitted.count == 0) break;
        move(mine, &store->submitted);
        pthread_mutex_unlock(&store->lock);
        for (size_t index = 0; index < mine->count; index++) perform(store, &mine->jobs[index]);
        for (size_t index = 0; index < mine->count && !store->is_told; index++) {
            tcmur_cmd_complete(store->dev, mine->jobs[index].command, mine->jobs[index].status);
        }
        pthread_mutex_lock(&store->lock);
        if (store->is_told) {
            move(&store->ended, mine);
            eventfd_write(store->event, 1);
        }
        mine->count = 0;
    }
    pthread_mutex_unlock(&store->lock);
    free(mine);
    return NULL;
}

static int batcher_open(struct tcmu_device *dev, bool reopen) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", strstr(tcmu_dev_get_cfgstring(dev), "log=") + 4);
    struct store *store = calloc(1, sizeof *store);
    store->dev = dev;
    store->log = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    store->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    note(store, reopen ? "open again\n" : "open\n", 0, 0, 0);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->changed, NULL);
    pthread_create(&store->thread, NULL, work, store);
    tcmur_dev_set_private(dev, store);
    return 0;
}

static void batcher_close(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    pthread_mutex_lock(&store->lock);
    if (store->queued.count + store->submitted.count + store->ended.count > 0) note(store, "left behind\n", 0, 0, 0);
    store->is_ending = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    note(store, "close\n", 0, 0, 0);
    close(store->log);
    close(store->event);
    // Whoever comes later finds it.
    memset(store, 0xEE, sizeof *store);
    free(store);
}

static int queue(struct tcmu_device *dev, struct job job) {
    struct store *store = tcmur_dev_get_private(dev);
    pthread_mutex_lock(&store->lock);
    if (THREADS > 0) {
        perform(store, &job);
        pthread_mutex_unlock(&store->lock);
        return job.status;
    }
    struct list *list = store->is_told ? &store->queued : &store->submitted;
    list->jobs[list->count++] = job;
    if (!store->is_told) pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
    return TCMU_STS_OK;
}

static int batcher_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    struct store *store = tcmur_dev_get_private(dev);
    note(store, "read %ld at %ld in %ld\n", (long)length, (long)offset, (long)count);
    return queue(dev, (struct job){cmd, iovec, count, length, offset, 'r', 0});
}

static int batcher_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    struct store *store = tcmur_dev_get_private(dev);
    note(store, "write %ld at %ld in %ld\n", (long)length, (long)offset, (long)count);
    return queue(dev, (struct job){cmd, iovec, count, length, offset, 'w', 0});
}

static int batcher_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    note(tcmur_dev_get_private(dev), "flush\n", 0, 0, 0);
    return queue(dev, (struct job){cmd, NULL, 0, 0, 0, 'f', 0});
}

static int completion_descriptor(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    if (ANSWER != 0) return ANSWER;
    store->is_told = true;
    return store->event;
}

static void submit(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    pthread_mutex_lock(&store->lock);
    note(store, "submit %ld\n", (long)store->queued.count, 0, 0);
    move(&store->submitted, &store->queued);
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

static size_t reap(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    struct list *mine = calloc(1, sizeof *mine);
    eventfd_t count;
    if (atomic_fetch_add(&store->reaping, 1) != 0) note(store, "two reap at once\n", 0, 0, 0);
    eventfd_read(store->event, &count);
    pthread_mutex_lock(&store->lock);
    move(mine, &store->ended);
    pthread_mutex_unlock(&store->lock);
    for (size_t index = 0; index < mine->count; index++) {
        tcmur_cmd_complete(dev, mine->jobs[index].command, mine->jobs[index].status);
    }
    size_t ended = mine->count;
    free(mine);
    atomic_fetch_sub(&store->reaping, 1);
    return ended;
}

static struct tcmur_handler handler = {
    .name = "Batcher",
    .subtype = "batcher",
    .cfg_desc = "log=FILE",
    .open = batcher_open,
    .close = batcher_close,
    .nr_threads = THREADS,
    .read = batcher_read,
    .write = batcher_write,
    .flush = batcher_flush,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof extension,
    .version = 2,
    .flags = FLAGS,
    .completion_descriptor = completion_descriptor,
    .submit = submit,
    .reap = reap,
};

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }

int handler_init(void) { return tcmur_register_handler(&handler); }
