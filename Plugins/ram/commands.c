// SPDX-License-Identifier: Apache-2.0
// The I/O callouts. Short work is done and completed before the callout returns; what may wait for a disk, or takes
// long, goes to the device's worker.

#include "device.h"

#include <stdlib.h>

// Bytes that are written or discarded inline: about 100 microseconds of memcpy.
static const uint64_t inline_limit = 1 << 20;

enum { data_protect_write_protected = 0x2700 };

static int complete(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status) {
    tcmur_cmd_complete(dev, cmd, status);
    return TCMU_STS_OK;
}

// TCMU_STS_OK when the medium may be changed there.
static int check_change(struct ram_device *ram, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    if (ram->store.is_read_only) {
        return tcmu_sense_set_data(cmd->lib_cmd->sense_buf, DATA_PROTECT, data_protect_write_protected);
    }
    return ram_store_holds(&ram->store, offset, length) ? TCMU_STS_OK : TCMU_STS_RANGE;
}

// Moves length bytes between the vector and the medium, one element after the other.
static bool transfer(
    struct ram_store *store, struct iovec *iovec, size_t iov_cnt, size_t length, uint64_t offset,
    bool is_write) {
    size_t moved = 0;
    for (size_t index = 0; index < iov_cnt && moved < length; index++) {
        size_t step = min(iovec[index].iov_len, length - moved);
        bool good = is_write ? ram_store_write(store, offset + moved, iovec[index].iov_base, step)
                             : ram_store_read(store, offset + moved, iovec[index].iov_base, step);
        if (!good) return false;
        moved += step;
    }
    return moved == length;
}

int ram_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    if (offset < 0 || !ram_store_holds(&ram->store, (uint64_t)offset, length)) return TCMU_STS_RANGE;
    bool good = transfer(&ram->store, iovec, iov_cnt, length, (uint64_t)offset, false);
    return complete(dev, cmd, good ? TCMU_STS_OK : TCMU_STS_RD_ERR);
}

int ram_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    if (offset < 0) return TCMU_STS_RANGE;
    int status = check_change(ram, cmd, (uint64_t)offset, length);
    if (status != TCMU_STS_OK) return status;
    pthread_rwlock_rdlock(&ram->changes);
    bool good = transfer(&ram->store, iovec, iov_cnt, length, (uint64_t)offset, true);
    pthread_rwlock_unlock(&ram->changes);
    return complete(dev, cmd, good ? TCMU_STS_OK : TCMU_STS_WR_ERR);
}

static int perform_flush(struct tcmu_device *dev, struct ram_job *job) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    (void)job;
    // The kernel reports lost writes once and forgets them: after that no flush can be believed any more.
    if (ram->has_lost_writes) return TCMU_STS_WR_ERR;
    int result = ram_store_flush(&ram->store);
    if (result == 0) return TCMU_STS_OK;
    ram->has_lost_writes = true;
    ram_log_error(dev, "cannot flush: writes may be lost; flushes fail until the device is opened again", -result);
    return TCMU_STS_WR_ERR;
}

int ram_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    struct ram_job job = {.command = cmd, .perform = perform_flush};
    // Anonymous memory has no storage behind it that would be more stable.
    if (!ram->store.is_file) return complete(dev, cmd, TCMU_STS_OK);
    return ram_worker_queue(&ram->worker, &job);
}

// Does a change now, in the caller's thread.
static int change_inline(struct tcmu_device *dev, struct ram_device *ram, struct ram_job *job) {
    pthread_rwlock_rdlock(&ram->changes);
    int status = job->perform(dev, job);
    pthread_rwlock_unlock(&ram->changes);
    return complete(dev, job->command, status);
}

static int perform_unmap(struct tcmu_device *dev, struct ram_job *job) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    int result = ram_store_discard(&ram->store, job->offset, job->length);
    if (result == 0) return TCMU_STS_OK;
    ram_log_error(dev, "cannot unmap", -result);
    return TCMU_STS_WR_ERR;
}

int ram_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    struct ram_job job = {.command = cmd, .perform = perform_unmap, .offset = offset, .length = length};
    int status = check_change(ram, cmd, offset, length);
    if (status != TCMU_STS_OK) return status;
    if (ram->store.is_file || length > inline_limit) return ram_worker_queue(&ram->worker, &job);
    return change_inline(dev, ram, &job);
}

static int perform_write_zeroes(struct tcmu_device *dev, struct ram_job *job) {
    static const uint8_t zeroes[RAM_PAGE_SIZE];
    struct ram_device *ram = tcmur_dev_get_private(dev);
    uint32_t block_size = tcmu_dev_get_block_size(dev);
    bool good = ram_store_repeat(&ram->store, job->offset, job->length, zeroes, block_size);
    return good ? TCMU_STS_OK : TCMU_STS_WR_ERR;
}

