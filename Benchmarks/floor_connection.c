// SPDX-License-Identifier: Apache-2.0
//
// One connection of the floor: batched receive, framing, and the queue that leaves in one send.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

struct floor_connection *floor_connection_create(int fd, const struct floor_store *store, uint16_t portal_port)
{
    struct floor_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->fd = fd;
    connection->store = store;
    connection->portal_port = portal_port;
    connection->max_data_in = LONGEST_LOGIN_SEGMENT;
    connection->max_burst = FLOOR_RECEIVE_BYTES;
    connection->stat_sn = 1;
    return connection;
}

void floor_connection_destroy(struct floor_connection *connection)
{
    close(connection->fd);
    free(connection);
}

// MARK: responses

uint8_t *floor_respond(
    struct floor_connection *connection, uint8_t opcode, uint32_t itt, bool status, const void *data, uint32_t length)
{
    static const uint8_t zeroes[4];
    uint8_t *bhs = connection->header[connection->response_count++];
    memset(bhs, 0, BHS_BYTES);
    bhs[0] = opcode;
    bhs[BHS_FLAGS] = PDU_FINAL;
    put24(bhs + BHS_DATA_LENGTH, length);
    put32(bhs + BHS_ITT, itt);
    put32(bhs + BHS_TTT, RESERVED_TAG);
    if (status)
        put32(bhs + BHS_STAT_SN, connection->stat_sn++);
    put32(bhs + BHS_EXP_CMD_SN, connection->exp_cmd_sn);
    put32(bhs + BHS_MAX_CMD_SN, connection->exp_cmd_sn + FLOOR_COMMAND_WINDOW - 1);
    connection->vector[connection->vector_count++] = (struct iovec){bhs, BHS_BYTES};
    if (length > 0)
        connection->vector[connection->vector_count++] = (struct iovec){(void *)(uintptr_t)data, length};
    // Only answers to Text, Login and NOP-Out are not multiples of four; they never come in numbers.
    if (pdu_padding(length) > 0 && connection->vector_count < 2 * FLOOR_RESPONSES)
        connection->vector[connection->vector_count++] = (struct iovec){(void *)(uintptr_t)zeroes, pdu_padding(length)};
    return bhs;
}

uint8_t *floor_canned_room(struct floor_connection *connection)
{
    uint8_t *room = connection->canned + connection->canned_used;
    connection->canned_used += FLOOR_LARGEST_CANNED;
    memset(room, 0, FLOOR_LARGEST_CANNED);
    return room;
}

/// Room for the answer to the next PDU, padding and a small answer's contents included?
static bool queue_has_room(const struct floor_connection *connection, unsigned responses)
{
    return connection->response_count + responses <= FLOOR_RESPONSES
        && connection->vector_count + 2 * responses <= 2 * FLOOR_RESPONSES
        && connection->canned_used + FLOOR_LARGEST_CANNED <= FLOOR_CANNED_BYTES;
}

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
        for (size_t left = (size_t)sent; left > 0;) {
            struct iovec *vector = &connection->vector[connection->vector_first];
            size_t step = left < vector->iov_len ? left : vector->iov_len;
            vector->iov_base = (uint8_t *)vector->iov_base + step;
            vector->iov_len -= step;
            left -= step;
            if (vector->iov_len == 0)
                connection->vector_first++;
        }
    }
    connection->vector_first = connection->vector_count = 0;
    connection->response_count = 0;
    connection->canned_used = 0;
    return FLOOR_IDLE;
}

// MARK: requests

static bool handle_nop_out(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
    uint32_t itt = get32(bhs + BHS_ITT), length = pdu_data_length(bhs);
    if (itt == RESERVED_TAG)
        return true;
    if (length > FLOOR_LARGEST_CANNED)
        return false;
    uint8_t *echo = floor_canned_room(connection);
    memcpy(echo, data, length);
    floor_respond(connection, PDU_NOP_IN, itt, true, echo, length);
    return true;
}

