// SPDX-License-Identifier: Apache-2.0

// The shims that need declarations beyond POSIX.
#define _GNU_SOURCE 1

#include "CLinux.h"

#include <limits.h>
#include <sys/prctl.h>

_Static_assert(sizeof(off_t) == 8, "files beyond 2 GiB need 64-bit offsets");
_Static_assert(sizeof(struct iovec) == 16, "two words: base and length");

// Bytes of a thread's name with its NUL.
#define THREAD_NAME_SIZE 16

const int clinux_o_direct = O_DIRECT;
const int clinux_o_path = O_PATH;
const int clinux_seek_data = SEEK_DATA;
const int clinux_seek_hole = SEEK_HOLE;
const int clinux_rusage_thread = RUSAGE_THREAD;

const char *clinux_error_text(int error, char *buffer, size_t byte_count) {
    return strerror_r(error, buffer, byte_count);
}

// The kernel has no epoll_pwait2: asked once.
static _Atomic bool has_only_milliseconds = false;

int clinux_epoll_wait(int descriptor, struct epoll_event *events, int capacity, int64_t timeout_nanoseconds) {
    if (timeout_nanoseconds <= 0) return epoll_wait(descriptor, events, capacity, timeout_nanoseconds < 0 ? -1 : 0);
    if (!has_only_milliseconds) {
        struct timespec timeout = {timeout_nanoseconds / 1000000000, timeout_nanoseconds % 1000000000};
        int count = epoll_pwait2(descriptor, events, capacity, &timeout, NULL);
        if (count >= 0 || errno != ENOSYS) return count;
        has_only_milliseconds = true;
    }
    int64_t milliseconds = (timeout_nanoseconds + 999999) / 1000000;
    return epoll_wait(descriptor, events, capacity, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds);
}
int clinux_replace_descriptor(int descriptor, int other) { return dup3(other, descriptor, O_CLOEXEC); }

static int name_thread(pthread_t thread, const char *name) {
    char shortened[THREAD_NAME_SIZE] = {0};
    memcpy(shortened, name, strnlen(name, sizeof shortened - 1));
    return pthread_setname_np(thread, shortened);
}

int clinux_name_thread(const char *name) { return name_thread(pthread_self(), name); }

int clinux_thread_start(
    pthread_t *thread, size_t stack_byte_count, const char *name, void *(*body)(void *), void *argument
) {
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return error;
    error = pthread_attr_setstacksize(&attributes, stack_byte_count);
    if (error == 0) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(thread, &attributes, body, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    // A thread without a name works as well.
    if (error == 0) (void)name_thread(*thread, name);
    return error;
}

int clinux_bind_to_processor(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (processor < 0 || processor >= CPU_SETSIZE) {
        errno = EINVAL;
        return -1;
    }
    CPU_SET((size_t)processor, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

void clinux_set_timer_slack(unsigned long nanoseconds) { (void)prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); }

bool clinux_is_in_loaded_object(const void *address) {
    Dl_info owner;
    return dladdr(address, &owner) != 0;
}
