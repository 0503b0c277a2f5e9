// SPDX-License-Identifier: Apache-2.0
//
// The floor on io_uring. One call a turn: it submits the sends of the turn before, and waits.
//
// Small PDUs come by a multishot receive into buffers that the kernel chooses. Once a connection brings long data
// segments, it receives as the floor on epoll does, first into the segment's place and then into the batch buffer,
// until it has brought none for a while.
//
// A send has no completion when all of it went out at once, as it does as a rule: so the call that submits it can wait
// for the next receive. What the socket did not take is sent by a second one, which has a completion.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"
#include "ring.h"

enum {
    SUBMISSIONS = 256,
    BUFFERS = 16,
    BUFFER_BYTES = 32 * 1024,
    BUFFER_GROUP = 0,
    MOST_CONNECTIONS = 64,       // of a loop
    TURNS_WITHOUT_PLACING = 64,  // before a connection goes back to the multishot receive
};

/// What a completion is for: the low bits of a connection's address.
enum purpose { PURPOSE_RECEIVE, PURPOSE_SEND, PURPOSE_CANCEL, PURPOSE_INBOX, PURPOSE_MASK = 3 };

/// Received bytes in a buffer of the kernel's choice that are not handled yet.
struct span {
    uint16_t buffer;
    uint32_t begin, end;
};

struct uring_connection {
    struct floor_connection *floor;
    bool is_receiving, is_sending, is_multishot, is_cancelling, is_broken, is_dirty;
    bool is_patient;  // the next send has a completion in any case
    size_t arrived;
    bool has_batch;   // a plain receive has brought bytes that are not handled yet
    unsigned turns_without_placing;
    unsigned span_first, span_count;
    struct span spans[BUFFERS];
    struct iovec vectors[2];
    struct msghdr receive_message, send_message;
};

struct uring_loop {
    struct ring ring;
    struct ring_buffers buffers;
    int inbox;                          // the reading end of a pipe of connections
    struct floor_connection *arrived;
    unsigned dirty_count, sent_count;
    struct uring_connection *dirty[MOST_CONNECTIONS];
    struct uring_connection *sent[MOST_CONNECTIONS];  // those with a send that may have no completion
    unsigned connection_count;
    sem_t ready;
    int failure;                        // errno of what could not be set up
};

static struct io_uring_sqe *submit(struct uring_loop *loop, uint8_t opcode, int fd, void *address, uint32_t length,
                                   void *owner, enum purpose purpose)
{
    struct io_uring_sqe *entry = ring_next(&loop->ring);
    if (!entry)
        floor_die("io_uring_enter");
    entry->opcode = opcode;
    entry->fd = fd;
    entry->addr = (uint64_t)(uintptr_t)address;
    entry->len = length;
    entry->user_data = (uint64_t)(uintptr_t)owner | purpose;
    return entry;
}

static void watch_inbox(struct uring_loop *loop)
{
    struct io_uring_sqe *entry =
        submit(loop, IORING_OP_READ, loop->inbox, &loop->arrived, sizeof loop->arrived, NULL, PURPOSE_INBOX);
    entry->off = UINT64_MAX;  // a pipe has no position
}

// MARK: receive and send

static void begin_receive(struct uring_loop *loop, struct uring_connection *connection)
{
    struct floor_connection *floor = connection->floor;
    connection->is_multishot = connection->turns_without_placing >= TURNS_WITHOUT_PLACING && floor->batch_end == 0
        && floor->place_left == 0;
    connection->is_receiving = true;
    if (connection->is_multishot) {
        struct io_uring_sqe *entry = submit(loop, IORING_OP_RECV, floor->fd, NULL, 0, connection, PURPOSE_RECEIVE);
        entry->ioprio = IORING_RECV_MULTISHOT;
        entry->flags = IOSQE_BUFFER_SELECT;
        entry->buf_group = BUFFER_GROUP;
        return;
    }
    unsigned count = 0;
    if (floor->place_left > 0)
        connection->vectors[count++] = (struct iovec){floor->place, floor->place_left};
    connection->vectors[count++] = (struct iovec){floor->batch + floor->batch_end, FLOOR_RECEIVE_BYTES};
    connection->receive_message = (struct msghdr){.msg_iov = connection->vectors, .msg_iovlen = count};
    submit(loop, IORING_OP_RECVMSG, floor->fd, &connection->receive_message, 1, connection, PURPOSE_RECEIVE);
}

