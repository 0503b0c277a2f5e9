// SPDX-License-Identifier: Apache-2.0
//
// One connection of the floor: framing, and the queue of responses. The pollers receive and send.
#include <stdio.h>
#include <stdlib.h>
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

bool floor_has_room(const struct floor_connection *connection, unsigned responses)
{
    return connection->response_count + responses <= FLOOR_RESPONSES
        && connection->vector_count + 2 * responses <= 2 * FLOOR_RESPONSES
        && connection->canned_used + FLOOR_LARGEST_CANNED <= FLOOR_CANNED_BYTES;
}

void floor_queue_sent(struct floor_connection *connection, size_t byte_count)
{
    while (byte_count > 0) {
        struct iovec *vector = &connection->vector[connection->vector_first];
        size_t step = byte_count < vector->iov_len ? byte_count : vector->iov_len;
        vector->iov_base = (uint8_t *)vector->iov_base + step;
        vector->iov_len -= step;
        byte_count -= step;
        if (vector->iov_len == 0)
            connection->vector_first++;
    }
    if (connection->vector_first == connection->vector_count)
        floor_queue_all_sent(connection);
}

void floor_queue_all_sent(struct floor_connection *connection)
{
    connection->vector_first = connection->vector_count = 0;
    connection->response_count = 0;
    connection->canned_used = 0;
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

/// How long the PDU is that begins here, as far as its header tells. 0 when it is longer than we take.
static size_t whole_length(const uint8_t *bhs)
{
    uint32_t length = pdu_data_length(bhs);
    return length > FLOOR_SEGMENT_LIMIT ? 0 : BHS_BYTES + pdu_ahs_bytes(bhs) + length + pdu_padding(length);
}

bool floor_start_placing(struct floor_connection *connection, const uint8_t *bytes, size_t byte_count)
{
    if (!connection->store->place || byte_count < BHS_BYTES)
        return false;
    uint32_t length = pdu_data_length(bytes);
    size_t front = BHS_BYTES + pdu_ahs_bytes(bytes);
    if (length < FLOOR_PLACED_SEGMENT || pdu_padding(length) > 0 || byte_count < front)
        return false;
    uint8_t *destination = floor_destination(connection, bytes);
    if (!destination)
        return false;
    size_t begun = byte_count - front;
    memcpy(destination, bytes + front, begun);
    memcpy(connection->placed_header, bytes, BHS_BYTES);
    connection->place = destination + begun;
    connection->place_left = length - begun;
    connection->placements++;
    return true;
}

bool floor_placed(struct floor_connection *connection, size_t byte_count)
{
    connection->place += byte_count;
    connection->place_left -= byte_count;
    return connection->place_left > 0 || handle_pdu(connection, connection->placed_header, NULL);
}

enum floor_result floor_handle_whole(
    struct floor_connection *connection, const uint8_t *bytes, size_t byte_count, size_t *handled)
{
    size_t position = 0;
    enum floor_result result = FLOOR_IDLE;
    while (byte_count - position >= BHS_BYTES) {
        const uint8_t *bhs = bytes + position;
        size_t whole = whole_length(bhs);
        if (whole == 0)
            result = FLOOR_CLOSED;
        else if (byte_count - position < whole)
            break;
        else if (!floor_has_room(connection, floor_responses_needed(connection, bhs)))
            result = FLOOR_BLOCKED;
        else if (!handle_pdu(connection, bhs, bhs + BHS_BYTES + pdu_ahs_bytes(bhs)))
            result = FLOOR_CLOSED;
        if (result != FLOOR_IDLE)
            break;
        position += whole;
    }
    *handled = position;
    return result;
}

/// Adds bytes to the partial PDU in the batch buffer: those of its header first, for it tells how many it has.
static enum floor_result complete_partial(
    struct floor_connection *connection, const uint8_t *bytes, size_t byte_count, size_t *taken)
{
    size_t wanted = connection->batch_end < BHS_BYTES ? BHS_BYTES : whole_length(connection->batch);
    if (wanted == 0)
        return FLOOR_CLOSED;
    size_t handled, step = wanted - connection->batch_end;
    if (step > byte_count)
        step = byte_count;
    memcpy(connection->batch + connection->batch_end, bytes, step);
    enum floor_result result =
        floor_handle_whole(connection, connection->batch, connection->batch_end + step, &handled);
    if (result != FLOOR_IDLE)
        return result;
    *taken += step;
    connection->batch_end += step;
    if (handled > 0 || floor_start_placing(connection, connection->batch, connection->batch_end))
        connection->batch_end = 0;
    return FLOOR_IDLE;
}

enum floor_result floor_take_bytes(
    struct floor_connection *connection, const uint8_t *bytes, size_t byte_count, size_t *taken)
{
    enum floor_result result = FLOOR_IDLE;
    for (*taken = 0; *taken < byte_count && result == FLOOR_IDLE;) {
        size_t left = byte_count - *taken, handled;
        const uint8_t *next = bytes + *taken;
        if (connection->place_left > 0) {
            if (!floor_has_room(connection, 2))
                return FLOOR_BLOCKED;
            size_t step = left < connection->place_left ? left : connection->place_left;
            memcpy(connection->place, next, step);
            *taken += step;
            result = floor_placed(connection, step) ? FLOOR_IDLE : FLOOR_CLOSED;
        } else if (connection->batch_end > 0) {
            result = complete_partial(connection, next, left, taken);
        } else {
            result = floor_handle_whole(connection, next, left, &handled);
            *taken += handled;
            if (result != FLOOR_IDLE || handled == left)
                continue;
            if (!floor_start_placing(connection, next + handled, left - handled)) {
                memcpy(connection->batch, next + handled, left - handled);
                connection->batch_end = left - handled;
            }
            *taken = byte_count;
        }
    }
    return result;
}
