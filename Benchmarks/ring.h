// SPDX-License-Identifier: Apache-2.0
//
// An io_uring by raw system calls: one thread submits and reaps, and the kernel's work for it is done in its own
// calls (deferred task run).
#ifndef BENCHMARKS_RING_H
#define BENCHMARKS_RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    int fd;
    unsigned *submission_head, *submission_tail, *completion_head, *completion_tail;
    unsigned submission_mask, completion_mask;
    unsigned queued;  // since the last call
    struct io_uring_sqe *submissions;
    struct io_uring_cqe *completions;
};

/// To be called on the thread that will use it. False with errno when the kernel has or allows no such ring.
bool ring_create(struct ring *ring, unsigned entries);

/// Submits what is queued and waits until `wanted` completions are there. False with errno.
bool ring_enter(struct ring *ring, unsigned wanted);

/// A zeroed submission. When the queue is full, what is in it is submitted first.
struct io_uring_sqe *ring_next(struct ring *ring);

/// The oldest completion, or NULL; it stays until ring_seen.
const struct io_uring_cqe *ring_peek(const struct ring *ring);
void ring_seen(struct ring *ring);

/// Buffers that receives take in turn, in a group of their own.
struct ring_buffers {
    struct io_uring_buf_ring *entries;
    uint8_t *bytes;
    unsigned count, byte_count_each;
    uint16_t tail;  // published by ring_buffers_publish
};

/// `count` is a power of two. False with errno.
bool ring_buffers_create(
    struct ring *ring, struct ring_buffers *buffers, uint16_t group, unsigned count, unsigned byte_count_each);
void ring_buffers_give_back(struct ring_buffers *buffers, uint16_t index);
void ring_buffers_publish(struct ring_buffers *buffers);

#endif
