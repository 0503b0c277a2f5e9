// SPDX-License-Identifier: Apache-2.0

/// Threads, signals and clocks: shims for what Swift cannot call. Included by CLinux.h.

#ifndef CLINUX_THREADS_H
#define CLINUX_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// Nanoseconds of the monotonic clock.
static inline uint64_t clinux_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// Blocks the calling thread for so long, or until a signal handler has run.
static inline void clinux_sleep(uint64_t nanoseconds) {
    struct timespec time = {
        .tv_sec = (time_t)(nanoseconds / 1000000000u),
        .tv_nsec = (long)(nanoseconds % 1000000000u),
    };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

/// How much later than it asked for the kernel may wake the calling thread, to wake several at once.
void clinux_set_timer_slack(unsigned long nanoseconds);

static inline int clinux_thread_id(void) { return (int)syscall(SYS_gettid); }

/// Starts a joinable thread with a stack of `stack_byte_count` bytes and a name (the first 15 characters count).
/// All signals are blocked in it: they are the main thread's business. 0 or an errno value.
int clinux_thread_start(
    pthread_t *_Nonnull thread, size_t stack_byte_count, const char *_Nonnull name,
    void *_Nullable (*_Nonnull body)(void *_Nullable), void *_Nullable argument);

/// Names the calling thread; the first 15 bytes count. 0 or an errno value.
int clinux_name_thread(const char *_Nonnull name);

/// A condition variable whose timed waits go by the monotonic clock. 0 or an errno value.
static inline int clinux_condition_init(pthread_cond_t *_Nonnull condition) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error != 0) { return error; }
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) { error = pthread_cond_init(condition, &attributes); }
    pthread_condattr_destroy(&attributes);
    return error;
}

/// Waits until `deadline`, in nanoseconds of the monotonic clock. 0, or ETIMEDOUT.
static inline int clinux_condition_wait_until(
    pthread_cond_t *_Nonnull condition, pthread_mutex_t *_Nonnull mutex, uint64_t deadline
) {
    struct timespec time = {
        .tv_sec = (time_t)(deadline / 1000000000u),
        .tv_nsec = (long)(deadline % 1000000000u),
    };
    return pthread_cond_timedwait(condition, mutex, &time);
}

/// Has `signal` ignored by the process. 0, or -1 with errno.
static inline int clinux_ignore_signal(int signal_number) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigemptyset(&action.sa_mask);
    return sigaction(signal_number, &action, NULL);
}

/// Puts back what sigaction(2) reported before. 0, or -1 with errno.
static inline int clinux_set_signal_action(int signal_number, const struct sigaction *_Nonnull action) {
    return sigaction(signal_number, action, NULL);
}
static inline int clinux_get_signal_action(int signal_number, struct sigaction *_Nonnull action) {
    return sigaction(signal_number, NULL, action);
}

/// Blocks `signal_number` in the calling thread, and in those it starts. 0 or an errno value.
static inline int clinux_block_signal(int signal_number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/// Binds the calling thread to one processor. 0, or -1 with errno.
int clinux_bind_to_processor(int processor);

/// Whether `address` lies in an object that the dynamic loader knows.
bool clinux_is_in_loaded_object(const void *_Nonnull address);

/// What getrusage(2) calls RUSAGE_THREAD: the calling thread only.
extern const int clinux_rusage_thread;

#endif
