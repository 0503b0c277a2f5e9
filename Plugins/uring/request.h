// SPDX-License-Identifier: Apache-2.0
// One command on its way through an engine.
#ifndef URING_REQUEST_H
#define URING_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcmu-runner.h"

#pragma GCC visibility push(hidden)

enum uring_operation {
    URING_READ,
    URING_WRITE,
    URING_FLUSH,
    // Takes the storage away: the range reads as zeroes.
    URING_UNMAP,
    // Zeroes the range, and keeps or makes its storage.
    URING_ZERO,
    // Writes zeroes.
    URING_WRITE_ZEROES,
};

struct uring_request {
    // In whatever list it stands.
    struct uring_request *next;
    // A flush's: other flushes that end with it.
    struct uring_request *companions;
    struct tcmur_cmd *command;
    // What is left to do. The vector is the host's until the command is completed.
    struct iovec *iovec;
    size_t iov_cnt;
    uint64_t offset;
    uint64_t length;
    enum uring_operation operation;
    // Zeroes are wanted, in whichever way: one that the store does not know gives place to the next.
    bool falls_back;
    // Of URING_WRITE_ZEROES.
    struct iovec zeroes;
    // Nobody waits for it: it is not begun again, nor done to its end.
    bool is_cancelled;
    // It stands in a list of those that have ended.
    bool has_ended;
    // Answers that said "again".
    uint32_t refusal_count;
    // When it has ended: 0 or an errno.
    int error;
};

// A list in order, oldest first. All zeroes is empty.
struct uring_list {
    struct uring_request *first;
    struct uring_request *last;
};

void uring_list_append(struct uring_list *list, struct uring_request *request);
// NULL when it is empty.
struct uring_request *uring_list_take(struct uring_list *list);
// Appends all of other, which is empty then.
// Takes request out. False when it is not there.
bool uring_list_remove(struct uring_list *list, struct uring_request *request);
void uring_list_move(struct uring_list *list, struct uring_list *other);

// Requests that are not in use. They are allocated many at a time, given back when the device closes.
struct uring_pool {
    struct uring_request *free;
    struct uring_chunk *chunks;
};

// Room for count more requests. 0 or ENOMEM.
int uring_pool_grow(struct uring_pool *pool, size_t count);
// NULL when there is no memory for more.
struct uring_request *uring_pool_take(struct uring_pool *pool);
// The request for command that is in use and has not ended; NULL when there is none.
struct uring_request *uring_pool_find(const struct uring_pool *pool, const struct tcmur_cmd *command);
void uring_pool_give(struct uring_pool *pool, struct uring_request *request);
void uring_pool_destroy(struct uring_pool *pool);

// Elements that one system call takes.
#define URING_VECTOR_LIMIT 1024u

// Cuts the vector to the request's length. False when it is shorter than that.
bool uring_request_fit(struct uring_request *request);

// What the kernel said: bytes moved, or -errno. True: the request has ended, and error says how. False: it is to be
// done again, from where it stopped.
bool uring_request_advance(struct uring_request *request, int64_t result);

#pragma GCC visibility pop

#endif