static void begin_send(struct uring_loop *loop, struct uring_connection *connection)
{
    struct floor_connection *floor = connection->floor;
    connection->send_message = (struct msghdr){
        .msg_iov = floor->vector + floor->vector_first, .msg_iovlen = floor->vector_count - floor->vector_first};
    struct io_uring_sqe *entry =
        submit(loop, IORING_OP_SENDMSG, floor->fd, &connection->send_message, 1, connection, PURPOSE_SEND);
    // Short is a failure to the kernel, by MSG_WAITALL, and has a completion.
    entry->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    connection->is_sending = true;
    if (connection->is_patient)
        return;
    entry->msg_flags |= MSG_DONTWAIT;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    loop->sent[loop->sent_count++] = connection;
}

/// Ends the multishot receive: the next one knows the place of the data.
static void cancel_receive(struct uring_loop *loop, struct uring_connection *connection)
{
    uint64_t receive = (uint64_t)(uintptr_t)connection | PURPOSE_RECEIVE;
    struct io_uring_sqe *entry = submit(loop, IORING_OP_ASYNC_CANCEL, -1, NULL, 0, connection, PURPOSE_CANCEL);
    entry->addr = receive;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    connection->is_cancelling = true;
}

// MARK: what was received

static void take_spans(struct uring_loop *loop, struct uring_connection *connection)
{
    while (connection->span_count > 0 && !connection->is_broken) {
        struct span *span = &connection->spans[connection->span_first % BUFFERS];
        const uint8_t *bytes = loop->buffers.bytes + (size_t)span->buffer * BUFFER_BYTES;
        size_t taken;
        if (floor_take_bytes(connection->floor, bytes + span->begin, span->end - span->begin, &taken) == FLOOR_CLOSED)
            connection->is_broken = true;
        span->begin += (uint32_t)taken;
        if (span->begin < span->end)
            return;
        ring_buffers_give_back(&loop->buffers, span->buffer);
        connection->span_first++;
        connection->span_count--;
    }
}

/// What a plain receive brought: the rest of a data segment, and then the batch. The queue is empty.
static void take_batch(struct uring_connection *connection)
{
    struct floor_connection *floor = connection->floor;
    size_t placed = connection->arrived < floor->place_left ? connection->arrived : floor->place_left;
    if (placed > 0 && !floor_placed(floor, placed))
        connection->is_broken = true;
    floor->batch_end += connection->arrived - placed;
    connection->arrived = 0;
    size_t handled;
    enum floor_result result = floor_handle_whole(
        floor, floor->batch + floor->batch_begin, floor->batch_end - floor->batch_begin, &handled);
    floor->batch_begin += handled;
    connection->is_broken = connection->is_broken || result == FLOOR_CLOSED;
    if (result != FLOOR_IDLE)
        return;
    const uint8_t *rest = floor->batch + floor->batch_begin;
    size_t left = floor->batch_end - floor->batch_begin;
    if (floor_start_placing(floor, rest, left))
        left = 0;
    memmove(floor->batch, rest, left);
    floor->batch_begin = 0;
    floor->batch_end = left;
    connection->has_batch = false;
}

static void received(struct uring_connection *connection, const struct io_uring_cqe *completion)
{
    if (completion->flags & IORING_CQE_F_BUFFER)
        connection->spans[(connection->span_first + connection->span_count++) % BUFFERS] = (struct span){
            .buffer = (uint16_t)(completion->flags >> IORING_CQE_BUFFER_SHIFT), .end = (uint32_t)completion->res};
    if (!(completion->flags & IORING_CQE_F_MORE))
        connection->is_receiving = connection->is_cancelling = false;
    if (completion->res == 0 || (completion->res < 0 && completion->res != -ENOBUFS && completion->res != -ECANCELED))
        connection->is_broken = true;
    if (connection->is_multishot || completion->res <= 0)
        return;
    connection->arrived = (size_t)completion->res;
    connection->has_batch = true;
}

// MARK: turns

static void destroy(struct uring_loop *loop, struct uring_connection *connection)
{
    for (; connection->span_count > 0; connection->span_count--)
        ring_buffers_give_back(&loop->buffers, connection->spans[connection->span_first++ % BUFFERS].buffer);
    loop->connection_count--;
    floor_connection_destroy(connection->floor);
    free(connection);
}

