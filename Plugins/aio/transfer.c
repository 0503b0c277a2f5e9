// SPDX-License-Identifier: Apache-2.0
// Reads and writes: how far one has come, and how it ends.

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"

enum { data_protect = 0x07, space_allocation_failed = 0x2707 };

void aio_prepare(struct aio_device *aio, struct aio_command *command) {
    struct iocb *iocb = &command->iocb;
    int descriptor = aio->store.descriptor, count = (int)command->iov_cnt;
    long long offset = (long long)command->offset;
    if (command->is_write) {
        io_prep_pwritev(iocb, descriptor, command->iovec, count, offset);
    } else {
        io_prep_preadv(iocb, descriptor, command->iovec, count, offset);
    }
    io_set_eventfd(iocb, aio->event);
    if (atomic_load_explicit(&aio->refuses_to_wait, memory_order_relaxed)) iocb->aio_rw_flags = RWF_NOWAIT;
}

// Its status after an error.
static int fail(struct aio_device *aio, struct aio_command *command, int error) {
    aio_log_failure(aio, command->is_write ? "cannot write" : "cannot read", error);
    if (!command->is_write) return TCMU_STS_RD_ERR;
    // A thin store is full, SBC-4 4.7.
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        return tcmu_sense_set_data(command->command->lib_cmd->sense_buf, data_protect, space_allocation_failed);
    }
    return TCMU_STS_WR_ERR;
}

// Takes count bytes off what is left; a transfer that ended inside a block goes on with that block. False when that is
// no step at all: the file has been cut short, or takes nothing.
static bool advance(struct aio_device *aio, struct aio_command *command, size_t count) {
    size_t step = count < command->length ? count - count % aio->store.block_size : command->length;
    if (step == 0) return false;
    command->offset += step;
    command->length -= step;
    if (command->length == 0) return true;
    size_t used_up = tcmu_iovec_seek(command->iovec, step);
    command->iovec += used_up;
    command->iov_cnt -= used_up;
    return true;
}

enum aio_progress aio_progress(struct aio_device *aio, struct aio_command *command, long result, int *status) {
    if (result >= 0) {
        if (!advance(aio, command, (size_t)result)) {
            *status = fail(aio, command, command->is_write ? EIO : ENODATA);
            return AIO_ENDED;
        }
        *status = TCMU_STS_OK;
        return command->length == 0 ? AIO_ENDED : AIO_GOES_ON;
    }
    // A worker does without what the kernel may object to, and meets any other error itself.
    switch (-result) {
    case EAGAIN: // It would have had to wait.
    case EINTR:
    case EOPNOTSUPP: // The file system cannot tell in advance what has to wait.
    case EINVAL: // Perhaps the store takes direct I/O back.
        return AIO_NEEDS_WORKER;
    default: break;
    }
    *status = fail(aio, command, (int)-result);
    return AIO_ENDED;
}

// One system call: bytes or -errno.
static ssize_t step(struct aio_device *aio, struct aio_command *command, bool *was_direct) {
    int iov_cnt = command->iov_cnt < IOV_MAX ? (int)command->iov_cnt : IOV_MAX;
    pthread_rwlock_rdlock(&aio->mode);
    *was_direct = atomic_load(&aio->is_direct);
    ssize_t count = command->is_write
                        ? pwritev(aio->store.descriptor, command->iovec, iov_cnt, (off_t)command->offset)
                        : preadv(aio->store.descriptor, command->iovec, iov_cnt, (off_t)command->offset);
    if (count < 0) count = -errno;
    pthread_rwlock_unlock(&aio->mode);
    return count;
}

int aio_transfer(struct aio_device *aio, struct aio_command *command) {
    while (command->length > 0) {
        bool was_direct;
        ssize_t count = step(aio, command, &was_direct);
        if (count == -EINTR) continue;
        if (count == -EINVAL && was_direct) {
            aio_leave_direct(aio, "a transfer was refused");
            continue;
        }
        if (count < 0) return fail(aio, command, (int)-count);
        if (!advance(aio, command, (size_t)count)) return fail(aio, command, command->is_write ? EIO : ENODATA);
    }
    return TCMU_STS_OK;
}
