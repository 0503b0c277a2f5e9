// SPDX-License-Identifier: Apache-2.0
//
// A handler whose reads and writes do micro_work of the program that loads it. Compiled twice: with THREADS 0 its
// callouts run in the caller's thread and complete before they return; with THREADS 1 they run on a worker's.
#include <stdlib.h>

#include "martlet-handler.h"

enum { BLOCK_COUNT = 1 << 20 };

int micro_work(void *buffer, size_t byte_count, uint64_t offset);

static int micro_open(struct tcmu_device *dev, bool reopen)
{
    (void)reopen;
    tcmu_dev_set_num_lbas(dev, BLOCK_COUNT);
    return 0;
}

static void micro_close(struct tcmu_device *dev) { (void)dev; }

static int micro_transfer(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *vector, size_t count, size_t byte_count, off_t offset)
{
    (void)count;
    int status = micro_work(vector->iov_base, byte_count, (uint64_t)offset);
    if (THREADS == 0)
        tcmur_cmd_complete(dev, cmd, status);
    return status;
}

static struct tcmur_handler handler = {
    .name = "Microbenchmarks",
    .subtype = THREADS == 0 ? "micro" : "microworker",
    .cfg_desc = "nothing",
    .open = micro_open,
    .close = micro_close,
    .nr_threads = THREADS,
    .read = micro_transfer,
    .write = micro_transfer,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof extension,
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = THREADS == 0 ? MARTLET_HANDLER_NEVER_BLOCKS : 0,
};

int handler_init(void) { return tcmur_register_handler(&handler); }

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }
