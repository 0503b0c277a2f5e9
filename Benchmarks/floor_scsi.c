// SPDX-License-Identifier: Apache-2.0
//
// The SCSI of the floor: reads out of the store, writes into it, and canned answers for the rest.
#include "floor.h"

struct transfer {
    uint64_t offset;  // in bytes
    uint32_t length;
    bool is_read;
};

/// Decodes a READ or WRITE. False for other commands and for ranges that are not in the store.
static bool decode_transfer(const struct floor_store *store, const uint8_t *bhs, struct transfer *transfer)
{
    const uint8_t *cdb = bhs + BHS_CDB;
    uint64_t lba;
    uint32_t blocks;
    switch (cdb[0]) {
    case SCSI_READ_6:
    case SCSI_WRITE_6:
        lba = get24(cdb + 1) & 0x1fffff;
        blocks = cdb[4] ? cdb[4] : 256;
        break;
    case SCSI_READ_10:
    case SCSI_WRITE_10:
        lba = get32(cdb + 2);
        blocks = get16(cdb + 7);
        break;
    case SCSI_READ_12:
    case SCSI_WRITE_12:
        lba = get32(cdb + 2);
        blocks = get32(cdb + 6);
        break;
    case SCSI_READ_16:
    case SCSI_WRITE_16:
        lba = get64(cdb + 2);
        blocks = get32(cdb + 10);
        break;
    default:
        return false;
    }
    uint64_t capacity = store->byte_count / SCSI_BLOCK_BYTES;
    uint32_t most_blocks = FLOOR_BURST_LIMIT / SCSI_BLOCK_BYTES;
    if (lba > capacity || blocks > capacity - lba || blocks > most_blocks)
        return false;
    transfer->offset = lba * SCSI_BLOCK_BYTES;
    transfer->length = blocks * SCSI_BLOCK_BYTES;
    transfer->is_read = (bhs[BHS_FLAGS] & COMMAND_READ) != 0;
    return transfer->length == get32(bhs + BHS_EXPECTED_LENGTH);
}

/// The unfinished write that a Data-Out belongs to; NULL for a Data-Out that belongs to none.
static const struct floor_pending *find_pending(const struct floor_connection *connection, const uint8_t *bhs)
{
    uint32_t itt = get32(bhs + BHS_ITT), ttt = get32(bhs + BHS_TTT);
    if (ttt != RESERVED_TAG) {
        const struct floor_pending *pending = ttt < FLOOR_COMMAND_WINDOW ? &connection->pending[ttt] : NULL;
        return pending && pending->in_use && pending->itt == itt ? pending : NULL;
    }
    for (unsigned i = 0; i < FLOOR_COMMAND_WINDOW; i++)
        if (connection->pending[i].in_use && connection->pending[i].itt == itt)
            return &connection->pending[i];
    return NULL;
}

uint8_t *floor_destination(const struct floor_connection *connection, const uint8_t *bhs)
{
    uint32_t length = pdu_data_length(bhs);
    if (pdu_opcode(bhs) == PDU_SCSI_COMMAND) {
        struct transfer transfer;
        if (!decode_transfer(connection->store, bhs, &transfer) || transfer.is_read || length > transfer.length)
            return NULL;
        return connection->store->bytes + transfer.offset;
    }
    if (pdu_opcode(bhs) != PDU_DATA_OUT)
        return NULL;
    const struct floor_pending *pending = find_pending(connection, bhs);
    uint32_t offset = get32(bhs + BHS_BUFFER_OFFSET);
    if (!pending || offset > pending->length || length > pending->length - offset)
        return NULL;
    return connection->store->bytes + pending->offset + offset;
}

static unsigned data_in_count(const struct floor_connection *connection, uint32_t length)
{
    return length / connection->max_data_in + length / connection->max_burst + 2;
}

unsigned floor_responses_needed(const struct floor_connection *connection, const uint8_t *bhs)
{
    uint32_t expected = get32(bhs + BHS_EXPECTED_LENGTH);
    if (pdu_opcode(bhs) != PDU_SCSI_COMMAND || !(bhs[BHS_FLAGS] & COMMAND_READ)
        || (expected <= connection->max_data_in && expected <= connection->max_burst))
        return 2;  // one, and its padding
    unsigned needed = data_in_count(connection, expected);
    return needed < FLOOR_RESPONSES ? needed : FLOOR_RESPONSES;
}

/// CHECK CONDITION with ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE, in fixed format.
static void refuse(struct floor_connection *connection, uint32_t itt)
{
    static const uint8_t sense[20] = {0, 18, 0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20};
    uint8_t *bhs = floor_respond(connection, PDU_SCSI_RESPONSE, itt, true, sense, sizeof sense);
    bhs[BHS_STATUS] = SCSI_CHECK_CONDITION;
}