static bool handle_pdu(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
    uint8_t opcode = pdu_opcode(bhs);
    if (opcode != PDU_DATA_OUT && !(bhs[0] & PDU_IMMEDIATE))
        connection->exp_cmd_sn = get32(bhs + BHS_CMD_SN) + 1;
    switch (opcode) {
    case PDU_SCSI_COMMAND:
        return floor_handle_scsi_command(connection, bhs, data);
    case PDU_DATA_OUT:
        return floor_handle_data_out(connection, bhs, data);
    case PDU_NOP_OUT:
        return handle_nop_out(connection, bhs, data);
    case PDU_LOGIN:
        return floor_handle_login(connection, bhs, data);
    case PDU_TEXT:
        return floor_handle_text(connection, bhs, data);
    case PDU_TASK_MANAGEMENT:
        floor_respond(connection, PDU_TASK_MANAGEMENT_RESPONSE, get32(bhs + BHS_ITT), true, NULL, 0);
        return true;
    case PDU_LOGOUT:
        floor_respond(connection, PDU_LOGOUT_RESPONSE, get32(bhs + BHS_ITT), true, NULL, 0);
        connection->closing = true;
        return true;
    default:
        fprintf(stderr, "floor: dropping a connection that sent a PDU with opcode 0x%02x\n", opcode);
        return false;
    }
}

/// Starts receiving the rest of a long data segment straight into the store, if this PDU is a write's.
static bool start_placing(struct floor_connection *connection, const uint8_t *bhs, size_t at_hand)
{
    uint32_t length = pdu_data_length(bhs);
    size_t front = BHS_BYTES + pdu_ahs_bytes(bhs);
    if (!connection->store->place || length < FLOOR_PLACED_SEGMENT || pdu_padding(length) > 0 || at_hand < front)
        return false;
    uint8_t *destination = floor_destination(connection, bhs);
    if (!destination)
        return false;
    size_t begun = at_hand - front;
    memcpy(destination, bhs + front, begun);
    memcpy(connection->placed_header, bhs, BHS_BYTES);
    connection->place = destination + begun;
    connection->place_left = length - begun;
    connection->batch_begin = connection->batch_end;
    return true;
}

/// Handles every whole PDU of the batch. A partial one moves to the front of the buffer or into its place.
static enum floor_result handle_batch(struct floor_connection *connection)
{
    for (;;) {
        const uint8_t *bhs = connection->batch + connection->batch_begin;
        size_t at_hand = connection->batch_end - connection->batch_begin;
        if (at_hand < BHS_BYTES)
            break;
        size_t front = BHS_BYTES + pdu_ahs_bytes(bhs), length = pdu_data_length(bhs);
        if (length > FLOOR_SEGMENT_LIMIT)
            return FLOOR_CLOSED;
        size_t whole = front + length + pdu_padding((uint32_t)length);
        if (at_hand < whole) {
            start_placing(connection, bhs, at_hand);
            break;
        }
        if (!queue_has_room(connection, floor_responses_needed(connection, bhs))) {
            enum floor_result result = send_queue(connection);
            if (result != FLOOR_IDLE)
                return result;
        }
        if (!handle_pdu(connection, bhs, bhs + front))
            return FLOOR_CLOSED;
        connection->batch_begin += whole;
    }
    size_t left = connection->batch_end - connection->batch_begin;
    if (connection->batch_begin > 0)
        memmove(connection->batch, connection->batch + connection->batch_begin, left);
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

enum floor_result floor_connection_turn(struct floor_connection *connection)
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
        connection->place += placed;
        connection->place_left -= placed;
        arrived -= placed;
        // The queue is empty at the start of a turn, so there is room for the answer.
        if (connection->place_left == 0 && !handle_pdu(connection, connection->placed_header, NULL))
            return FLOOR_CLOSED;
    }
    connection->batch_end += arrived;
    enum floor_result result = handle_batch(connection);
    if (result == FLOOR_IDLE && connection->closing)
        return FLOOR_CLOSED;
    return result == FLOOR_IDLE && filled ? FLOOR_MORE : result;
}
