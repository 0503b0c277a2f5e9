// SPDX-License-Identifier: Apache-2.0
// A handler that keeps reads, writes and zeroes until a flush comes, and that is told when they are cancelled.
//
//     THREADS=N    nr_threads. Above 0 a callout waits until its command is cancelled or a flush comes
//     CANCEL=WAY   what cancel does with a command that is there:
//                  0 nothing; 1 ends it; 2 has another thread end it, and waits for that; 3 ends it as done; 4 ends it
//                  twice; 5 has another thread end it, some time
//     CROWD        a thread ends commands in any order, all the time
//     HEALTH=N     what health answers; REASON is its sentence; -1: an error
// The configuration string is canceller/log=PATH; each call is a line there, and a message.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "martlet-handler.h"
#include "ccan/list/list.h"

#ifndef THREADS
#define THREADS 0
#endif
#ifndef CANCEL
#define CANCEL 1
#endif
#ifndef HEALTH
#define HEALTH 0
#endif
#ifndef REASON
#define REASON ""
#endif

#define MEDIUM_SIZE (1 << 20)

struct held {
    struct list_node entry;
    struct tcmur_cmd *cmd;
    int status;
    bool is_ended;
};

static struct {
    struct tcmu_device *dev;
    FILE *log;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct list_head held;
    pthread_t crowd;
    bool is_closing;
    unsigned flush_count;
} it = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void say(const char *words) {
    fprintf(it.log, "%s\n", words);
    fflush(it.log);
    tcmu_dev_info(it.dev, "says %s\n", words);
}

// NULL when the command is not held. With the lock held.
static struct held *find(struct tcmur_cmd *cmd) {
    struct held *each;
    list_for_each(&it.held, each, entry)
        if (each->cmd == cmd) return each;
    return NULL;
}

static void finish(struct held *held, int status) {
    struct tcmur_cmd *cmd = held->cmd;
    free(held);
    tcmur_cmd_complete(it.dev, cmd, status);
}

#ifdef CROWD
static void *crowd(void *argument) {
    (void)argument;
    pthread_mutex_lock(&it.lock);
    while (!it.is_closing || !list_empty(&it.held)) {
        struct held *held = list_tail(&it.held, struct held, entry);
        if (held == NULL) {
            pthread_cond_wait(&it.changed, &it.lock);
            continue;
        }
        list_del(&held->entry);
        pthread_mutex_unlock(&it.lock);
        finish(held, TCMU_STS_OK);
        pthread_mutex_lock(&it.lock);
    }
    pthread_mutex_unlock(&it.lock);
    return NULL;
}
#endif

static int open_it(struct tcmu_device *dev, bool reopen) {
    (void)reopen;
    it.dev = dev;
    it.log = fopen(strstr(tcmu_dev_get_cfgstring(dev), "log=") + 4, "a");
    list_head_init(&it.held);
    it.is_closing = false;
    it.flush_count = 0;
    if (it.log == NULL) return -errno;
#ifdef CROWD
    pthread_create(&it.crowd, NULL, crowd, NULL);
#endif
    return 0;
}

static void close_it(struct tcmu_device *dev) {
    (void)dev;
    pthread_mutex_lock(&it.lock);
    it.is_closing = true;
    pthread_cond_broadcast(&it.changed);
    if (!list_empty(&it.held)) say("closed with commands under way");
    pthread_mutex_unlock(&it.lock);
#ifdef CROWD
    pthread_join(it.crowd, NULL);
#endif
    fclose(it.log);
}

static int hold(struct tcmur_cmd *cmd, const char *words) {
    struct held *held = calloc(1, sizeof(*held));
    held->cmd = cmd;
    pthread_mutex_lock(&it.lock);
#ifndef CROWD
    say(words);
#else
    (void)words;
#endif
    list_add_tail(&it.held, &held->entry);
    pthread_cond_broadcast(&it.changed);
    int status = TCMU_STS_OK;
#if THREADS > 0
    unsigned flush_count = it.flush_count;
    while (!held->is_ended && it.flush_count == flush_count) pthread_cond_wait(&it.changed, &it.lock);
    list_del(&held->entry);
    status = held->status;
    free(held);
#endif
    pthread_mutex_unlock(&it.lock);
    return status;
}

static int read_it(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t iov_cnt, size_t length, off_t offset) {
    (void)dev, (void)iov, (void)iov_cnt, (void)length, (void)offset;
    return hold(cmd, "read");
}

static int write_it(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t iov_cnt, size_t length, off_t offset) {
    (void)dev, (void)iov, (void)iov_cnt, (void)length, (void)offset;
    return hold(cmd, "write");
}

static int write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    char words[100];
    (void)dev;
    snprintf(words, sizeof(words), "zeroes %llu+%llu flags %u", (unsigned long long)offset,
             (unsigned long long)length, flags);
    return hold(cmd, words);
}

static int flush_it(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct held *held;
    pthread_mutex_lock(&it.lock);
    say("flush");
    it.flush_count++;
    pthread_cond_broadcast(&it.changed);
    while (THREADS == 0 && (held = list_pop(&it.held, struct held, entry)) != NULL) {
        pthread_mutex_unlock(&it.lock);
        finish(held, TCMU_STS_OK);
        pthread_mutex_lock(&it.lock);
    }
    pthread_mutex_unlock(&it.lock);
    if (THREADS == 0) tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

static void *end_elsewhere(void *held) {
    finish(held, TCMU_STS_TIMEOUT);
    return NULL;
}

static void cancel(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    pthread_t thread;
    pthread_mutex_lock(&it.lock);
    struct held *held = find(cmd);
#ifndef CROWD
    say(held != NULL ? "cancel" : "cancel of an unknown command");
#endif
    if (held == NULL || CANCEL == 0) {
        pthread_mutex_unlock(&it.lock);
        return;
    }
    if (THREADS > 0) {
        held->status = TCMU_STS_TIMEOUT;
        held->is_ended = true;
        pthread_cond_broadcast(&it.changed);
        pthread_mutex_unlock(&it.lock);
        return;
    }
    list_del(&held->entry);
    pthread_mutex_unlock(&it.lock);
    switch (CANCEL) {
    case 2:
    case 5:
        pthread_create(&thread, NULL, end_elsewhere, held);
        if (CANCEL == 2) {
            pthread_join(thread, NULL);
        } else {
            pthread_detach(thread);
        }
        break;
    case 4:
        finish(held, TCMU_STS_TIMEOUT);
        tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
        break;
    default:
        finish(held, CANCEL == 3 ? TCMU_STS_OK : TCMU_STS_TIMEOUT);
        break;
    }
}

static int health(struct tcmu_device *dev, struct martlet_health *answer) {
    (void)dev;
    if (HEALTH < 0) return HEALTH;
    answer->state = HEALTH;
    snprintf(answer->reason, sizeof(answer->reason), "%s", REASON);
    return 0;
}

struct tcmur_handler canceller_handler = {
    .name = "Canceller",
    .subtype = "canceller",
    .open = open_it,
    .close = close_it,
    .read = read_it,
    .write = write_it,
    .flush = flush_it,
    .nr_threads = THREADS,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof(extension),
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = (THREADS == 0 ? MARTLET_HANDLER_NEVER_BLOCKS : 0) | MARTLET_HANDLER_ZEROING_UNMAPS,
    .write_zeroes = write_zeroes,
    .cancel = cancel,
    .health = health,
};

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }

int handler_init(void) { return tcmur_register_handler(&canceller_handler); }
