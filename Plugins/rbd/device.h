// SPDX-License-Identifier: Apache-2.0
// A device of the handler: its image, its commands, and who may write.
//
// A command is taken from the free list by a callout, waits if it must (for the lock of the image, for a COMPARE AND
// WRITE of the same blocks), is given to librbd, and ends in a thread of librbd's.
#ifndef RBD_DEVICE_H
#define RBD_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "image.h"
#include "martlet-handler.h"
#include "ranges.h"

#pragma GCC visibility push(hidden)

enum disk_operation {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH,
    DISK_ZERO,
    DISK_WRITE_SAME,
    DISK_COMPARE,
    DISK_OPERATION_COUNT,
};

struct disk;

struct disk_command {
    // First: what ranges hand out is a command.
    struct range range;
    struct disk *disk;
    // Of the free list, or of those that wait for the image's lock.
    struct disk_command *next;
    struct tcmur_cmd *command;
    enum disk_operation operation;
    struct iovec *iovec;
    size_t iov_cnt;
    // Of librbd's: the part of the range that it is at, for long WRITE SAMEs.
    uint64_t done;
    uint64_t under_way;
    int zero_flags;
    // COMPARE AND WRITE and WRITE SAME: all data in one piece, and what was read to compare with. To be freed.
    char *flat;
    char *found;
    bool has_compared;
    uint64_t mismatch;
};

// Who may write, as this device knows it. Guarded by the device's lock.
enum disk_ownership {
    // Nothing to own: the image has no lock, or hands it over by itself, or the device is read only.
    DISK_OWNS_FREELY,
    // Nothing has been written since open: a change must take the lock first.
    DISK_OWNS_NOT,
    DISK_IS_TAKING,
    DISK_OWNS,
    // The cluster takes nothing from this client any more: every command ends with NOT READY, STANDBY.
    DISK_IS_FENCED,
};

struct disk_chunk;

struct disk {
    struct tcmu_device *dev;
    struct disk_request request;
    struct image image;
    // Bytes of the medium now.
    _Atomic uint64_t byte_count;
    // Failures so far, for the log: a dying cluster must not fill it.
    atomic_uint failures[DISK_OPERATION_COUNT];

    // Guards what follows; never held over a call of librbd's.
    pthread_mutex_t lock;
    struct disk_command *free;
    struct disk_chunk *chunks;
    struct ranges ranges;
    enum disk_ownership ownership;
    // Changes that wait for the lock, oldest first.
    struct disk_command *waiting;
    struct disk_command **last_waiting;

    // The thread that does what may wait (care.c), and what it is woken for.
    pthread_t carer;
    pthread_cond_t wake;
    bool has_changed;
    bool is_ending;
    // When the carer was last seen alive, by CLOCK_BOOTTIME.
    int64_t seen_seconds;
    // Changes need no lock of ours.
    bool owns_freely;
    // Who the cluster said we are when we took the lock; "" when we did not.
    char owner[128];

    // Failures of the carer's to find out who has the image. Its own.
    unsigned look_failures;
    uint64_t update_watch;
    bool has_update_watch;
};

// Commands (commands.c).

int disk_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int disk_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int disk_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd);
int disk_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length);
int disk_write_same(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt);
int disk_compare_and_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t iov_cnt);
int disk_write_zeroes(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags);

// Life of the commands' memory.
bool disk_commands_open(struct disk *disk);
void disk_commands_close(struct disk *disk);
// Goes on with changes that waited for the lock, linked by next; status: TCMU_STS_OK, or how they end.
void disk_resume(struct disk *disk, struct disk_command *commands, int status);

// Operations of librbd's (operations.c).

// Starts what is next of a command that may start. It ends in disk_command_ended, perhaps before this returns.
void disk_start(struct disk_command *command);
// Has the command's data in one piece, if they are not. False without memory.
bool disk_flatten(struct disk_command *command, size_t length);
// A command has ended; the record is given back.
void disk_command_ended(struct disk_command *command, int status);
// What an error of librbd's means for a command, told in the log: the first, the second, the fourth time, and so on.
int disk_failed(struct disk_command *command, int error);

// Care (care.c, ownership.c).

// Seconds, also those in which the machine was suspended.
int64_t disk_now(void);

// 0 or an errno.
int disk_care_start(struct disk *disk);
void disk_care_stop(struct disk *disk);
// The cluster refuses this client (-ESHUTDOWN), or has given the lock to another (-EROFS).
void disk_fence(struct disk *disk, int error);
// Under the lock: whether a change may start now. If not, the command waits, or status is how it ends.
bool disk_may_change(struct disk *disk, struct disk_command *command, int *status);
// Takes the lock from whoever has it. May block. 0 or -errno.
int disk_take_lock(struct disk *disk);
// Of a fenced device: whether another client took this image. May block. 0: no; 1: yes; or -errno: not known yet.
int disk_is_displaced(struct disk *disk);

#pragma GCC visibility pop

#endif
