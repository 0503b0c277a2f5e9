// SPDX-License-Identifier: Apache-2.0
// The I/O callouts. None of them does any I/O: reads and writes are queued, the rest is a worker's.

#include <errno.h>

#include "device.h"

enum {
    data_protect_write_protected = 0x2700,
    data_protect_space_allocation_failed = 0x2707,
};

// TCMU_STS_OK when the medium may be changed there.
static int check_change(struct aio_device *aio, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    if (aio->store.is_read_only) {
        return tcmu_sense_set_data(cmd->lib_cmd->sense_buf, DATA_PROTECT, data_protect_write_protected);
    }
    return aio_store_holds(&aio->store, offset, length) ? TCMU_STS_OK : TCMU_STS_RANGE;
}

// A read or a write, which is in range.
static int transfer(struct aio_device *aio, const struct aio_command *transfer) {
    struct aio_command *command = aio_take(aio);
    if (command == NULL) return TCMU_STS_NO_RESOURCE;
    *command = *transfer;
    command->perform = aio_transfer;
    aio_queue(aio, command);
    return TCMU_STS_OK;
}

int aio_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    if (offset < 0 || !aio_store_holds(&aio->store, (uint64_t)offset, length)) return TCMU_STS_RANGE;
    struct aio_command read = {
        .command = cmd, .offset = (uint64_t)offset, .length = length, .iovec = iovec, .iov_cnt = iov_cnt};
    return transfer(aio, &read);
}

int aio_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    if (offset < 0) return TCMU_STS_RANGE;
    int status = check_change(aio, cmd, (uint64_t)offset, length);
    if (status != TCMU_STS_OK) return status;
    struct aio_command write = {
        .command = cmd,
        .offset = (uint64_t)offset,
        .length = length,
        .iovec = iovec,
        .iov_cnt = iov_cnt,
        .is_write = true,
    };
    return transfer(aio, &write);
}

static int work(
    struct aio_device *aio, struct tcmur_cmd *cmd, int (*perform)(struct aio_device *, struct aio_command *),
    uint64_t offset, uint64_t length) {
    struct aio_list list;
    struct aio_command *command = aio_take(aio);
    if (command == NULL) return TCMU_STS_NO_RESOURCE;
    command->command = cmd;
    command->perform = perform;
    command->offset = offset;
    command->length = length;
    aio_list_clear(&list);
    aio_list_append(&list, command);
    aio_workers_queue(aio, &list);
    return TCMU_STS_OK;
}

static int perform_flush(struct aio_device *aio, struct aio_command *command) {
    (void)command;
    pthread_mutex_lock(&aio->flushing);
    // The kernel reports lost writes once and forgets them: after that no flush can be believed any more.
    if (!aio->has_lost_writes) {
        int result = aio_store_flush(&aio->store);
        if (result != 0) {
            aio->has_lost_writes = true;
            aio_log_error(
                aio, "cannot flush: writes may be lost; flushes fail until the device is opened again", -result);
        }
    }
    int status = aio->has_lost_writes ? TCMU_STS_WR_ERR : TCMU_STS_OK;
    pthread_mutex_unlock(&aio->flushing);
    return status;
}

int aio_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    if (aio->store.is_read_only) {
        tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
        return TCMU_STS_OK;
    }
    return work(aio, cmd, perform_flush, 0, 0);
}

static int perform_unmap(struct aio_device *aio, struct aio_command *command) {
    pthread_rwlock_rdlock(&aio->mode);
    int result = aio_store_discard(&aio->store, command->offset, command->length);
    pthread_rwlock_unlock(&aio->mode);
    if (result == 0) return TCMU_STS_OK;
    aio_log_failure(aio, "cannot unmap", -result);
    return TCMU_STS_WR_ERR;
}

int aio_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    int status = check_change(aio, cmd, offset, length);
    return status == TCMU_STS_OK ? work(aio, cmd, perform_unmap, offset, length) : status;
}

static int perform_zero(struct aio_device *aio, struct aio_command *command) {
    pthread_rwlock_rdlock(&aio->mode);
    int result = aio_store_zero(&aio->store, command->offset, command->length);
    pthread_rwlock_unlock(&aio->mode);
    switch (-result) {
    case 0: return TCMU_STS_OK;
    case ENOSPC:
    case EDQUOT: // A thin store is full, SBC-4 4.7.
        return tcmu_sense_set_data(
            command->command->lib_cmd->sense_buf, DATA_PROTECT, data_protect_space_allocation_failed);
    default: break;
    }
    aio_log_failure(aio, "cannot write zeroes", -result);
    return TCMU_STS_WR_ERR;
}

int aio_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    bool may_unmap = (flags & MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0;
    int status = check_change(aio, cmd, offset, length);
    if (status != TCMU_STS_OK) return status;
    return work(aio, cmd, may_unmap ? perform_unmap : perform_zero, offset, length);
}

int aio_health(struct tcmu_device *dev, struct martlet_health *answer) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    if (!atomic_load(&aio->has_lost_writes)) return 0;
    answer->state = MARTLET_HEALTH_FAILED;
    snprintf(answer->reason, sizeof(answer->reason), "a flush failed: writes that were acknowledged may be lost");
    return 0;
}

int aio_space(struct tcmu_device *dev, struct martlet_space *answer) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    return medium_space(aio->store.descriptor, aio->store.byte_count, answer);
}

int aio_block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    if (length == 0 || capacity == 0 || !aio_store_holds(&aio->store, offset, length)) return -EINVAL;
    return aio_store_status(&aio->store, offset, length, extents, capacity);
}
