// SPDX-License-Identifier: Apache-2.0
//
// The floor on epoll: a turn is one receive, all PDUs at hand, one send.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "floor.h"

enum { EVENTS_PER_WAIT = 64 };

/// Sends all that is queued with as few calls as the socket allows, one as a rule.
static enum floor_result send_queue(struct floor_connection *connection)
{
    while (connection->vector_first < connection->vector_count) {
        struct msghdr message = {
            .msg_iov = connection->vector + connection->vector_first,
            .msg_iovlen = connection->vector_count - connection->vector_first,
        };
        ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? FLOOR_BLOCKED : FLOOR_CLOSED;
        floor_queue_sent(connection, (size_t)sent);
    }
    return FLOOR_IDLE;
}

/// Handles every whole PDU of the batch. A partial one moves to the front of the buffer or into its place.
static enum floor_result handle_batch(struct floor_connection *connection)
{
    for (;;) {
        size_t handled;
        enum floor_result result = floor_handle_whole(connection, connection->batch + connection->batch_begin,
                                                      connection->batch_end - connection->batch_begin, &handled);
        connection->batch_begin += handled;
        if (result == FLOOR_CLOSED)
            return result;
        if (result == FLOOR_IDLE)
            break;
        result = send_queue(connection);
        if (result != FLOOR_IDLE)
            return result;
    }
    const uint8_t *rest = connection->batch + connection->batch_begin;
    size_t left = connection->batch_end - connection->batch_begin;
    if (floor_start_placing(connection, rest, left))
        left = 0;
    if (connection->batch_begin > 0)
        memmove(connection->batch, rest, left);
    connection->batch_begin = 0;
    connection->batch_end = left;
    return send_queue(connection);
}

/// One receive: first the rest of a half-read data segment into its place, then the batch buffer.
static ssize_t receive_batch(struct floor_connection *connection)
{
    uint8_t *free_bytes = connection->batch + connection->batch_end;
    if (connection->place_left == 0)
        return recv(connection->fd, free_bytes, FLOOR_RECEIVE_BYTES, 0);
    struct iovec vectors[2] = {{connection->place, connection->place_left}, {free_bytes, FLOOR_RECEIVE_BYTES}};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
    return recvmsg(connection->fd, &message, 0);
}

/// Sends what was left over; if all is sent, one receive, all PDUs at hand, one send.
static enum floor_result take_turn(struct floor_connection *connection)
{
    if (connection->vector_first < connection->vector_count) {
        enum floor_result result = send_queue(connection);
        if (result == FLOOR_IDLE)
            result = handle_batch(connection);
        if (result != FLOOR_IDLE)
            return result;
    }
    if (connection->closing)
        return FLOOR_CLOSED;
    ssize_t count = receive_batch(connection);
    if (count < 0)
        return errno == EAGAIN ? FLOOR_IDLE : FLOOR_CLOSED;
    if (count == 0)
        return FLOOR_CLOSED;

    size_t arrived = (size_t)count;
    bool filled = arrived >= FLOOR_RECEIVE_BYTES;
    if (connection->place_left > 0) {
        size_t placed = arrived < connection->place_left ? arrived : connection->place_left;
        arrived -= placed;
        // The queue is empty at the start of a turn, so there is room for the answer.
        if (!floor_placed(connection, placed))
            return FLOOR_CLOSED;
    }
    connection->batch_end += arrived;
    enum floor_result result = handle_batch(connection);
    if (result == FLOOR_IDLE && connection->closing)
        return FLOOR_CLOSED;
    return result == FLOOR_IDLE && filled ? FLOOR_MORE : result;
}

static bool watch(int epoll, int operation, struct floor_connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    return epoll_ctl(epoll, operation, connection->fd, &event) == 0;
}

static void *run_loop(void *argument)
{
    int epoll = (int)(intptr_t)argument;
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR)
            floor_die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct floor_connection *connection = events[i].data.ptr;
            bool was_blocked = (events[i].events & EPOLLOUT) != 0, watched = true;
            enum floor_result result = take_turn(connection);
            // FLOOR_MORE needs nothing: the readiness is level-triggered.
            if (result == FLOOR_CLOSED)
                floor_connection_destroy(connection);
            else if (result == FLOOR_BLOCKED && !was_blocked)
                watched = watch(epoll, EPOLL_CTL_MOD, connection, EPOLLOUT);
            else if (result != FLOOR_BLOCKED && was_blocked)
                watched = watch(epoll, EPOLL_CTL_MOD, connection, EPOLLIN);
            if (!watched)
                floor_die("epoll_ctl");
        }
    }
    return NULL;
}

static int start_loop(void)
{
    pthread_t thread;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return -1;
    errno = pthread_create(&thread, NULL, run_loop, (void *)(intptr_t)epoll);
    return errno == 0 ? epoll : -1;
}

static bool adopt(int loop, struct floor_connection *connection)
{
    return watch(loop, EPOLL_CTL_ADD, connection, EPOLLIN);
}

const struct floor_poller floor_epoll = {.name = "epoll", .start_loop = start_loop, .adopt = adopt};