/// Once for each connection for which something was completed in this turn.
static void work(struct uring_loop *loop, struct uring_connection *connection)
{
    struct floor_connection *floor = connection->floor;
    connection->is_dirty = false;
    if (!connection->is_sending && !connection->is_broken) {
        if (floor->vector_first == 0) {  // nothing is left of a send that ended early
            uint64_t placements = floor->placements;
            if (connection->is_multishot)
                take_spans(loop, connection);
            else if (connection->has_batch)
                take_batch(connection);
            connection->turns_without_placing =
                floor->placements == placements ? connection->turns_without_placing + 1 : 0;
        }
        // What is still to be handled then goes on when the send is completed: it must tell.
        connection->is_patient |= connection->has_batch || connection->span_count > 0 || floor->closing;
        if (floor->vector_first < floor->vector_count)
            begin_send(loop, connection);
        else if (floor->closing)
            connection->is_broken = true;
    }
    if (connection->is_broken) {
        shutdown(floor->fd, SHUT_RDWR);  // ends what is under way
        if (!connection->is_receiving && !connection->is_sending)
            destroy(loop, connection);
        return;
    }
    bool wants_place = floor->place_left > 0;
    if (connection->is_receiving && connection->is_multishot && wants_place && !connection->is_cancelling)
        cancel_receive(loop, connection);
    bool is_handled = connection->is_multishot ? connection->span_count == 0 : !connection->has_batch;
    if (!connection->is_receiving && is_handled && !floor->closing)
        begin_receive(loop, connection);
}

static void adopt_arrived(struct uring_loop *loop)
{
    struct uring_connection *connection = calloc(1, sizeof *connection);
    if (!connection || loop->connection_count == MOST_CONNECTIONS)
        floor_die("a connection");
    loop->connection_count++;
    connection->floor = loop->arrived;
    connection->turns_without_placing = TURNS_WITHOUT_PLACING;
    begin_receive(loop, connection);
    watch_inbox(loop);
}

static void set_dirty(struct uring_loop *loop, struct uring_connection *connection)
{
    if (!connection->is_dirty)
        loop->dirty[loop->dirty_count++] = connection;
    connection->is_dirty = true;
}

static void completed(struct uring_loop *loop, const struct io_uring_cqe *completion)
{
    enum purpose purpose = completion->user_data & PURPOSE_MASK;
    struct uring_connection *connection =
        (struct uring_connection *)(uintptr_t)(completion->user_data & ~(uint64_t)PURPOSE_MASK);
    switch (purpose) {
    case PURPOSE_INBOX:
        if (completion->res != sizeof loop->arrived)
            floor_die("the inbox of a loop");
        adopt_arrived(loop);
        return;
    case PURPOSE_CANCEL:
        return;  // it came too late
    case PURPOSE_RECEIVE:
        received(connection, completion);
        break;
    case PURPOSE_SEND:
        connection->is_sending = false;
        if (completion->res > 0)
            floor_queue_sent(connection->floor, (size_t)completion->res);
        else if (completion->res != -EAGAIN)
            connection->is_broken = true;
        connection->is_patient = connection->floor->vector_count > 0;
        break;
    }
    set_dirty(loop, connection);
}

/// The call that submitted them has returned, so those without a completion have gone out whole.
static void end_quiet_sends(struct uring_loop *loop)
{
    for (unsigned i = 0; i < loop->sent_count; i++) {
        struct uring_connection *connection = loop->sent[i];
        if (!connection->is_sending)
            continue;
        connection->is_sending = false;
        floor_queue_all_sent(connection->floor);
    }
    loop->sent_count = 0;
}

static void *run_loop(void *argument)
{
    struct uring_loop *loop = argument;
    if (!ring_create(&loop->ring, SUBMISSIONS)
        || !ring_buffers_create(&loop->ring, &loop->buffers, BUFFER_GROUP, BUFFERS, BUFFER_BYTES))
        loop->failure = errno;
    bool is_usable = loop->failure == 0;
    sem_post(&loop->ready);  // the loop is the other thread's no longer; without success it is nobody's
    if (!is_usable)
        return NULL;
    watch_inbox(loop);
    for (;;) {
        if (!ring_enter(&loop->ring, 1))
            floor_die("io_uring_enter");
        loop->dirty_count = 0;
        for (const struct io_uring_cqe *completion; (completion = ring_peek(&loop->ring)); ring_seen(&loop->ring))
            completed(loop, completion);
        end_quiet_sends(loop);
        for (unsigned i = 0; i < loop->dirty_count; i++)
            work(loop, loop->dirty[i]);
        ring_buffers_publish(&loop->buffers);
    }
    return NULL;
}

static int start_loop(void)
{
    int ends[2];
    pthread_t thread;
    struct uring_loop *loop = calloc(1, sizeof *loop);
    if (!loop || pipe(ends) < 0)
        return -1;
    loop->inbox = ends[0];
    sem_init(&loop->ready, 0, 0);
    errno = pthread_create(&thread, NULL, run_loop, loop);
    if (errno != 0)
        return -1;
    while (sem_wait(&loop->ready) < 0)
        ;
    errno = loop->failure;
    return loop->failure == 0 ? ends[1] : -1;
}

static bool adopt(int loop, struct floor_connection *connection)
{
    return write(loop, &connection, sizeof connection) == sizeof connection;
}

const struct floor_poller floor_uring = {.name = "io_uring", .start_loop = start_loop, .adopt = adopt};
