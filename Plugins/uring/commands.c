// SPDX-License-Identifier: Apache-2.0
// The callouts, and what becomes of a request when the kernel has answered it.
//
// A flush covers what it must: every write that has been completed to the initiator before it came, for a write is
// completed when the kernel has taken all of it. Writes that still wait for room in the ring have not been
// acknowledged, and no flush speaks of them. A write with FUA comes from the core as a write and then a flush, so that
// the two need no link in the ring.

#include "device.h"

#include <errno.h>

enum {
    data_protect_write_protected = 0x2700,
    // SPACE ALLOCATION FAILED WRITE PROTECT: a thin store is full, SBC-4 4.7.
    data_protect_space_allocation_failed = 0x2707,
};

void uring_log_error(struct tcmu_device *dev, const char *what, int error) {
    errno = error;
    tcmu_dev_err(dev, "%s: %m\n", what);
}

void uring_device_queue(struct uring_device *device, struct uring_request *request) {
    if (device->has_ring) {
        ring_engine_queue(device, request);
    } else {
        thread_engine_queue(device, request);
    }
}

// Gives up the lock, and starts what has been queued under it when no host will.
static void unlock_and_start(struct uring_device *device) {
    bool starts = device->has_ring && !device->ring.is_hosts;
    if (starts) ring_engine_begin(device);
    pthread_mutex_unlock(&device->lock);
    if (!starts) return;
    ring_engine_submit(device);
    ring_engine_end(device);
}

// Puts request where it is completed from. With the lock held.
static void end(struct uring_request *request, struct uring_list *ended) {
    request->has_ended = true;
    uring_list_append(ended, request);
}

// Ends a flush and those that shared it.
static void end_flush(struct uring_request *flush, int error, struct uring_list *ended) {
    while (flush != NULL) {
        struct uring_request *companion = flush->companions;
        flush->error = error;
        end(flush, ended);
        flush = companion;
    }
}

static void answer_flush(struct uring_device *device, struct uring_list *ended) {
    struct uring_request *next = device->next_flush;
    int error = device->flush->error;
    if (error != 0) device->has_lost_writes = true;
    end_flush(device->flush, error, ended);
    device->flush = NULL;
    device->next_flush = NULL;
    if (next == NULL) return;
    if (device->has_lost_writes) {
        end_flush(next, EIO, ended);
    } else {
        device->flush = next;
        uring_device_queue(device, next);
    }
}

void uring_device_answer(
    struct uring_device *device, struct uring_request *request, int64_t result, struct uring_list *ended) {
    if (!uring_request_advance(request, result)) {
        uring_device_queue(device, request);
    } else if (request->operation == URING_FLUSH) {
        answer_flush(device, ended);
    } else {
        end(request, ended);
    }
}

// The first failure is logged, then the second, the fourth and so on: a dying disk must not fill the log. A flush fails
// once.
static void report(struct uring_device *device, enum uring_operation operation, int error) {
    static const char *const what[] = {
        [URING_READ] = "cannot read",
        [URING_WRITE] = "cannot write",
        [URING_FLUSH] = "cannot flush: writes may be lost; flushes fail until the device is opened again",
        [URING_UNMAP] = "cannot unmap",
        [URING_ZERO] = "cannot zero",
        [URING_WRITE_ZEROES] = "cannot write zeroes",
    };
    if (operation == URING_FLUSH) {
        if (!atomic_exchange(&device->has_reported_flush, true)) uring_log_error(device->dev, what[operation], error);
        return;
    }
    unsigned count = atomic_fetch_add_explicit(&device->failure_count, 1, memory_order_relaxed) + 1;
    if ((count & (count - 1)) == 0) uring_log_error(device->dev, what[operation], error);
}

static int status(const struct uring_request *request) {
    switch (request->error) {
    case 0:
        return TCMU_STS_OK;
    case ECANCELED:
        if (request->is_cancelled) return TCMU_STS_TIMEOUT;
        break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        if (request->operation == URING_READ || request->operation == URING_FLUSH) break;
        return tcmu_sense_set_data(
            request->command->lib_cmd->sense_buf, DATA_PROTECT, data_protect_space_allocation_failed);
    default:
        break;
    }
    return request->operation == URING_READ ? TCMU_STS_RD_ERR : TCMU_STS_WR_ERR;
}

size_t uring_device_complete(struct uring_device *device, struct uring_list *ended) {
    size_t count = 0;
    if (ended->first == NULL) return 0;
    for (struct uring_request *request = ended->first; request != NULL; request = request->next) {
        if (request->error != 0 && !request->is_cancelled) report(device, request->operation, request->error);
        tcmur_cmd_complete(device->dev, request->command, status(request));
        count++;
    }
    pthread_mutex_lock(&device->lock);
    struct uring_request *request;
    while ((request = uring_list_take(ended)) != NULL) uring_pool_give(&device->pool, request);
    pthread_mutex_unlock(&device->lock);
    return count;
}

static bool holds(const struct uring_device *device, uint64_t offset, uint64_t length) {
    uint64_t byte_count = device->store.byte_count;
    return offset <= byte_count && length <= byte_count - offset;
}

// TCMU_STS_OK when the medium may be changed.
static int check_change(const struct uring_device *device, struct tcmur_cmd *cmd) {
    if (!device->store.is_read_only) return TCMU_STS_OK;
    return tcmu_sense_set_data(cmd->lib_cmd->sense_buf, DATA_PROTECT, data_protect_write_protected);
}

