// SPDX-License-Identifier: Apache-2.0
// What the kernel seldom does. The handler's calls of the C library find the functions of this file first.
//
// Faults:  short     transfers move one element, or half of their blocks
//          flush     the next flush fails, once
//          busy      every other io_uring_enter finds no memory, and does nothing
//          one       io_uring_enter takes one submission at a time
//          dead      io_uring_enter fails for good
//
// And from the start, by the environment: URING_DIRECT=none, the file system has no direct I/O; URING_DIRECT=BYTES, the
// alignment that it says it wants.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring_host.h"

atomic_ulong fault_count, enter_count;

static enum { none, short_transfers, failed_flush, busy, one, dead } _Atomic fault;
static struct io_uring_sqe *submissions;
static unsigned submission_count;
static unsigned seen;

void set_fault(const char *name) {
    static const char *const names[] = {"none", "short", "flush", "busy", "one", "dead"};
    unsigned index = 0;
    while (index < ARRAY_SIZE(names) && strcmp(name, names[index]) != 0) index++;
    require(index < ARRAY_SIZE(names));
    fault = index;
}

// Not more than there is, and not less than a block.
static size_t shorter(size_t length) {
    size_t blocks = length / host.block_size;
    return blocks > 1 ? blocks / 2 * host.block_size : length;
}

void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    long result = syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
    if (result != -1 && offset == (off_t)IORING_OFF_SQES) {
        submissions = (struct io_uring_sqe *)result;
        submission_count = (unsigned)(length / sizeof(*submissions));
        seen = 0;
    }
    return (void *)result;
}

static void spoil(struct io_uring_sqe *entry) {
    bool is_single = entry->opcode == IORING_OP_READ || entry->opcode == IORING_OP_WRITE;
    bool is_vector = entry->opcode == IORING_OP_READV || entry->opcode == IORING_OP_WRITEV;
    uint32_t before = entry->len;
    if (fault == short_transfers && is_single) entry->len = (uint32_t)shorter(entry->len);
    if (fault == short_transfers && is_vector) entry->len = 1;
    if (entry->len != before) fault_count++;
    if (fault == failed_flush && entry->opcode == IORING_OP_FSYNC) {
        fault = none;
        fault_count++;
        entry->fd = 1000;
    }
}

static long enter(long descriptor, unsigned count) {
    unsigned turn = (unsigned)atomic_fetch_add(&enter_count, 1);
    if (fault == busy && turn % 2 == 0) {
        fault_count++;
        errno = EAGAIN;
        return -1;
    }
    if (fault == dead) {
        fault_count++;
        errno = EBADFD;
        return -1;
    }
    if (fault == one) count = 1;
    // The handler shows as many as it has put, in their order, one call at a time.
    for (unsigned index = 0; index < count; index++) spoil(&submissions[(seen + index) % submission_count]);
    long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long result = real(SYS_io_uring_enter, descriptor, count, 0, 0, NULL, 0);
    if (result > 0) seen += (unsigned)result;
    return result;
}

long syscall(long number, ...) {
    static long (*real)(long, ...);
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int index = 0; index < 6; index++) arguments[index] = va_arg(list, long);
    va_end(list);
    if (number == SYS_io_uring_enter) return enter(arguments[0], (unsigned)arguments[1]);
    if (real == NULL) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real(
        number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

int fcntl(int descriptor, int command, ...) {
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    const char *direct = getenv("URING_DIRECT");
    if (command == F_SETFL && (argument & O_DIRECT) != 0 && direct != NULL && strcmp(direct, "none") == 0) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_fcntl, descriptor, command, argument);
}

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *status) {
    int result = (int)syscall(SYS_statx, folder, path, flags, mask, status);
    const char *direct = getenv("URING_DIRECT");
    if (result != 0 || direct == NULL || strcmp(direct, "none") == 0) return result;
    status->stx_mask |= STATX_DIOALIGN;
    status->stx_dio_offset_align = (uint32_t)strtoul(direct, NULL, 10);
    status->stx_dio_mem_align = 512;
    return 0;
}

// The threads' calls.

static struct iovec cut(const struct iovec *vector) {
    struct iovec first = *vector;
    if (fault != short_transfers) return first;
    first.iov_len = shorter(first.iov_len);
    fault_count++;
    return first;
}

ssize_t preadv(int descriptor, const struct iovec *vector, int count, off_t offset) {
    struct iovec first = cut(vector);
    if (fault == short_transfers) return syscall(SYS_preadv, descriptor, &first, 1, offset, 0);
    return syscall(SYS_preadv, descriptor, vector, count, offset, 0);
}

ssize_t pwritev(int descriptor, const struct iovec *vector, int count, off_t offset) {
    struct iovec first = cut(vector);
    if (fault == short_transfers) return syscall(SYS_pwritev, descriptor, &first, 1, offset, 0);
    return syscall(SYS_pwritev, descriptor, vector, count, offset, 0);
}

int fdatasync(int descriptor) {
    if (fault != failed_flush) return (int)syscall(SYS_fdatasync, descriptor);
    fault = none;
    fault_count++;
    errno = EIO;
    return -1;
}
