// SPDX-License-Identifier: Apache-2.0
// Submissions and completions.

#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Bytes that one transfer moves at most; more comes back as a short transfer.
static const uint64_t transfer_limit = 1 << 30;

static void describe_transfer(struct io_uring_sqe *entry, const struct uring_request *request) {
    bool is_read = request->operation == URING_READ;
    entry->off = request->offset;
    if (request->iov_cnt == 1) {
        // Spares the kernel the copy of the vector.
        entry->opcode = is_read ? IORING_OP_READ : IORING_OP_WRITE;
        entry->addr = (uint64_t)(uintptr_t)request->iovec->iov_base;
        entry->len = (uint32_t)min(request->iovec->iov_len, transfer_limit);
    } else {
        entry->opcode = is_read ? IORING_OP_READV : IORING_OP_WRITEV;
        entry->addr = (uint64_t)(uintptr_t)request->iovec;
        // What does not fit comes back as a short transfer.
        entry->len = (uint32_t)min(request->iov_cnt, (size_t)URING_VECTOR_LIMIT);
    }
}

static void describe(struct io_uring_sqe *entry, const struct uring_request *request) {
    switch (request->operation) {
    case URING_READ:
    case URING_WRITE:
    case URING_WRITE_ZEROES:
        describe_transfer(entry, request);
        break;
    case URING_FLUSH:
        entry->opcode = IORING_OP_FSYNC;
        entry->fsync_flags = IORING_FSYNC_DATASYNC;
        break;
    case URING_UNMAP:
    case URING_ZERO:
        entry->opcode = IORING_OP_FALLOCATE;
        entry->off = request->offset;
        entry->addr = request->length;
        entry->len = FALLOC_FL_KEEP_SIZE;
        entry->len |= request->operation == URING_UNMAP ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
        break;
    }
}

void uring_ring_put(struct uring_ring *ring, const struct uring_request *request) {
    unsigned tail = *ring->submission_tail;
    struct io_uring_sqe *entry = &ring->submissions[tail & ring->submission_mask];
    memset(entry, 0, sizeof(*entry));
    describe(entry, request);
    entry->fd = ring->file;
    if (ring->is_registered) entry->flags |= IOSQE_FIXED_FILE;
    entry->user_data = (uint64_t)(uintptr_t)request;
    // Another thread may be in uring_ring_enter: the entry is complete before the kernel can see it.
    __atomic_store_n(ring->submission_tail, tail + 1, __ATOMIC_RELEASE);
}

int uring_ring_enter(struct uring_ring *ring, unsigned count) {
    long result = syscall(__NR_io_uring_enter, ring->descriptor, count, 0u, 0u, NULL, (size_t)0);
    return result >= 0 ? (int)result : -errno;
}

struct uring_request *uring_ring_take_back(struct uring_ring *ring) {
    unsigned tail = *ring->submission_tail;
    if (tail == __atomic_load_n(ring->submission_head, __ATOMIC_ACQUIRE)) return NULL;
    __atomic_store_n(ring->submission_tail, tail - 1, __ATOMIC_RELEASE);
    return (struct uring_request *)(uintptr_t)ring->submissions[(tail - 1) & ring->submission_mask].user_data;
}

size_t uring_ring_take(struct uring_ring *ring, struct uring_completion *completions, size_t capacity) {
    unsigned head = *ring->completion_head;
    unsigned tail = __atomic_load_n(ring->completion_tail, __ATOMIC_ACQUIRE);
    size_t count = 0;
    for (; head != tail && count < capacity; head++, count++) {
        const struct io_uring_cqe *entry = &ring->completions[head & ring->completion_mask];
        completions[count] = (struct uring_completion){
            .request = (struct uring_request *)(uintptr_t)entry->user_data, .result = entry->res};
    }
    // The kernel may use the entries again.
    __atomic_store_n(ring->completion_head, head, __ATOMIC_RELEASE);
    return count;
}

void uring_ring_cancel(struct uring_ring *ring, const struct uring_request *request) {
    // Does not wait: a request that the kernel has begun is left alone.
    struct io_uring_sync_cancel_reg what = {.addr = (uint64_t)(uintptr_t)request, .fd = -1};
    // Since Linux 6.0; an older kernel, or one that finds no such request, does nothing.
    syscall(__NR_io_uring_register, ring->descriptor, IORING_REGISTER_SYNC_CANCEL, &what, 1);
}

void uring_ring_clear_event(const struct uring_ring *ring) {
    uint64_t count;
    // Empty already: somebody else has taken them.
    while (read(ring->event, &count, sizeof(count)) < 0 && errno == EINTR) continue;
}

void uring_ring_raise_event(const struct uring_ring *ring) {
    uint64_t one = 1;
    // Full: it is readable.
    while (write(ring->event, &one, sizeof(one)) < 0 && errno == EINTR) continue;
}
