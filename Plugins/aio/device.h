// SPDX-License-Identifier: Apache-2.0
// A device of the handler: its commands, the kernel's queue, the worker threads.
//
// A command is taken from the free list by a callout, waits among the queued, is given to the kernel or to a worker by
// submit, and ends in reap or in the worker's thread.
#ifndef AIO_DEVICE_H
#define AIO_DEVICE_H

#include <libaio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "martlet-handler.h"
#include "store.h"
#include "tcmu-runner.h"

#pragma GCC visibility push(hidden)

struct aio_device;

struct aio_command {
    // First: a completion of the kernel's names it.
    struct iocb iocb;
    struct aio_command *next;
    struct tcmur_cmd *command;
    // What a worker does; returns its TCMU_STS_*.
    int (*perform)(struct aio_device *aio, struct aio_command *command);
    // What is left to be done, and, for reads and writes, where its data is.
    uint64_t offset;
    uint64_t length;
    struct iovec *iovec;
    size_t iov_cnt;
    bool is_write;
};

// Oldest first.
struct aio_list {
    struct aio_command *first;
    struct aio_command **last;
};

struct aio_workers;
struct aio_chunk;

struct aio_device {
    struct tcmu_device *dev;
    struct aio_store store;
    struct aio_workers *workers;

    // 0: the kernel has none to give.
    io_context_t context;
    // Signalled by the kernel for each completion.
    int event;
    // The context's commands; 1 at least.
    unsigned depth;
    // The store does direct I/O. Once false it stays so.
    atomic_bool is_direct;
    // Reads and writes go to the kernel's queue: only with direct I/O. Once false it stays so.
    atomic_bool uses_kernel;
    // The kernel is asked to refuse what would have to wait in io_submit. Once false it stays so.
    atomic_bool refuses_to_wait;
    // The host submits and reaps. Set before the first command.
    bool has_batching_host;

    // Guards what follows; never held over a system call.
    pthread_mutex_t lock;
    struct aio_command *free;
    struct aio_chunk *chunks;
    struct aio_list queued;
    // Commands that the kernel has, or is being given.
    unsigned in_flight;
    // Something stays queued until the kernel has completed something.
    bool is_held_back;
    // in_flight has become 0.
    pthread_cond_t idle;

    // Held by workers over each transfer, and alone while direct I/O is left: direct and other I/O at a time would lose
    // what both do to one page.
    pthread_rwlock_t mode;

    // Without a batching host: who reaps.
    pthread_t completer;
    bool has_completer;
    atomic_bool is_ending;

    // Held over a flush, so that no other takes its report of lost writes.
    pthread_mutex_t flushing;
    // A flush has failed.
    atomic_bool has_lost_writes;
    atomic_uint failure_count;
};

// Logs "what: the words for error".
void aio_log_error(struct aio_device *aio, const char *what, int error);
// The same, for what may happen with each command: the first, the second, the fourth time, and so on.
void aio_log_failure(struct aio_device *aio, const char *what, int error);

// Lists.

void aio_list_clear(struct aio_list *list);
void aio_list_append(struct aio_list *list, struct aio_command *command);
// Puts all of more before what list holds.
void aio_list_prepend(struct aio_list *list, struct aio_list *more);
// NULL when it is empty.
struct aio_command *aio_list_pop(struct aio_list *list);

// The kernel's queue (queue.c).

// Makes the context, if the store is direct, and the event. 0 or -errno.
int aio_queue_open(struct aio_device *aio, unsigned depth);
void aio_queue_close(struct aio_device *aio);
// A command for queueing or for the workers; NULL without memory.
struct aio_command *aio_take(struct aio_device *aio);
void aio_give_back(struct aio_device *aio, struct aio_command *command);
// Queues a read or write, and starts it when the host does not submit.
void aio_queue(struct aio_device *aio, struct aio_command *command);
// As the callouts of the extension.
void aio_submit(struct aio_device *aio);
size_t aio_reap(struct aio_device *aio);
// No direct I/O from here on, and no kernel's queue: told once. Waits for what is under way: in a worker's thread, or
// before the first command.
void aio_leave_direct(struct aio_device *aio, const char *reason);
// Workers do all I/O from here on: told once.
void aio_leave_kernel(struct aio_device *aio, const char *reason);

// Transfers (transfer.c).

// Prepares the iocb of a command for what is left of it.
void aio_prepare(struct aio_device *aio, struct aio_command *command);
// What became of a command that the kernel has completed.
enum aio_progress { AIO_ENDED, AIO_GOES_ON, AIO_NEEDS_WORKER };
// result: bytes or -errno. Sets the status of a command that has ended.
enum aio_progress aio_progress(struct aio_device *aio, struct aio_command *command, long result, int *status);
// Does what is left of a read or write: a worker's perform.
int aio_transfer(struct aio_device *aio, struct aio_command *command);

// Worker threads (workers.c).

// 0 or an errno.
int aio_workers_start(struct aio_device *aio);
// Performs what is queued, then ends.
void aio_workers_stop(struct aio_device *aio);
// Commands that are performed, and completed, in worker threads. The list is empty afterwards.
void aio_workers_queue(struct aio_device *aio, struct aio_list *commands);

// Starts a thread with all signals blocked but those of its own faults. 0 or an errno.
int aio_start_thread(pthread_t *thread, void *(*run)(void *), void *argument);

// Callouts (commands.c).

int aio_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int aio_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset);
int aio_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd);
int aio_unmap(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length);
int aio_write_zeroes(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags);
int aio_health(struct tcmu_device *dev, struct martlet_health *answer);
int aio_space(struct tcmu_device *dev, struct martlet_space *answer);
int aio_block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity);

#pragma GCC visibility pop

#endif
