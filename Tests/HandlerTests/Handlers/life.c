// SPDX-License-Identifier: Apache-2.0
// Stores "life/NAME" of 1 MiB in memory that write down in FOLDER/log what becomes of them, and that wait where a test
// wants it: where the FIFO FOLDER/hold-PHASE-NAME is there, PHASE ends when a byte comes from it.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcmu-runner.h"

#define MEDIUM_SIZE (1 << 20)

static const char *name(struct tcmu_device *dev) { return strchr(tcmu_dev_get_cfgstring(dev), '/') + 1; }

static void note(const char *what, struct tcmu_device *dev) {
    char line[128];
    int length = snprintf(line, sizeof line, "%s %s\n", what, name(dev));
    int fd = open(FOLDER "/log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, length) != length) abort();
    close(fd);
}

static void hold(const char *phase, struct tcmu_device *dev) {
    char path[4096], byte;
    snprintf(path, sizeof path, FOLDER "/hold-%s-%s", phase, name(dev));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {}
    close(fd);
}

static bool life_check_config(const char *cfgstring, char **reason) {
    (void)cfgstring, (void)reason;
    return true;
}

static int life_open(struct tcmu_device *dev, bool reopen) {
    (void)reopen;
    note("opens", dev);
    hold("open", dev);
    tcmur_dev_set_private(dev, calloc(1, MEDIUM_SIZE));
    note("open", dev);
    return 0;
}

static void life_close(struct tcmu_device *dev) {
    hold("close", dev);
    free(tcmur_dev_get_private(dev));
    note("closed", dev);
}

static int life_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    (void)cmd, (void)count;
    hold("read", dev);
    memcpy(iovec->iov_base, (char *)tcmur_dev_get_private(dev) + offset, length);
    return TCMU_STS_OK;
}

static int life_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    (void)cmd, (void)count;
    memcpy((char *)tcmur_dev_get_private(dev) + offset, iovec->iov_base, length);
    return TCMU_STS_OK;
}

static int life_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    (void)cmd;
    note("flushes", dev);
    hold("flush", dev);
    note("flushed", dev);
    return TCMU_STS_OK;
}

static struct tcmur_handler handler = {
    .name = "Life",
    .subtype = "life",
    .cfg_desc = "a name",
    .check_config = life_check_config,
    .open = life_open,
    .close = life_close,
    .nr_threads = 1,
    .read = life_read,
    .write = life_write,
    .flush = life_flush,
};

int handler_init(void) { return tcmur_register_handler(&handler); }
