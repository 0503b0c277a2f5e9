// SPDX-License-Identifier: Apache-2.0
// A store of 1 MiB in memory that misbehaves: while it starts, as START says when it is compiled; later, as the word
// behind "bad/" in its configuration string says. "bad/WORD FIFO" opens FIFO for writing before it hangs.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcmu-runner.h"

#define EXITS 1
#define ABORTS 2
#define CRASHES 3
#define HANGS 4
#define SPINS 5
#define CHANGES_SIGNALS 6
#define CRASHES_AT_LOADING 7
#define FAILS 8
#ifndef START
#define START 0
#endif
#ifndef THREADS
#define THREADS 1
#endif

#define MEDIUM_SIZE (1 << 20)

struct store {
    char word[32];
    struct tcmur_cmd *first;
    unsigned char medium[MEDIUM_SIZE];
};

static void hang(const char *cfgstring) {
    const char *fifo = strchr(cfgstring, ' ');
    if (fifo != NULL && open(fifo + 1, O_WRONLY) < 0) abort();
    while (1) pause();
}

static bool is(const char *cfgstring, const char *word) {
    size_t length = strlen(word);
    return strncmp(cfgstring + 4, word, length) == 0 && (cfgstring[4 + length] == 0 || cfgstring[4 + length] == ' ');
}

static bool bad_check_config(const char *cfgstring, char **reason) {
    (void)reason;
    if (is(cfgstring, "check-hangs")) hang(cfgstring);
    return true;
}

static int bad_open(struct tcmu_device *dev, bool reopen) {
    (void)reopen;
    char *string = tcmu_dev_get_cfgstring(dev);
    if (is(string, "open-hangs")) hang(string);
    struct store *store = calloc(1, sizeof *store);
    if (is(string, "open-fails")) {
        // As tcmu-runner's qcow handler leaves it.
        tcmur_dev_set_private(dev, (void *)-1);
        free(store);
        return -EIO;
    }
    snprintf(store->word, sizeof store->word, "%s", string + 4);
    tcmur_dev_set_private(dev, store);
    return 0;
}

static struct tcmu_device *closed_device;
static struct tcmur_cmd *closed_command;

static void *complete_after_close(void *argument) {
    (void)argument;
    for (int round = 0; round < 1000; round++) tcmur_cmd_complete(closed_device, closed_command, TCMU_STS_OK);
    return NULL;
}

static void bad_close(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    if (strcmp(store->word, "close-hangs") == 0) {
        while (1) pause();
    }
    if (strcmp(store->word, "late") == 0 && store->first != NULL) {
        tcmur_cmd_complete(dev, store->first, TCMU_STS_OK);
        closed_device = dev;
        closed_command = store->first;
        pthread_t thread;
        if (pthread_create(&thread, NULL, complete_after_close, NULL) == 0) pthread_detach(thread);
    }
    free(store);
}

static int end(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status) {
    if (THREADS > 0) return status;
    tcmur_cmd_complete(dev, cmd, status);
    return TCMU_STS_OK;
}

// Everything that a handler can reach of its command, but for what it completes it by.
static void scribble(struct tcmur_cmd *cmd, struct iovec *iovec) {
    iovec->iov_base = (void *)1;
    iovec->iov_len = (size_t)-1;
    memset(cmd->lib_cmd->sense_buf, 0xff, sizeof cmd->lib_cmd->sense_buf);
    memset(cmd->lib_cmd->cdb, 0xff, 16);
    cmd->lib_cmd->iovec = NULL;
    cmd->lib_cmd->iov_cnt = (size_t)-1;
    cmd->lib_cmd = NULL;
    cmd->iovec = NULL;
    cmd->requested = (size_t)-1;
}

// What handlers with direct I/O lean on: one element, page-aligned.
static bool is_as_promised(const struct iovec *iovec, size_t count, size_t length) {
    return count == 1 && iovec->iov_len == length && (uintptr_t)iovec->iov_base % 4096 == 0;
}

static int bad_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    struct store *store = tcmur_dev_get_private(dev);
    if (!is_as_promised(iovec, count, length)) return TCMU_STS_HW_ERR;
    memcpy(iovec->iov_base, store->medium + offset, length);
    if (strcmp(store->word, "never") == 0) {
        tcmu_dev_warn(dev, "keeps a command\n");
        if (THREADS > 0) while (1) pause();
        return TCMU_STS_OK;
    }
    if (strcmp(store->word, "spins") == 0) {
        static volatile int forever = 1;
        while (forever) {}
    }
    if (strcmp(store->word, "nonsense") == 0) return end(dev, cmd, offset == 0 ? 12345 : -EIO);
    if (strcmp(store->word, "scribbles") == 0) scribble(cmd, iovec);
    if (store->first == NULL) store->first = cmd;
    int status = end(dev, cmd, TCMU_STS_OK);
    if (strcmp(store->word, "twice") == 0) tcmur_cmd_complete(dev, cmd, TCMU_STS_RD_ERR);
    return status;
}

static int bad_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    struct store *store = tcmur_dev_get_private(dev);
    if (!is_as_promised(iovec, count, length)) return TCMU_STS_HW_ERR;
    memcpy(store->medium + offset, iovec->iov_base, length);
    if (strcmp(store->word, "scribbles") == 0) scribble(cmd, iovec);
    return end(dev, cmd, TCMU_STS_OK);
}

static int bad_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct store *store = tcmur_dev_get_private(dev);
    if (strcmp(store->word, "flush-hangs") == 0) {
        if (THREADS == 0) return TCMU_STS_OK;
        while (1) pause();
    }
    return end(dev, cmd, TCMU_STS_OK);
}

static struct tcmur_handler handler = {
    .name = "Bad",
    .subtype = "bad",
    .cfg_desc = "what to do wrong",
    .check_config = bad_check_config,
    .open = bad_open,
    .close = bad_close,
    .nr_threads = THREADS,
    .read = bad_read,
    .write = bad_write,
    .flush = bad_flush,
};

#if START == CRASHES_AT_LOADING
__attribute__((constructor)) static void crash_at_loading(void) { abort(); }
#endif

int handler_init(void) {
    static volatile int start = START;
    static int *volatile nowhere = NULL;
    sigset_t all;
    switch (start) {
    case EXITS: exit(7);
    case ABORTS: abort();
    case CRASHES: *nowhere = 1; break;
    case HANGS:
        while (1) pause();
    case SPINS:
        while (start == SPINS) {}
        break;
    case CHANGES_SIGNALS:
        sigfillset(&all);
        pthread_sigmask(SIG_UNBLOCK, &all, NULL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_IGN);
        signal(SIGPIPE, SIG_DFL);
        break;
    case FAILS:
        tcmu_err("the bad handler cannot find its store\n");
        return -5;
    default: break;
    }
    return tcmur_register_handler(&handler);
}
