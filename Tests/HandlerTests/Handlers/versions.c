// SPDX-License-Identifier: Apache-2.0
// A handler with an extension table of one version: HEADER is the header that it is built with, TABLE_VERSION the
// version that it says. What it answers tells which callouts the host used.
//
//     TABLE_SIZE       bytes that the table says it has; those of its structure unless given
//     TABLE_FLAGS      flags besides those of its version
//     FUTURE           the table has fields that nobody knows behind those of its header; calling them would end badly
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include HEADER
#include "tcmu-runner.h"

#define MEDIUM_SIZE (1 << 20)

static uint8_t medium[MEDIUM_SIZE] __attribute__((aligned(4096)));

static int open_it(struct tcmu_device *dev, bool reopen) {
    (void)reopen;
    tcmu_dev_set_num_lbas(dev, MEDIUM_SIZE / tcmu_dev_get_block_size(dev));
    return 0;
}

static void close_it(struct tcmu_device *dev) { (void)dev; }

static int end(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

static int read_it(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t iov_cnt, size_t length, off_t offset) {
    tcmu_memcpy_into_iovec(iov, iov_cnt, medium + offset, length);
    return end(dev, cmd);
}

static int write_it(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t iov_cnt, size_t length, off_t offset) {
    tcmu_memcpy_from_iovec(medium + offset, length, iov, iov_cnt);
    return end(dev, cmd);
}

static int flush_it(struct tcmu_device *dev, struct tcmur_cmd *cmd) { return end(dev, cmd); }

// Leaves a mark, so that it cannot be taken for zeroing.
static int unmap_it(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    memset(medium + offset, 0xEE, length);
    return end(dev, cmd);
}

struct tcmur_handler versions_handler = {
    .name = "Versions",
    .subtype = "versions",
    .open = open_it,
    .close = close_it,
    .read = read_it,
    .write = write_it,
    .flush = flush_it,
    .unmap = unmap_it,
    .nr_threads = 0,
};

static int probe(const char *cfgstring, struct martlet_probe *answer) {
    (void)cfgstring;
    answer->byte_count = MEDIUM_SIZE;
    return 0;
}

static int block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    (void)dev, (void)offset, (void)capacity;
    extents[0] = (struct martlet_extent){.byte_count = length, .flags = MARTLET_EXTENT_MAPPED};
    return 1;
}

#if TABLE_VERSION >= 2
static const void *map_read(struct tcmu_device *dev, uint64_t offset, uint64_t length) {
    (void)dev, (void)length;
    return medium + offset;
}
#endif

#if TABLE_VERSION >= 3
static int write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    memset(medium + offset, 0, length);
    // So that the flag can be seen.
    if ((flags & MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0) medium[MEDIUM_SIZE - 1]++;
    return end(dev, cmd);
}

static int health(struct tcmu_device *dev, struct martlet_health *answer) {
    (void)dev;
    answer->state = MARTLET_HEALTH_DEGRADED;
    strcpy(answer->reason, "it is of version 3");
    return answer->size == sizeof(*answer) ? 0 : -EINVAL;
}
#endif

#if TABLE_VERSION >= 4
static int space(struct tcmu_device *dev, struct martlet_space *answer) {
    (void)dev;
    answer->used_byte_count = 512;
    answer->available_byte_count = 1024;
    return answer->size == sizeof(*answer) ? 0 : -EINVAL;
}
#endif

#ifdef FUTURE
static void nobody_knows(void) { abort(); }
#endif

#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(extension)
#endif
#ifndef TABLE_FLAGS
#define TABLE_FLAGS 0
#endif

static const struct {
    struct martlet_handler_extension table;
#ifdef FUTURE
    void (*unknown[32])(void);
#endif
} extension = {
    .table = {
        .size = TABLE_SIZE,
        .version = TABLE_VERSION,
        .flags = MARTLET_HANDLER_NEVER_BLOCKS | TABLE_FLAGS,
        .probe = probe,
        .block_status = block_status,
#if TABLE_VERSION >= 2
        .map_read = map_read,
#endif
#if TABLE_VERSION >= 3
        .write_zeroes = write_zeroes,
        .health = health,
#endif
#if TABLE_VERSION >= 4
        .space = space,
#endif
    },
#ifdef FUTURE
    .unknown = { [0 ... 31] = nobody_knows },
#endif
};

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension.table; }

int handler_init(void) { return tcmur_register_handler(&versions_handler); }
