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
    size_t count;
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

bool uring_list_remove(struct uring_list *list, struct uring_request *request) {
    struct uring_request *before = NULL;
    for (struct uring_request *each = list->first; each != NULL; before = each, each = each->next) {
        if (each != request) continue;
        if (before == NULL) {
            list->first = request->next;
        } else {
            before->next = request->next;
        }
        if (list->last == request) list->last = before;
        return true;
    }
    return false;
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
    chunk->count = count;
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

struct uring_request *uring_pool_find(const struct uring_pool *pool, const struct tcmur_cmd *command) {
    for (struct uring_chunk *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t index = 0; index < chunk->count; index++) {
            struct uring_request *request = &chunk->requests[index];
            if (request->command == command && !request->has_ended) return request;
        }
    }
    return NULL;
}

void uring_pool_give(struct uring_pool *pool, struct uring_request *request) {
    request->command = NULL;
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

// What the next step of URING_WRITE_ZEROES writes. Aligned for direct I/O; never written.
static uint8_t zero_bytes[1 << 18] __attribute__((aligned(4096)));

static void show_zeroes(struct uring_request *request) {
    request->zeroes = (struct iovec){zero_bytes, (size_t)min(request->length, (uint64_t)sizeof(zero_bytes))};
    request->iovec = &request->zeroes;
    request->iov_cnt = 1;
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
    if (request->operation == URING_WRITE_ZEROES) show_zeroes(request);
    return false;
}

// Whether there is another way to the same zeroes.
static bool fall_back(struct uring_request *request) {
    if (!request->falls_back || request->operation == URING_WRITE_ZEROES) return false;
    request->operation = request->operation == URING_UNMAP ? URING_ZERO : URING_WRITE_ZEROES;
    if (request->operation == URING_WRITE_ZEROES) show_zeroes(request);
    return true;
}

// Whether the same step may end well when another thread submits it. When a thread ends, the kernel cancels what it has
// submitted and not begun (ECANCELED), and loses its way to the memory of what waits for the page cache (EFAULT).
static bool may_succeed_later(int64_t result) {
    return result == -EINTR || result == -EAGAIN || result == -ECANCELED || result == -EFAULT;
}

static bool advance(struct uring_request *request, int64_t result) {
    if (may_succeed_later(result)) {
        return ++request->refusal_count > refusal_limit && end(request, (int)-result);
    }
    if (result == -EOPNOTSUPP && fall_back(request)) return false;
    if (result < 0) return end(request, (int)-result);
    switch (request->operation) {
    case URING_READ:
    case URING_WRITE:
    case URING_WRITE_ZEROES:
        return advance_transfer(request, (uint64_t)result);
    case URING_FLUSH:
    case URING_UNMAP:
    case URING_ZERO:
        break;
    }
    return end(request, 0);
}

bool uring_request_advance(struct uring_request *request, int64_t result) {
    return advance(request, result) || (request->is_cancelled && end(request, ECANCELED));
}
