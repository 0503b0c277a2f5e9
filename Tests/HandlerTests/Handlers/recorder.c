// SPDX-License-Identifier: Apache-2.0
// A store in memory that writes down its calls, one a line, to the file named in its configuration string:
// "recorder/log=FILE" with words behind it that make it misbehave. THREADS, BEHAVIOUR and others are set when it is
// compiled.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "martlet-handler.h"
#include "tcmu-runner.h"

#ifndef THREADS
#define THREADS 1
#endif
#ifndef SUBTYPE
#define SUBTYPE "recorder"
#endif

// What a read does.
#define RETURNS 0             // OK is the end
#define COMPLETES_INLINE 1    // completes before it returns
#define COMPLETES_IN_THREAD 2 // completes from a thread of its own
#define COMPLETES_TWICE 3
#define COMPLETES_AND_FAILS 4 // completes with OK, and returns an error
#define STATUS_OF_BLOCK 5     // returns or completes with the number of the block, less 300
#define MEETS_OTHERS 6        // waits until WIDTH reads are inside
#define WAITS_AT_GATE 7       // completes from a thread, when somebody writes to the pipe FILE.gate
#ifndef BEHAVIOUR
#define BEHAVIOUR RETURNS
#endif
#ifndef WIDTH
#define WIDTH 1
#endif

#define MEDIUM_SIZE (1 << 20)

struct store {
    int log;
    char gate[PATH_MAX];
    int reopen_failures;
    unsigned char medium[MEDIUM_SIZE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside, most_inside, arrived;

static void note(int log, const char *format, long value) {
    char line[128];
    int length = snprintf(line, sizeof line, format, value);
    if (write(log, line, (size_t)length) != length) abort();
}

static int open_log(const char *cfgstring, char *path) {
    const char *start = strstr(cfgstring, "log=");
    if (start == NULL) return -1;
    size_t length = strcspn(start + 4, " ");
    memcpy(path, start + 4, length);
    path[length] = 0;
    return open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
}

static bool check_config(const char *cfgstring, char **reason) {
    char path[PATH_MAX];
    int log = open_log(cfgstring, path);
    if (log >= 0) {
        note(log, "check_config\n", 0);
        close(log);
    }
    if (strstr(cfgstring, " refuse") != NULL) *reason = strdup("it asks to be refused");
    return strstr(cfgstring, " refuse") == NULL && strstr(cfgstring, " mute") == NULL;
}

static int failures_left = 1;

static int recorder_open(struct tcmu_device *dev, bool reopen) {
    char path[PATH_MAX];
    int log = open_log(tcmu_dev_get_cfgstring(dev), path);
    if (log < 0) return -1;
    note(log, reopen ? "open again\n" : "open\n", 0);
    if (strstr(tcmu_dev_get_cfgstring(dev), " fail") != NULL) {
        close(log);
        return -EIO;
    }
    if (reopen && failures_left > 0) {
        failures_left--;
        close(log);
        return -EIO;
    }
    struct store *store = calloc(1, sizeof *store);
    store->log = log;
    snprintf(store->gate, sizeof store->gate, "%.4000s.gate", path);
    note(log, "size %ld\n", (long)tcmu_dev_get_num_lbas(dev));
    // As some handlers do: the string is theirs to spoil.
    strtok(tcmu_dev_get_cfgstring(dev), "/");
#ifdef BLOCK_SIZE
    tcmu_dev_set_num_lbas(dev, MEDIUM_SIZE / BLOCK_SIZE);
    tcmu_dev_set_block_size(dev, BLOCK_SIZE);
#endif
#ifdef WRITE_THROUGH
    tcmu_dev_set_write_cache_enabled(dev, false);
#endif
    tcmur_dev_set_private(dev, store);
    return 0;
}

static void recorder_close(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    note(store->log, "most inside %ld\n", most_inside);
    note(store->log, "close\n", 0);
    close(store->log);
    free(store);
}

struct late {
    struct tcmu_device *dev;
    struct tcmur_cmd *cmd;
    int status;
};

static void *complete_late(void *argument) {
    struct late late = *(struct late *)argument;
    free(argument);
    struct store *store = tcmur_dev_get_private(late.dev);
    if (BEHAVIOUR == WAITS_AT_GATE) {
        char byte;
        int gate = open(store->gate, O_RDONLY);
        if (read(gate, &byte, 1) < 0) abort();
        close(gate);
        note(store->log, "read ends\n", 0);
    }
    tcmur_cmd_complete(late.dev, late.cmd, late.status);
    return NULL;
}

static int later(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status) {
    struct late *late = malloc(sizeof *late);
    *late = (struct late){dev, cmd, status};
    pthread_t thread;
    if (pthread_create(&thread, NULL, complete_late, late) != 0) return TCMU_STS_NO_RESOURCE;
    pthread_detach(thread);
    return TCMU_STS_OK;
}

static void meet(void) {
    pthread_mutex_lock(&lock);
    inside++;
    arrived++;
    if (inside > most_inside) most_inside = inside;
    pthread_cond_broadcast(&changed);
    while (BEHAVIOUR == MEETS_OTHERS && arrived < WIDTH) pthread_cond_wait(&changed, &lock);
    inside--;
    pthread_mutex_unlock(&lock);
}

static int end(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status) {
    if (THREADS > 0) return status;
    tcmur_cmd_complete(dev, cmd, status);
    return TCMU_STS_OK;
}

static int recorder_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    struct store *store = tcmur_dev_get_private(dev);
    if (count != 1 || iovec->iov_len != length) return TCMU_STS_HW_ERR;
    meet();
    if (BEHAVIOUR == STATUS_OF_BLOCK) {
        int status = (int)(offset / 512) - 300;
        return status == TCMU_STS_OK ? end(dev, cmd, status) : status;
    }
    tcmu_memcpy_into_iovec(iovec, count, store->medium + offset, length);
    switch (BEHAVIOUR) {
    case COMPLETES_IN_THREAD:
    case WAITS_AT_GATE: return later(dev, cmd, TCMU_STS_OK);
    case COMPLETES_TWICE:
        tcmur_cmd_complete(dev, cmd, TCMU_STS_RD_ERR);
        tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
        return TCMU_STS_OK;
    case COMPLETES_AND_FAILS:
        tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
        return TCMU_STS_RD_ERR;
    default: return end(dev, cmd, TCMU_STS_OK);
    }
}

static int recorder_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    struct store *store = tcmur_dev_get_private(dev);
    note(store->log, "write at %ld\n", (long)offset);
    tcmu_memcpy_from_iovec(store->medium + offset, length, iovec, count);
    if (strncmp((char *)store->medium + offset, "lost", 4) == 0) tcmu_notify_conn_lost(dev);
    if (strncmp((char *)store->medium + offset, "grow", 4) == 0) tcmur_dev_update_size(dev, MEDIUM_SIZE / 2);
    return end(dev, cmd, TCMU_STS_OK);
}

