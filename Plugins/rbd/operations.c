// SPDX-License-Identifier: Apache-2.0
// Commands as operations of librbd's, and what their ends mean.

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

enum {
    data_protect_space_allocation_failed = 0x2707,
    // COMPARE AND WRITE of librbd's is right within one of these only.
    sector_byte_count = 512,
    // Bytes of one WRITE SAME of librbd's, which refuses a GiB.
    same_byte_count = 64 << 20,
};

static const char *const words[DISK_OPERATION_COUNT] = {
    [DISK_READ] = "read",        [DISK_WRITE] = "write",           [DISK_FLUSH] = "flush",
    [DISK_ZERO] = "write zeroes", [DISK_WRITE_SAME] = "write same", [DISK_COMPARE] = "compare and write",
};

static int status_of(struct disk_command *command, int error) {
    switch (error) {
    case -ETIMEDOUT: return TCMU_STS_TIMEOUT;
    case -ENOMEM: return TCMU_STS_NO_RESOURCE;
    case -ENOSPC:
    case -EDQUOT:
        return tcmu_sense_set_data(
            command->command->lib_cmd->sense_buf, DATA_PROTECT, data_protect_space_allocation_failed);
    default: return command->operation == DISK_READ ? TCMU_STS_RD_ERR : TCMU_STS_WR_ERR;
    }
}

int disk_failed(struct disk_command *command, int error) {
    struct disk *disk = command->disk;
    // -EROFS: another client has the lock.
    if (error == -ESHUTDOWN || error == -EROFS) {
        disk_fence(disk, error);
        return TCMU_STS_FENCED;
    }
    unsigned count = atomic_fetch_add(&disk->failures[command->operation], 1) + 1;
    if ((count & (count - 1)) == 0) {
        const char *reason = error == -ETIMEDOUT ? "the cluster did not answer in time" : strerror(-error);
        tcmu_dev_err(
            disk->dev, "cannot %s at byte %" PRIu64 ": %s (%u failures so far)\n", words[command->operation],
            command->range.offset + command->done, reason, count);
    }
    return status_of(command, error);
}

bool disk_flatten(struct disk_command *command, size_t length) {
    command->flat = malloc(length);
    if (command->flat == NULL) return false;
    return tcmu_memcpy_from_iovec(command->flat, length, command->iovec, command->iov_cnt) == length;
}

// The byte of the compared data that differs, from librbd's answer: an offset in the image or, in releases before 17,
// in the image from where the object of the sector begins.
static uint64_t first_difference(const struct disk_command *command) {
    uint64_t difference = command->mismatch - command->range.offset;
    if (difference >= command->range.length) difference = command->mismatch % command->disk->image.object_size;
    return difference < command->range.length ? difference : 0;
}

static int miscompare(struct disk_command *command, uint64_t difference) {
    tcmu_sense_set_info(command->command->lib_cmd->sense_buf, (uint32_t)difference);
    return TCMU_STS_MISCOMPARE;
}

// Whether librbd may compare and write by itself: then it is one action for all clients of the cluster.
static bool fits_sector(const struct disk_command *command) {
    return command->disk->image.is_plain && command->range.length == sector_byte_count;
}

// The medium's content has been read. True: it is as it was expected, and the other half is to be written.
static bool compare(struct disk_command *command, int *status) {
    size_t length = command->range.length, difference = 0;
    command->has_compared = true;
    if (memcmp(command->found, command->flat, length) == 0) return true;
    while (command->found[difference] == command->flat[difference]) difference++;
    *status = miscompare(command, difference);
    return false;
}

// An operation of librbd's has ended well. True: the command has, too, with status.
static bool is_over(struct disk_command *command, int *status) {
    command->done += command->under_way;
    *status = TCMU_STS_OK;
    switch (command->operation) {
    case DISK_WRITE_SAME: return command->done == command->range.length;
    case DISK_COMPARE: return fits_sector(command) || command->has_compared || !compare(command, status);
    default: return true;
    }
}

// Runs in a thread of librbd's.
static void ended(rbd_completion_t completion, void *argument) {
    struct disk_command *command = argument;
    ssize_t result = rbd_aio_get_return_value(completion);
    int status;
    rbd_aio_release(completion);
    bool reads = command->operation == DISK_READ || command->found != NULL;
    if (result == -EILSEQ && command->operation == DISK_COMPARE) {
        disk_command_ended(command, miscompare(command, first_difference(command)));
    } else if (result < 0) {
        disk_command_ended(command, disk_failed(command, (int)result));
    } else if (reads && !command->has_compared && (uint64_t)result < command->range.length) {
        // The image has become smaller meanwhile.
        disk_command_ended(command, TCMU_STS_RANGE);
    } else if (is_over(command, &status)) {
        disk_command_ended(command, status);
    } else {
        disk_start(command);
    }
}

static int start_write_same(struct disk_command *command, rbd_image_t image, rbd_completion_t completion) {
    size_t block = tcmu_dev_get_block_size(command->disk->dev);
    if (command->done == 0 && !disk_flatten(command, block)) return -ENOMEM;
    uint64_t left = command->range.length - command->done;
    command->under_way = left < same_byte_count ? left : same_byte_count;
    return rbd_aio_writesame(
        image, command->range.offset + command->done, command->under_way, command->flat, block, completion, 0);
}

static int start_compare(struct disk_command *command, rbd_image_t image, rbd_completion_t completion) {
    uint64_t offset = command->range.offset;
    size_t length = command->range.length;
    if (command->has_compared) {
        return rbd_aio_write(image, offset, length, command->flat + length, completion);
    }
    if (!disk_flatten(command, 2 * length)) return -ENOMEM;
    if (fits_sector(command)) {
        return (int)rbd_aio_compare_and_write(
            image, offset, length, command->flat, command->flat + length, completion, &command->mismatch, 0);
    }
    command->found = malloc(length);
    if (command->found == NULL) return -ENOMEM;
    return rbd_aio_read(image, offset, length, command->found, completion);
}

static int start(struct disk_command *command, rbd_completion_t completion) {
    rbd_image_t image = command->disk->image.handle;
    uint64_t offset = command->range.offset, length = command->range.length;
    switch (command->operation) {
    case DISK_READ: return rbd_aio_readv(image, command->iovec, (int)command->iov_cnt, offset, completion);
    case DISK_WRITE: return rbd_aio_writev(image, command->iovec, (int)command->iov_cnt, offset, completion);
    case DISK_FLUSH: return rbd_aio_flush(image, completion);
    case DISK_ZERO: return rbd_aio_write_zeroes(image, offset, length, completion, command->zero_flags, 0);
    case DISK_WRITE_SAME: return start_write_same(command, image, completion);
    case DISK_COMPARE: return start_compare(command, image, completion);
    default: return -EINVAL;
    }
}

void disk_start(struct disk_command *command) {
    rbd_completion_t completion;
    int result = rbd_aio_create_completion(command, ended, &completion);
    if (result != 0) {
        disk_command_ended(command, disk_failed(command, result));
        return;
    }
    result = start(command, completion);
    if (result >= 0) return;
    // Refused: there will be no call of ended.
    rbd_aio_release(completion);
    disk_command_ended(command, disk_failed(command, result));
}
