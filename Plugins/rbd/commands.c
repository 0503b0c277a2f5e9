// SPDX-License-Identifier: Apache-2.0
// The I/O callouts, and the records of commands. None of the callouts waits: librbd queues what it is given.

#include <errno.h>
#include <stdlib.h>

#include "device.h"

enum {
    data_protect_write_protected = 0x2700,
    // Records that are allocated at a time, when there are more commands at once than ever before.
    chunk_size = 64,
};

struct disk_chunk {
    struct disk_chunk *next;
    struct disk_command commands[chunk_size];
};

// Under the lock, or before the first command.
static bool add_chunk(struct disk *disk) {
    struct disk_chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL) return false;
    chunk->next = disk->chunks;
    disk->chunks = chunk;
    for (size_t index = 0; index < chunk_size; index++) {
        chunk->commands[index].next = disk->free;
        disk->free = &chunk->commands[index];
    }
    return true;
}

bool disk_commands_open(struct disk *disk) {
    pthread_mutex_init(&disk->lock, NULL);
    ranges_init(&disk->ranges);
    disk->last_waiting = &disk->waiting;
    return add_chunk(disk);
}

void disk_commands_close(struct disk *disk) {
    pthread_mutex_destroy(&disk->lock);
    while (disk->chunks != NULL) {
        struct disk_chunk *chunk = disk->chunks;
        disk->chunks = chunk->next;
        free(chunk);
    }
}

// Under the lock.
static struct disk_command *take(struct disk *disk) {
    struct disk_command *command = disk->free != NULL || add_chunk(disk) ? disk->free : NULL;
    if (command != NULL) disk->free = command->next;
    return command;
}

// Under the lock.
static void give_back(struct disk *disk, struct disk_command *command) {
    command->next = disk->free;
    disk->free = command;
}

static bool changes_medium(enum disk_operation operation) { return operation != DISK_READ && operation != DISK_FLUSH; }

// Starts a command, or has it wait. TCMU_STS_OK: it ends by tcmur_cmd_complete.
static int begin(struct disk *disk, const struct disk_command *wanted) {
    int status = TCMU_STS_OK;
    bool may_start = true;
    pthread_mutex_lock(&disk->lock);
    struct disk_command *command = take(disk);
    if (command == NULL) {
        status = TCMU_STS_NO_RESOURCE;
    } else {
        *command = *wanted;
        command->disk = disk;
        if (changes_medium(command->operation)) {
            may_start = disk_may_change(disk, command, &status) && ranges_begin(&disk->ranges, &command->range);
        } else if (disk->ownership == DISK_IS_FENCED) {
            status = TCMU_STS_FENCED;
        }
        if (status != TCMU_STS_OK) give_back(disk, command);
    }
    pthread_mutex_unlock(&disk->lock);
    // One that waits may have ended by now: it is looked at no more.
    if (status == TCMU_STS_OK && may_start) disk_start(command);
    return status;
}

void disk_resume(struct disk *disk, struct disk_command *commands, int status) {
    while (commands != NULL) {
        struct disk_command *command = commands;
        commands = command->next;
        if (status != TCMU_STS_OK) {
            struct tcmur_cmd *ended = command->command;
            pthread_mutex_lock(&disk->lock);
            give_back(disk, command);
            pthread_mutex_unlock(&disk->lock);
            tcmur_cmd_complete(disk->dev, ended, status);
            continue;
        }
        pthread_mutex_lock(&disk->lock);
        bool may_start = ranges_begin(&disk->ranges, &command->range);
        pthread_mutex_unlock(&disk->lock);
        if (may_start) disk_start(command);
    }
}

void disk_command_ended(struct disk_command *command, int status) {
    struct disk *disk = command->disk;
    struct tcmu_device *dev = disk->dev;
    struct tcmur_cmd *ended = command->command;
    struct range *admitted = NULL;
    free(command->flat);
    free(command->found);
    pthread_mutex_lock(&disk->lock);
    if (changes_medium(command->operation)) admitted = ranges_end(&disk->ranges, &command->range);
    give_back(disk, command);
    pthread_mutex_unlock(&disk->lock);
    // The device may be closed once its last command has ended; those that were admitted have not.
    tcmur_cmd_complete(dev, ended, status);
    while (admitted != NULL) {
        struct disk_command *next = (struct disk_command *)admitted;
        admitted = admitted->admitted;
        disk_start(next);
    }
}

// librbd clips what crosses the end instead of refusing it.
static bool holds(const struct disk *disk, uint64_t offset, uint64_t length) {
    uint64_t byte_count = atomic_load_explicit(&disk->byte_count, memory_order_relaxed);
    return offset <= byte_count && length <= byte_count - offset;
}

// A command that changes length bytes.
static int change(struct tcmu_device *dev, const struct disk_command *command) {
    struct disk *disk = tcmur_dev_get_private(dev);
    if (disk->image.is_read_only) {
        return tcmu_sense_set_data(command->command->lib_cmd->sense_buf, DATA_PROTECT, data_protect_write_protected);
    }
    if (!holds(disk, command->range.offset, command->range.length)) return TCMU_STS_RANGE;
    return begin(disk, command);
}

int disk_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct disk *disk = tcmur_dev_get_private(dev);
    if (offset < 0 || !holds(disk, (uint64_t)offset, length)) return TCMU_STS_RANGE;
    struct disk_command command = {
        .command = cmd, .operation = DISK_READ, .iovec = iovec, .iov_cnt = iov_cnt,
        .range = {.offset = (uint64_t)offset, .length = length}};
    return begin(disk, &command);
}

int disk_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    if (offset < 0) return TCMU_STS_RANGE;
    struct disk_command command = {
        .command = cmd, .operation = DISK_WRITE, .iovec = iovec, .iov_cnt = iov_cnt,
        .range = {.offset = (uint64_t)offset, .length = length}};
    return change(dev, &command);
}

int disk_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct disk_command command = {.command = cmd, .operation = DISK_FLUSH};
    return begin(tcmur_dev_get_private(dev), &command);
}

// A discard of librbd's is rounded inward to 64 KiB and then leaves what it does not cover as it was; its zeroes are
// exact and take storage away where they can.
int disk_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    return disk_write_zeroes(dev, cmd, offset, length, MARTLET_WRITE_ZEROES_MAY_UNMAP);
}

int disk_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    struct disk_command command = {
        .command = cmd, .operation = DISK_ZERO, .range = {.offset = offset, .length = length},
        .zero_flags = (flags & MARTLET_WRITE_ZEROES_MAY_UNMAP) != 0 ? 0 : RBD_WRITE_ZEROES_FLAG_THICK_PROVISION};
    return change(dev, &command);
}

int disk_write_same(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt) {
    struct disk_command command = {
        .command = cmd, .operation = DISK_WRITE_SAME, .iovec = iovec, .iov_cnt = iov_cnt,
        .range = {.offset = offset, .length = length}};
    return change(dev, &command);
}

int disk_compare_and_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt) {
    struct disk_command command = {
        .command = cmd, .operation = DISK_COMPARE, .iovec = iovec, .iov_cnt = iov_cnt,
        .range = {.offset = offset, .length = length, .is_exclusive = true}};
    return change(dev, &command);
}
