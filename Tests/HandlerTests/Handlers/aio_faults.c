// SPDX-License-Identifier: Apache-2.0
// Stands between the plugin "aio" and the system, which it has misbehave. The linker sends the plugin's calls here
// (--wrap). Which faults there are stands in a file "faults" beside the shared object, NAME=VALUE on each line; calls
// are written to a file "log" there.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "martlet-handler.h"

const struct martlet_handler_extension *martlet_handler_extension(void);

static const char *const names[] = {
    "SETUP_LIMIT", // io_setup makes no larger context
    "SUBMIT_ERROR", // of every io_submit
    "SUBMIT_STEP", // commands that io_submit takes at a time; every third call takes none
    "NO_WAIT_UNKNOWN", // RWF_NOWAIT is not supported
    "SHORT", // the most bytes of a transfer
    "EVENT_ERROR", // of every other completion
    "FULL_AT", // ENOSPC for what begins at this byte
    "REFUSE_DIRECT", // O_DIRECT cannot be set
    "REFUSE_BLOCKS", // the first look with O_DIRECT fails
    "TAKE_BACK", // direct I/O by threads is refused
    "SYNC_FAILS", // the first flush fails
    "NO_BATCHES", // the host sees no batch callouts
};
enum {
    SETUP_LIMIT, SUBMIT_ERROR, SUBMIT_STEP, NO_WAIT_UNKNOWN, SHORT, EVENT_ERROR, FULL_AT, REFUSE_DIRECT, REFUSE_BLOCKS,
    TAKE_BACK, SYNC_FAILS, NO_BATCHES, COUNT
};
// -1: there is no such fault.
static long faults[COUNT];
static int logged;

__attribute__((constructor)) static void read_faults(void) {
    char path[PATH_MAX], name[64];
    Dl_info here;
    long value;
    dladdr((void *)martlet_handler_extension, &here);
    int length = (int)(strrchr(here.dli_fname, '/') - here.dli_fname);
    snprintf(path, sizeof path, "%.*s/log", length, here.dli_fname);
    logged = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    snprintf(path, sizeof path, "%.*s/faults", length, here.dli_fname);
    FILE *file = fopen(path, "re");
    for (int index = 0; index < COUNT; index++) faults[index] = -1;
    while (file != NULL && fscanf(file, "%63[^=]=%ld\n", name, &value) == 2) {
        int index = 0;
        while (index < COUNT && strcmp(names[index], name) != 0) index++;
        if (index == COUNT) abort();
        faults[index] = value;
    }
    if (file != NULL) fclose(file);
}

static bool has(int fault) { return faults[fault] >= 0; }

static void note(const char *format, long value) {
    char line[64];
    int length = snprintf(line, sizeof line, format, value);
    if (write(logged, line, (size_t)length) != length) abort();
}

int __real_io_setup(int count, io_context_t *context);
int __wrap_io_setup(int count, io_context_t *context) {
    if (has(SETUP_LIMIT) && count > faults[SETUP_LIMIT]) return -EAGAIN;
    return __real_io_setup(count, context);
}

int __real_io_submit(io_context_t context, long count, struct iocb **iocbs);
int __wrap_io_submit(io_context_t context, long count, struct iocb **iocbs) {
    static atomic_uint calls;
    if (has(SUBMIT_ERROR)) return (int)-faults[SUBMIT_ERROR];
    if (has(SUBMIT_STEP) && atomic_fetch_add(&calls, 1) % 3 == 2) return -EAGAIN;
    if (has(SUBMIT_STEP) && count > faults[SUBMIT_STEP]) count = faults[SUBMIT_STEP];
    if (has(NO_WAIT_UNKNOWN) && iocbs[0]->aio_rw_flags != 0) return -EOPNOTSUPP;
    note("io_submit %ld\n", count);
    return __real_io_submit(context, count, iocbs);
}

int __real_io_getevents(
    io_context_t context, long least, long most, struct io_event *events, struct timespec *timeout);
int __wrap_io_getevents(
    io_context_t context, long least, long most, struct io_event *events, struct timespec *timeout) {
    static atomic_uint ends;
    int count = __real_io_getevents(context, least, most, events, timeout);
    for (int index = 0; index < count; index++) {
        struct io_event *event = &events[index];
        // What was done beyond is done again.
        if (has(SHORT) && (long)event->res > faults[SHORT]) event->res = (unsigned long)faults[SHORT];
        if (has(EVENT_ERROR) && atomic_fetch_add(&ends, 1) % 2 == 0) event->res = (unsigned long)-faults[EVENT_ERROR];
        if (has(FULL_AT) && event->obj->u.c.offset == faults[FULL_AT]) event->res = (unsigned long)-ENOSPC;
    }
    return count;
}

static int refuse(void) {
    errno = EINVAL;
    return -1;
}

int __real_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    if (has(REFUSE_DIRECT) && command == F_SETFL && (argument & O_DIRECT) != 0) return refuse();
    return __real_fcntl(descriptor, command, argument);
}

// The first look at a direct store.
ssize_t __real_pread(int descriptor, void *to, size_t count, off_t offset);
ssize_t __wrap_pread(int descriptor, void *to, size_t count, off_t offset) {
    return has(REFUSE_BLOCKS) ? refuse() : __real_pread(descriptor, to, count, offset);
}

static ssize_t vectored(
    ssize_t (*real)(int, const struct iovec *, int, off_t), int descriptor, const struct iovec *vector, int count,
    off_t offset) {
    bool is_direct = (__real_fcntl(descriptor, F_GETFL) & O_DIRECT) != 0;
    if (has(TAKE_BACK) && is_direct) return refuse();
    if (!has(SHORT)) return real(descriptor, vector, count, offset);
    // Through the page cache it may end within a block.
    size_t most = (size_t)(is_direct ? faults[SHORT] / 512 * 512 : faults[SHORT] + 7);
    struct iovec part = {vector->iov_base, vector->iov_len < most ? vector->iov_len : most};
    return real(descriptor, &part, 1, offset);
}

ssize_t __real_preadv(int descriptor, const struct iovec *vector, int count, off_t offset);
ssize_t __wrap_preadv(int descriptor, const struct iovec *vector, int count, off_t offset) {
    return vectored(__real_preadv, descriptor, vector, count, offset);
}

ssize_t __real_pwritev(int descriptor, const struct iovec *vector, int count, off_t offset);
ssize_t __wrap_pwritev(int descriptor, const struct iovec *vector, int count, off_t offset) {
    return vectored(__real_pwritev, descriptor, vector, count, offset);
}

int __real_fdatasync(int descriptor);
int __wrap_fdatasync(int descriptor) {
    static atomic_uint calls;
    // Once: as the kernel, which then forgets.
    if (has(SYNC_FAILS) && atomic_fetch_add(&calls, 1) == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(descriptor);
}

int __real_tcmur_register_handler(struct tcmur_handler *handler);
int __wrap_tcmur_register_handler(struct tcmur_handler *handler) {
    struct martlet_handler_extension *table = (struct martlet_handler_extension *)martlet_handler_extension();
    if (has(NO_BATCHES)) {
        // A table of version 1. Relocated constants are read-only by now.
        if (mprotect((void *)((uintptr_t)table & ~(uintptr_t)4095), 8192, PROT_READ | PROT_WRITE) != 0) abort();
        table->size = offsetof(struct martlet_handler_extension, map_read);
    }
    return __real_tcmur_register_handler(handler);
}
