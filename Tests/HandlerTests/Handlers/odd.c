// SPDX-License-Identifier: Apache-2.0
// A store of 1 MiB in memory with the manners of handlers that were found in the wild. ODDITY chooses one when it is
// compiled. It writes down what it sees, a line each, to the file named in its configuration string, "odd/FILE;...".

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcmu-runner.h"

#define SIZE_IN_OPEN 1       // calls tcmur_dev_update_size in open (glfs)
#define SHORT_TRANSFERS 2    // sets the longest transfer (niova)
#define CACHE_WITHOUT_FLUSH 3 // sets WCE and has no flush (niova)
#define LONG_REASON 4        // check_config refuses with a megabyte from malloc
#define STALE_SENSE 5        // fills the sense buffer once, then says that it had
#define COUNTS_INSIDE 6      // tells how many callouts are inside at once
#define EVENT 7              // reports an event from within a write
#define DECOY 8              // reads the runner's own record of the device (rbd)
#ifndef ODDITY
#define ODDITY 0
#endif
#ifndef THREADS
#define THREADS 1
#endif

#define MEDIUM_SIZE (1 << 20)

static unsigned char medium[MEDIUM_SIZE];
static char log_path[PATH_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int inside, most_inside;

static void note(const char *format, long value) {
    char line[128];
    int log = open(log_path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    int length = snprintf(line, sizeof line, format, value);
    // The folder may be gone, when nobody reads the log.
    if (log < 0) return;
    if (write(log, line, (size_t)length) != length) abort();
    close(log);
}

static bool odd_check_config(const char *cfgstring, char **reason) {
    (void)cfgstring;
    if (ODDITY != LONG_REASON) return true;
    *reason = malloc(1 << 20);
    memset(*reason, 'x', (1 << 20) - 1);
    (*reason)[(1 << 20) - 1] = 0;
    return false;
}

static int odd_open(struct tcmu_device *dev, bool reopen) {
    char *string = tcmu_dev_get_cfgstring(dev);
    // To the end of the string, as handlers do, so that what is left in it shows.
    snprintf(log_path, sizeof log_path, "%s", strchr(string, '/') + 1);
    note(reopen ? "open again\n" : "open\n", 0);
    memset(string, 'X', 4095);
    switch (ODDITY) {
    case SIZE_IN_OPEN: return tcmur_dev_update_size(dev, MEDIUM_SIZE / 2);
    case SHORT_TRANSFERS: tcmu_dev_set_max_xfer_len(dev, 64); break;
    case CACHE_WITHOUT_FLUSH: tcmu_dev_set_write_cache_enabled(dev, true); break;
    }
    return 0;
}

static void odd_close(struct tcmu_device *dev) {
    (void)dev;
    note("most inside %ld\n", most_inside);
}

static void enter(void) {
    pthread_mutex_lock(&lock);
    if (++inside > most_inside) most_inside = inside;
    pthread_mutex_unlock(&lock);
    // Long enough for another thread to come in, if one may.
    for (int round = 0; round < 20; round++) sched_yield();
    pthread_mutex_lock(&lock);
    inside--;
    pthread_mutex_unlock(&lock);
}

static int odd_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    (void)dev;
    static bool has_filled;
    enter();
    if (ODDITY == STALE_SENSE) {
        if (!has_filled) tcmu_sense_set_data(cmd->lib_cmd->sense_buf, 3, 0x1100);
        has_filled = true;
        return TCMU_STS_PASSTHROUGH_ERR;
    }
    tcmu_memcpy_into_iovec(iovec, count, medium + offset, length);
    return TCMU_STS_OK;
}

static int odd_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    (void)cmd;
    enter();
    if (ODDITY == EVENT) tcmu_notify_lock_lost(dev);
    if (ODDITY == DECOY) {
        tcmu_notify_cmd_timed_out(dev);
        // cmd_timed_out_cnt of 1.5.4 and of 1.6 on.
        unsigned char *record = tcmu_dev_get_private(dev);
        note("timed out %ld\n", *(long *)(record + 64));
        note("timed out %ld\n", *(long *)(record + 104));
    }
    tcmu_memcpy_from_iovec(medium + offset, length, iovec, count);
    return TCMU_STS_OK;
}

static int odd_handle_cmd(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    (void)dev, (void)cmd;
    enter();
    return cmd->lib_cmd->cdb[0] == 0 ? TCMU_STS_OK : TCMU_STS_NOT_HANDLED;
}

static int odd_report_event(struct tcmu_device *dev) {
    tcmu_dev_info(dev, "an event came\n");
    return 0;
}

static void never_called(void) { abort(); }

static struct tcmur_handler handler = {
    .name = "Odd",
    .subtype = "odd",
    .check_config = odd_check_config,
    .open = odd_open,
    .close = odd_close,
    .nr_threads = THREADS,
    .report_event = odd_report_event,
    .lock = (int (*)(struct tcmu_device *, uint16_t))never_called,
    .unlock = (int (*)(struct tcmu_device *))never_called,
    .get_lock_tag = (int (*)(struct tcmu_device *, uint16_t *))never_called,
    .get_lock_state = (int (*)(struct tcmu_device *))never_called,
    .update_logdir = (bool (*)(void))never_called,
    .destroy = never_called,
#if ODDITY == COUNTS_INSIDE
    .handle_cmd = odd_handle_cmd,
#endif
#ifndef CDBS_ONLY
    .read = odd_read,
    .write = odd_write,
#endif
};

int handler_init(void) { return tcmur_register_handler(&handler); }