// Begins what model describes.
static int begin(struct uring_device *device, const struct uring_request *model) {
    pthread_mutex_lock(&device->lock);
    struct uring_request *request = uring_pool_take(&device->pool);
    if (request != NULL) {
        *request = *model;
        uring_device_queue(device, request);
    }
    unlock_and_start(device);
    return request != NULL ? TCMU_STS_OK : TCMU_STS_NO_RESOURCE;
}

static int begin_transfer(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length, off_t offset,
    enum uring_operation operation) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    struct uring_request model = {
        .command = cmd,
        .iovec = iovec,
        .iov_cnt = iov_cnt,
        .offset = (uint64_t)offset,
        .length = length,
        .operation = operation,
    };
    if (offset < 0 || !holds(device, (uint64_t)offset, length)) return TCMU_STS_RANGE;
    if (!uring_request_fit(&model)) return TCMU_STS_HW_ERR;
    if (length > 0) return begin(device, &model);
    tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

int uring_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    return begin_transfer(dev, cmd, iovec, iov_cnt, length, offset, URING_READ);
}

int uring_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    int result = check_change(tcmur_dev_get_private(dev), cmd);
    return result == TCMU_STS_OK ? begin_transfer(dev, cmd, iovec, iov_cnt, length, offset, URING_WRITE) : result;
}

// Queues flush, or has it wait for the one that is under way. With the lock held.
static void queue_flush(struct uring_device *device, struct uring_request *flush) {
    if (device->flush == NULL) {
        device->flush = flush;
        uring_device_queue(device, flush);
    } else if (device->next_flush == NULL) {
        device->next_flush = flush;
    } else {
        flush->companions = device->next_flush->companions;
        device->next_flush->companions = flush;
    }
}

int uring_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    int result = TCMU_STS_OK;
    if (device->store.is_read_only) {
        tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
        return TCMU_STS_OK;
    }
    pthread_mutex_lock(&device->lock);
    struct uring_request *request = device->has_lost_writes ? NULL : uring_pool_take(&device->pool);
    if (request != NULL) {
        *request = (struct uring_request){.command = cmd, .operation = URING_FLUSH};
        queue_flush(device, request);
    } else {
        result = device->has_lost_writes ? TCMU_STS_WR_ERR : TCMU_STS_NO_RESOURCE;
    }
    unlock_and_start(device);
    return result;
}

int uring_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    struct uring_request model = {.command = cmd, .offset = offset, .length = length, .operation = URING_UNMAP};
    int result = check_change(device, cmd);
    if (result != TCMU_STS_OK) return result;
    if (!holds(device, offset, length)) return TCMU_STS_RANGE;
    if (length > 0) return begin(device, &model);
    tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

int uring_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    bool may_unmap = (flags & MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0 && device->store.can_deallocate;
    struct uring_request model = {
        .command = cmd,
        .offset = offset,
        .length = length,
        .operation = may_unmap ? URING_UNMAP : URING_ZERO,
        .falls_back = true,
    };
    int result = check_change(device, cmd);
    if (result != TCMU_STS_OK) return result;
    if (!holds(device, offset, length)) return TCMU_STS_RANGE;
    if (length > 0) return begin(device, &model);
    tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

// A flush may be shared, and ends all the same: nothing is gained by giving it up.
void uring_cancel(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    struct uring_list ended = {0};
    bool is_held = false;
    pthread_mutex_lock(&device->lock);
    struct uring_request *request = uring_pool_find(&device->pool, cmd);
    if (request != NULL && request->operation != URING_FLUSH) {
        struct uring_list *waiting = device->has_ring ? &device->ring.waiting : &device->threads.waiting;
        request->is_cancelled = true;
        if (uring_list_remove(waiting, request)) {
            request->error = ECANCELED;
            end(request, &ended);
        } else {
            is_held = device->has_ring;
        }
    }
    pthread_mutex_unlock(&device->lock);
    uring_device_complete(device, &ended);
    if (is_held) uring_ring_cancel(&device->ring.ring, request);
}

int uring_health(struct tcmu_device *dev, struct martlet_health *answer) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    pthread_mutex_lock(&device->lock);
    bool has_lost_writes = device->has_lost_writes;
    pthread_mutex_unlock(&device->lock);
    if (has_lost_writes) {
        answer->state = MARTLET_HEALTH_FAILED;
        snprintf(answer->reason, sizeof(answer->reason), "a flush failed: writes that were acknowledged may be lost");
    } else if (device->has_fallen_back) {
        answer->state = MARTLET_HEALTH_DEGRADED;
        snprintf(answer->reason, sizeof(answer->reason), "there is no io_uring to be had: threads do its work");
    }
    return 0;
}

int uring_space(struct tcmu_device *dev, struct martlet_space *answer) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    return medium_space(device->store.descriptor, device->store.byte_count, answer);
}

int uring_block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    if (length == 0 || capacity == 0 || !holds(device, offset, length)) return -EINVAL;
    return uring_store_status(&device->store, offset, length, tcmu_dev_get_block_size(dev), extents, capacity);
}

int uring_completion_descriptor(struct tcmu_device *dev) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    // Threads complete what they have done.
    return device->has_ring ? ring_engine_hand_over(device) : -EOPNOTSUPP;
}

void uring_submit(struct tcmu_device *dev) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    if (!device->has_ring) return;
    ring_engine_begin(device);
    ring_engine_submit(device);
    ring_engine_end(device);
}

size_t uring_reap(struct tcmu_device *dev) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    if (!device->has_ring) return 0;
    ring_engine_begin(device);
    size_t count = ring_engine_reap(device);
    ring_engine_end(device);
    return count;
}