#ifndef NO_FLUSH
static int recorder_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct store *store = tcmur_dev_get_private(dev);
    note(store->log, "flush\n", 0);
    return end(dev, cmd, TCMU_STS_OK);
}
#endif

static int recorder_reconfig(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg) {
    struct store *store = tcmur_dev_get_private(dev);
    if (cfg->type != TCMULIB_CFG_DEV_SIZE) return -EOPNOTSUPP;
    note(store->log, "reconfig %ld\n", (long)cfg->data.dev_size);
    return cfg->data.dev_size > MEDIUM_SIZE ? -ENOSPC : 0;
}

#ifdef CDBS
static int recorder_handle_cmd(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    uint8_t *cdb = cmd->lib_cmd->cdb;
    switch (cdb[0]) {
    case 0xA0: return tcmu_sense_set_data(cmd->lib_cmd->sense_buf, 5, 0x2400);
    case 0x12: // INQUIRY: 36 bytes
        tcmu_memcpy_into_iovec(cmd->lib_cmd->iovec, cmd->lib_cmd->iov_cnt, "RECORDER RECORDER RECORDER RECORDER ", 36);
        return TCMU_STS_OK;
    case 0x00:
        if (later(dev, cmd, TCMU_STS_OK) != TCMU_STS_OK) return TCMU_STS_NO_RESOURCE;
        return TCMU_STS_ASYNC_HANDLED;
    default: return TCMU_STS_NOT_HANDLED;
    }
}
#endif

static struct tcmur_handler handler = {
    .name = "Recorder",
    .subtype = SUBTYPE,
    .cfg_desc = "log=FILE",
    .check_config = check_config,
    .reconfig = recorder_reconfig,
    .open = recorder_open,
    .close = recorder_close,
    .nr_threads = THREADS,
#ifdef CDBS
    .handle_cmd = recorder_handle_cmd,
#endif
#ifndef CDBS_ONLY
    .read = recorder_read,
    .write = recorder_write,
#ifndef NO_FLUSH
    .flush = recorder_flush,
#endif
#endif
};

#ifdef EXTENSION
// EXTENSION: how many bytes of the table are shown; behind it stands what this host cannot know.
static int probe(const char *cfgstring, struct martlet_probe *answer) {
    if (strstr(cfgstring, " unprobed") != NULL) {
        strcpy(answer->reason, "there is no such store");
        return -ENOENT;
    }
    answer->byte_count = MEDIUM_SIZE;
    return 0;
}

static int block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    (void)dev, (void)length, (void)capacity;
    if (offset == 512) return -EIO;
    extents[0] = (struct martlet_extent){.byte_count = 4096, .flags = MARTLET_EXTENT_MAPPED};
    extents[1] = (struct martlet_extent){.byte_count = offset == 1024 ? 100 : MEDIUM_SIZE - 4096};
    return 2;
}

static struct {
    struct martlet_handler_extension table;
    void (*unknown[8])(void);
} extension = {
    .table = {
        .size = EXTENSION,
        .version = 1,
        .flags = NEVER_BLOCKS ? MARTLET_HANDLER_NEVER_BLOCKS : 0,
        .probe = probe,
        .block_status = block_status,
    },
};

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension.table; }
#endif

int handler_init(void) {
    signal(SIGPIPE, SIG_IGN);
    return tcmur_register_handler(&handler);
}
