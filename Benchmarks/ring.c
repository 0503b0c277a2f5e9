// SPDX-License-Identifier: Apache-2.0
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int enter(const struct ring *ring, unsigned submitted, unsigned wanted)
{
    return (int)syscall(__NR_io_uring_enter, ring->fd, submitted, wanted, IORING_ENTER_GETEVENTS, NULL, 0);
}

static void *map(int fd, size_t byte_count, uint64_t offset)
{
    return mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
}

bool ring_create(struct ring *ring, unsigned entries)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = 8 * entries,
    };
    *ring = (struct ring){.fd = (int)syscall(__NR_io_uring_setup, entries, &parameters)};
    if (ring->fd < 0)
        return false;
    if (!(parameters.features & IORING_FEAT_SINGLE_MMAP)) {
        errno = ENOSYS;
        return false;
    }
    size_t submissions_end = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
    size_t completions_end = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    uint8_t *both = map(ring->fd, submissions_end > completions_end ? submissions_end : completions_end,
                        IORING_OFF_SQ_RING);
    void *submissions = map(ring->fd, parameters.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    if (both == MAP_FAILED || submissions == MAP_FAILED)
        return false;
    ring->submission_head = (unsigned *)(void *)(both + parameters.sq_off.head);
    ring->submission_tail = (unsigned *)(void *)(both + parameters.sq_off.tail);
    ring->submission_mask = parameters.sq_entries - 1;
    ring->submissions = submissions;
    ring->completion_head = (unsigned *)(void *)(both + parameters.cq_off.head);
    ring->completion_tail = (unsigned *)(void *)(both + parameters.cq_off.tail);
    ring->completion_mask = parameters.cq_entries - 1;
    ring->completions = (struct io_uring_cqe *)(void *)(both + parameters.cq_off.cqes);
    // The order of submissions is that of their places, always.
    unsigned *order = (unsigned *)(void *)(both + parameters.sq_off.array);
    for (unsigned i = 0; i < parameters.sq_entries; i++)
        order[i] = i;
    return true;
}

bool ring_enter(struct ring *ring, unsigned wanted)
{
    for (;;) {
        int taken = enter(ring, ring->queued, wanted);
        if (taken >= 0) {
            ring->queued -= (unsigned)taken;
            return true;
        }
        if (errno != EINTR && errno != EAGAIN && errno != EBUSY)
            return false;
    }
}

struct io_uring_sqe *ring_next(struct ring *ring)
{
    while (ring->queued > ring->submission_mask)
        if (!ring_enter(ring, 0))
            return NULL;
    unsigned tail = *ring->submission_tail;
    struct io_uring_sqe *submission = &ring->submissions[tail & ring->submission_mask];
    memset(submission, 0, sizeof *submission);
    // The kernel looks at the queue only within our own calls, so the entry may be published before it is filled in.
    __atomic_store_n(ring->submission_tail, tail + 1, __ATOMIC_RELEASE);
    ring->queued++;
    return submission;
}

const struct io_uring_cqe *ring_peek(const struct ring *ring)
{
    unsigned head = *ring->completion_head;
    if (head == __atomic_load_n(ring->completion_tail, __ATOMIC_ACQUIRE))
        return NULL;
    return &ring->completions[head & ring->completion_mask];
}

void ring_seen(struct ring *ring)
{
    __atomic_store_n(ring->completion_head, *ring->completion_head + 1, __ATOMIC_RELEASE);
}

bool ring_buffers_create(
    struct ring *ring, struct ring_buffers *buffers, uint16_t group, unsigned count, unsigned byte_count_each)
{
    size_t entries_bytes = count * sizeof(struct io_uring_buf), all = (size_t)count * byte_count_each;
    void *entries = mmap(NULL, entries_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *bytes = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (entries == MAP_FAILED || bytes == MAP_FAILED)
        return false;
    *buffers = (struct ring_buffers){
        .entries = entries, .bytes = bytes, .count = count, .byte_count_each = byte_count_each};
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)entries, .ring_entries = count, .bgid = group};
    if (syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_PBUF_RING, &registration, 1) < 0)
        return false;
    for (unsigned i = 0; i < count; i++)
        ring_buffers_give_back(buffers, (uint16_t)i);
    ring_buffers_publish(buffers);
    return true;
}

void ring_buffers_give_back(struct ring_buffers *buffers, uint16_t index)
{
    struct io_uring_buf *entry = &buffers->entries->bufs[buffers->tail++ & (buffers->count - 1)];
    entry->addr = (uint64_t)(uintptr_t)(buffers->bytes + (size_t)index * buffers->byte_count_each);
    entry->len = buffers->byte_count_each;
    entry->bid = index;
}

void ring_buffers_publish(struct ring_buffers *buffers)
{
    __atomic_store_n(&buffers->entries->tail, buffers->tail, __ATOMIC_RELEASE);
}
