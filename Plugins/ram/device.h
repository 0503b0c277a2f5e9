// SPDX-License-Identifier: Apache-2.0
// A device of the handler, and its callouts.
#ifndef RAM_DEVICE_H
#define RAM_DEVICE_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "martlet-handler.h"
#include "store.h"
#include "tcmu-runner.h"
#include "worker.h"

#pragma GCC visibility push(hidden)

struct ram_device {
    struct ram_store store;
    struct ram_worker worker;
    // Held shared by changes outside the worker, alone by COMPARE AND WRITE, which is the worker's.
    pthread_rwlock_t changes;
    // A flush has failed. Set by the worker.
    atomic_bool has_lost_writes;
};

// Logs "what: the words for error".
void ram_log_error(struct tcmu_device *dev, const char *what, int error);

int ram_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int ram_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int ram_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd);
int ram_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length);
int ram_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags);
int ram_health(struct tcmu_device *dev, struct martlet_health *answer);
int ram_space(struct tcmu_device *dev, struct martlet_space *answer);
int ram_write_same(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt);
int ram_compare_and_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt);
int ram_block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity);

const void *ram_map_read(struct tcmu_device *dev, uint64_t offset, uint64_t length);

#pragma GCC visibility pop

#endif