/// Data-In PDUs as long as the initiator takes them, straight out of the store; the last has the status.
static void answer_read(struct floor_connection *connection, uint32_t itt, const struct transfer *transfer)
{
    uint32_t offset = 0, data_sn = 0, burst_left = connection->max_burst;
    do {
        uint32_t length = transfer->length - offset;
        if (length > connection->max_data_in)
            length = connection->max_data_in;
        if (length > burst_left)
            length = burst_left;
        burst_left -= length;
        bool last = offset + length == transfer->length;
        const uint8_t *data = connection->store->bytes + transfer->offset + offset;
        uint8_t *bhs = floor_respond(connection, PDU_DATA_IN, itt, last, data, length);
        bhs[BHS_FLAGS] = last ? PDU_FINAL | DATA_IN_STATUS : burst_left == 0 ? PDU_FINAL : 0;
        put32(bhs + BHS_DATA_SN, data_sn++);
        put32(bhs + BHS_BUFFER_OFFSET, offset);
        offset += length;
        if (burst_left == 0)
            burst_left = connection->max_burst;
    } while (offset < transfer->length);
}

static void request_data(struct floor_connection *connection, const struct floor_pending *pending)
{
    uint32_t length = pending->length - pending->received;
    if (length > connection->max_burst)
        length = connection->max_burst;
    uint8_t *bhs = floor_respond(connection, PDU_R2T, pending->itt, false, NULL, 0);
    put32(bhs + BHS_TTT, (uint32_t)(pending - connection->pending));
    put32(bhs + BHS_STAT_SN, connection->stat_sn);
    put32(bhs + BHS_BUFFER_OFFSET, pending->received);
    put32(bhs + BHS_DESIRED_LENGTH, length);
}

static bool begin_write(
    struct floor_connection *connection, const uint8_t *bhs, const struct transfer *transfer, uint32_t received)
{
    for (unsigned i = 0; i < FLOOR_COMMAND_WINDOW; i++) {
        struct floor_pending *pending = &connection->pending[i];
        if (pending->in_use)
            continue;
        *pending = (struct floor_pending){
            .itt = get32(bhs + BHS_ITT),
            .length = transfer->length,
            .received = received,
            .in_use = true,
            .offset = transfer->offset,
        };
        if (bhs[BHS_FLAGS] & PDU_FINAL)
            request_data(connection, pending);
        return true;
    }
    return false;  // more commands than our window allows
}

static void answer_canned(struct floor_connection *connection, const uint8_t *bhs)
{
    uint32_t itt = get32(bhs + BHS_ITT), expected = get32(bhs + BHS_EXPECTED_LENGTH);
    uint8_t *answer = floor_canned_room(connection);
    int count = floor_canned_answer(bhs + BHS_CDB, connection->store->byte_count / SCSI_BLOCK_BYTES, answer);
    if (count < 0) {
        refuse(connection, itt);
        return;
    }
    uint32_t length = (uint32_t)count < expected ? (uint32_t)count : expected;
    uint8_t *response = floor_respond(
        connection, length > 0 ? PDU_DATA_IN : PDU_SCSI_RESPONSE, itt, true, answer, length);
    if (length > 0)
        response[BHS_FLAGS] |= DATA_IN_STATUS;
    if (length < expected) {
        response[BHS_FLAGS] |= RESIDUAL_UNDERFLOW;
        put32(response + BHS_RESIDUAL, expected - length);
    }
}

bool floor_handle_scsi_command(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
    uint32_t itt = get32(bhs + BHS_ITT), length = pdu_data_length(bhs);
    struct transfer transfer;
    if (!decode_transfer(connection->store, bhs, &transfer)) {
        answer_canned(connection, bhs);
        return true;
    }
    if (transfer.is_read) {
        if (data_in_count(connection, transfer.length) > FLOOR_RESPONSES)
            refuse(connection, itt);
        else
            answer_read(connection, itt, &transfer);
        return true;
    }
    if (length > transfer.length)
        return false;
    if (data)
        memcpy(connection->store->bytes + transfer.offset, data, length);
    if (length < transfer.length)
        return begin_write(connection, bhs, &transfer, length);
    floor_respond(connection, PDU_SCSI_RESPONSE, itt, true, NULL, 0);
    return true;
}

bool floor_handle_data_out(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
    uint8_t *destination = floor_destination(connection, bhs);
    if (!destination)
        return false;
    struct floor_pending *pending = &connection->pending[find_pending(connection, bhs) - connection->pending];
    uint32_t length = pdu_data_length(bhs);
    if (data)
        memcpy(destination, data, length);
    pending->received += length;
    if (pending->received >= pending->length) {
        pending->in_use = false;
        floor_respond(connection, PDU_SCSI_RESPONSE, pending->itt, true, NULL, 0);
    } else if (bhs[BHS_FLAGS] & PDU_FINAL) {
        request_data(connection, pending);
    }
    return true;
}
