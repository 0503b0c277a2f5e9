// SPDX-License-Identifier: Apache-2.0
// The kernel's io_uring, by its system calls: a ring of submissions, a ring of completions, and an event descriptor
// that becomes readable with each completion.
//
// liburing would save the mapping of two areas and cost a package at build and run time; what it is most useful for,
// waiting and time-outs, is not used here.
#ifndef URING_RING_H
#define URING_RING_H

#include "options.h"
#include "request.h"

#pragma GCC visibility push(hidden)

struct io_uring_sqe;
struct io_uring_cqe;

struct uring_ring {
    int descriptor;
    // An eventfd. Readable: completions may be there.
    int event;
    // Submissions that fit; completions fit twice as often.
    unsigned entry_count;
    // The file that requests are for: its number among the registered ones, or its descriptor.
    int file;
    bool is_registered;

    void *rings;
    size_t rings_byte_count;
    struct io_uring_sqe *submissions;
    size_t submissions_byte_count;
    struct io_uring_cqe *completions;

    // Shared with the kernel: each is written by one side and read by the other.
    unsigned *submission_head, *submission_tail, *completion_head, *completion_tail;
    unsigned submission_mask, completion_mask;
};

// A ring with room for queue_depth submissions, or for fewer where the kernel gives no more, for requests to file. It
// has been tried. 0, or an errno with a reason.
int uring_ring_open(struct uring_ring *ring, unsigned queue_depth, int file, struct medium_reason *reason);
void uring_ring_close(struct uring_ring *ring);

// Puts request's next step behind the others. One thread at a time. There is room: no more than entry_count requests
// are between here and uring_ring_take.
void uring_ring_put(struct uring_ring *ring, const struct uring_request *request);
// Shows count submissions to the kernel. One thread at a time. The number that it took, or -errno. Never waits for
// them.
int uring_ring_enter(struct uring_ring *ring, unsigned count);
// Asks the kernel to end request early, if it has not begun it. Any thread. Were the request in use for something else
// by now, that would be tried again.
void uring_ring_cancel(struct uring_ring *ring, const struct uring_request *request);
// Takes back the newest submission that the kernel has not taken: NULL when there is none. Neither uring_ring_put nor
// uring_ring_enter is under way.
struct uring_request *uring_ring_take_back(struct uring_ring *ring);

struct uring_completion {
    struct uring_request *request;
    // Bytes, or -errno.
    int32_t result;
};

// Takes up to capacity completions. No system call. One thread at a time.
size_t uring_ring_take(struct uring_ring *ring, struct uring_completion *completions, size_t capacity);

// Before uring_ring_take: unsignals the event descriptor. Afterwards: signals it, as a completion would.
void uring_ring_clear_event(const struct uring_ring *ring);
void uring_ring_raise_event(const struct uring_ring *ring);

#pragma GCC visibility pop

#endif
