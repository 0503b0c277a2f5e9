// SPDX-License-Identifier: Apache-2.0

#include "request.h"

#include <errno.h>
#include <stdlib.h>

// Requests that are allocated at once when more commands come than the queue is deep.
static const size_t growth_count = 64;

// Times that "again" is believed.
static const uint32_t refusal_limit = 1000;

struct uring_chunk {
    struct uring_chunk *next;
    struct uring_request requests[];
};

void uring_list_append(struct uring_list *list, struct uring_request *request) {
    request->next = NULL;
    if (list->first == NULL) {
        list->first = request;
    } else {
        list->last->next = request;
    }
    list->last = request;
}

struct uring_request *uring_list_take(struct uring_list *list) {
    struct uring_request *request = list->first;
    if (request != NULL) list->first = request->next;
    return request;
}

void uring_list_move(struct uring_list *list, struct uring_list *other) {
    if (other->first == NULL) return;
    if (list->first == NULL) {
        list->first = other->first;
    } else {
        list->last->next = other->first;
    }
    list->last = other->last;
    other->first = NULL;
}

int uring_pool_grow(struct uring_pool *pool, size_t count) {
    struct uring_chunk *chunk = calloc(1, sizeof(*chunk) + count * sizeof(chunk->requests[0]));
    if (chunk == NULL) return ENOMEM;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    for (size_t index = count; index > 0; index--) uring_pool_give(pool, &chunk->requests[index - 1]);
    return 0;
}

struct uring_request *uring_pool_take(struct uring_pool *pool) {
    if (pool->free == NULL && uring_pool_grow(pool, growth_count) != 0) return NULL;
    struct uring_request *request = pool->free;
    pool->free = request->next;
    return request;
}

void uring_pool_give(struct uring_pool *pool, struct uring_request *request) {
    request->next = pool->free;
    pool->free = request;
}

void uring_pool_destroy(struct uring_pool *pool) {
    while (pool->chunks != NULL) {
        struct uring_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        free(chunk);
    }
    pool->free = NULL;
}

bool uring_request_fit(struct uring_request *request) {
    uint64_t left = request->length;
    for (size_t index = 0; index < request->iov_cnt; index++) {
        struct iovec *element = &request->iovec[index];
        if (element->iov_len >= left) {
            element->iov_len = left;
            request->iov_cnt = index + 1;
            return true;
        }
        left -= element->iov_len;
    }
    return left == 0;
}

static bool end(struct uring_request *request, int error) {
    request->error = error;
    return true;
}

// Some of the bytes have been moved.
static bool advance_transfer(struct uring_request *request, uint64_t count) {
    // Nothing moves when a file has been cut short, and would not the next time.
    if (count == 0) return end(request, request->operation == URING_READ ? ENODATA : EIO);
    if (count >= request->length) return end(request, 0);
    request->length -= count;
    request->offset += count;
    request->refusal_count = 0;
    size_t used_up = tcmu_iovec_seek(request->iovec, count);
    request->iovec += used_up;
    request->iov_cnt -= used_up;
    return false;
}

// Whether the same step may end well when another thread submits it. When a thread ends, the kernel cancels what it has
// submitted and not begun (ECANCELED), and loses its way to the memory of what waits for the page cache (EFAULT).
static bool may_succeed_later(int64_t result) {
    return result == -EINTR || result == -EAGAIN || result == -ECANCELED || result == -EFAULT;
}

bool uring_request_advance(struct uring_request *request, int64_t result) {
    if (may_succeed_later(result)) {
        return ++request->refusal_count > refusal_limit && end(request, (int)-result);
    }
    if (result < 0) return end(request, (int)-result);
    if (request->operation == URING_READ || request->operation == URING_WRITE) {
        return advance_transfer(request, (uint64_t)result);
    }
    return end(request, 0);
}