int ram_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    // A file stays reserved either way; of anonymous memory, pages that are discarded have to be found again.
    bool discards = ram->store.is_file || (flags & MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0;
    if (discards) return ram_unmap(dev, cmd, offset, length);
    struct ram_job job = {.command = cmd, .perform = perform_write_zeroes, .offset = offset, .length = length};
    int status = check_change(ram, cmd, offset, length);
    if (status != TCMU_STS_OK) return status;
    return length > inline_limit ? ram_worker_queue(&ram->worker, &job) : change_inline(dev, ram, &job);
}

int ram_health(struct tcmu_device *dev, struct martlet_health *answer) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    if (!atomic_load(&ram->has_lost_writes)) return 0;
    answer->state = MARTLET_HEALTH_FAILED;
    snprintf(answer->reason, sizeof(answer->reason), "a flush failed: writes that were acknowledged may be lost");
    return 0;
}

static int perform_write_same(struct tcmu_device *dev, struct ram_job *job) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    const struct iovec *block = job->iovec;
    bool good = ram_store_repeat(&ram->store, job->offset, job->length, block->iov_base, block->iov_len);
    return good ? TCMU_STS_OK : TCMU_STS_WR_ERR;
}

int ram_write_same(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    struct ram_job job = {
        .command = cmd,
        .perform = perform_write_same,
        .offset = offset,
        .length = length,
        .iovec = iovec,
        .iov_cnt = iov_cnt,
    };
    int status = check_change(ram, cmd, offset, length);
    if (status != TCMU_STS_OK) return status;
    if (iov_cnt != 1 || iovec[0].iov_len != tcmu_dev_get_block_size(dev)) return TCMU_STS_INVALID_CDB;
    if (length > inline_limit) return ram_worker_queue(&ram->worker, &job);
    return change_inline(dev, ram, &job);
}

struct comparison {
    uint8_t *memory;
    const struct ram_job *job;
    off_t difference;
};

static bool compare(void *argument) {
    struct comparison *work = argument;
    work->difference = tcmu_iovec_compare(work->memory, work->job->iovec, work->job->length);
    return true;
}

static int compare_then_write(struct ram_store *store, struct ram_job *job) {
    struct comparison work = {store->memory + job->offset, job, -1};
    bool good = store->is_file ? guard_against_page_faults(compare, &work) : compare(&work);
    if (!good) return TCMU_STS_RD_ERR;
    if (work.difference >= 0) {
        tcmu_sense_set_info(job->command->lib_cmd->sense_buf, (uint32_t)work.difference);
        return TCMU_STS_MISCOMPARE;
    }
    size_t used_up = tcmu_iovec_seek(job->iovec, job->length);
    good = transfer(store, job->iovec + used_up, job->iov_cnt - used_up, job->length, job->offset, true);
    return good ? TCMU_STS_OK : TCMU_STS_WR_ERR;
}

// Nothing else changes the medium between the two, SBC-4 5.3: long changes are made by this thread, short ones under
// the lock.
static int perform_compare_and_write(struct tcmu_device *dev, struct ram_job *job) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    pthread_rwlock_wrlock(&ram->changes);
    int status = compare_then_write(&ram->store, job);
    pthread_rwlock_unlock(&ram->changes);
    return status;
}

int ram_compare_and_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    struct ram_job job = {
        .command = cmd,
        .perform = perform_compare_and_write,
        .offset = offset,
        .length = length,
        .iovec = iovec,
        .iov_cnt = iov_cnt,
    };
    int status = check_change(ram, cmd, offset, length);
    if (status != TCMU_STS_OK) return status;
    // What must be there, then what shall be: two halves.
    if (tcmu_iovec_length(iovec, iov_cnt) / 2 < length) return TCMU_STS_INVALID_CDB;
    return ram_worker_queue(&ram->worker, &job);
}

int ram_block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    if (length == 0 || capacity == 0 || !ram_store_holds(&ram->store, offset, length)) return -EINVAL;
    return ram_store_status(&ram->store, offset, length, tcmu_dev_get_block_size(dev), extents, capacity);
}

// Anonymous memory stands where it is until close, and pages that were never written, or were discarded, read as
// zeroes. A file's may vanish under a reader when somebody cuts the file short: those are read under a guard.
const void *ram_map_read(struct tcmu_device *dev, uint64_t offset, uint64_t length) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    if (ram->store.is_file || !ram_store_holds(&ram->store, offset, length)) return NULL;
    return ram->store.memory + offset;
}
