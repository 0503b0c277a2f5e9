// SPDX-License-Identifier: Apache-2.0
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "process_cost.h"

enum { CONTROL_PDUS = 64 };  // room in the queue for answers to NOP-In

void pipeline_create(struct pipeline *pipeline, const struct session *session, const struct load_options *options,
                     struct workload *workload, struct measurement *measurement, uint32_t device_block_bytes)
{
    uint32_t depth = options->queue_depth, bytes = options->block_bytes;
    *pipeline = (struct pipeline){
        .session = *session, .workload = workload, .measurement = measurement, .depth = depth,
        .device_block_bytes = device_block_bytes, .segment_bytes = options->segment_bytes,
        .free_slots = calloc(depth, sizeof pipeline->free_slots[0]), .slots = calloc(depth, sizeof pipeline->slots[0]),
    };
    uint8_t *filler = malloc(bytes);
    if (!pipeline->free_slots || !pipeline->slots || !filler)
        die("no memory");
    workload_write_pattern(workload, &(struct operation){0}, filler);
    pipeline->filler = filler;
    for (uint32_t i = 0; i < depth; i++) {
        pipeline->free_slots[i] = depth - 1 - i;
        if (workload->generation && !(pipeline->slots[i].data = malloc(bytes)))
            die("no memory");
    }
    // All data of every command at once: the command, each burst in PDUs as long as the target takes them.
    uint32_t bursts = bytes / session->max_burst + 2;
    outgoing_create(&pipeline->queue, depth * (2 + bytes / session->max_data_out + bursts) + CONTROL_PDUS);
}

void pipeline_destroy(struct pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->depth; i++)
        free(pipeline->slots[i].data);
    outgoing_destroy(&pipeline->queue);
    free((void *)(uintptr_t)pipeline->filler);
    free(pipeline->slots);
    free(pipeline->free_slots);
}

static const uint8_t *data_of(const struct pipeline *pipeline, const struct slot *slot)
{
    return slot->data ? slot->data : pipeline->filler;
}

// MARK: to the target

/// Data-Out PDUs for `length` bytes at `offset`, one sequence: solicited by an R2T with this tag, or not.
static void send_sequence(struct pipeline *pipeline, uint32_t itt, uint32_t ttt, uint32_t offset, uint32_t length)
{
    const uint8_t *data = data_of(pipeline, &pipeline->slots[itt]);
    for (uint32_t data_sn = 0; length > 0; data_sn++) {
        uint32_t step = length < pipeline->session.max_data_out ? length : pipeline->session.max_data_out;
        uint8_t bhs[BHS_BYTES] = {PDU_DATA_OUT, step == length ? PDU_FINAL : 0};
        memcpy(bhs + BHS_LUN, pipeline->session.lun, 8);
        put32(bhs + BHS_ITT, itt);
        put32(bhs + BHS_TTT, ttt);
        put32(bhs + BHS_DATA_SN, data_sn);
        put32(bhs + BHS_BUFFER_OFFSET, offset);
        outgoing_add(&pipeline->queue, &pipeline->session, bhs, data + offset, step);
        offset += step;
        length -= step;
    }
}

static void put_cdb(uint8_t *cdb, bool is_write, uint64_t lba, uint32_t blocks)
{
    if (lba <= UINT32_MAX && blocks <= UINT16_MAX) {
        cdb[0] = is_write ? SCSI_WRITE_10 : SCSI_READ_10;
        put32(cdb + 2, (uint32_t)lba);
        put16(cdb + 7, (uint16_t)blocks);
    } else {
        cdb[0] = is_write ? SCSI_WRITE_16 : SCSI_READ_16;
        put64(cdb + 2, lba);
        put32(cdb + 10, blocks);
    }
}

static uint32_t smallest(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t least = a < b ? a : b;
    return least < c ? least : c;
}

static void send_command(struct pipeline *pipeline, uint32_t itt)
{
    struct session *session = &pipeline->session;
    const struct slot *slot = &pipeline->slots[itt];
    uint32_t bytes = pipeline->workload->unit_bytes, immediate = 0, unsolicited = 0;
    bool is_write = slot->operation.is_write;
    if (is_write && session->immediate_data)
        immediate = smallest(bytes, session->first_burst, session->max_data_out);
    if (is_write && !session->initial_r2t)
        unsolicited = smallest(bytes, session->first_burst, UINT32_MAX) - immediate;

    uint8_t bhs[BHS_BYTES] = {PDU_SCSI_COMMAND};
    bhs[BHS_FLAGS] = (uint8_t)((is_write ? COMMAND_WRITE : COMMAND_READ) | COMMAND_SIMPLE);
    if (unsolicited == 0)
        bhs[BHS_FLAGS] |= PDU_FINAL;
    memcpy(bhs + BHS_LUN, session->lun, 8);
    put32(bhs + BHS_ITT, itt);
    put32(bhs + BHS_EXPECTED_LENGTH, bytes);
    put32(bhs + BHS_CMD_SN, session->cmd_sn++);
    uint32_t blocks = bytes / pipeline->device_block_bytes;
    put_cdb(bhs + BHS_CDB, is_write, slot->operation.unit * blocks, blocks);
    outgoing_add(&pipeline->queue, session, bhs, data_of(pipeline, slot), immediate);
    if (unsolicited > 0)
        send_sequence(pipeline, itt, RESERVED_TAG, immediate, unsolicited);
}

void pipeline_start_commands(struct pipeline *pipeline, uint64_t now_ns)
{
    while (pipeline->outstanding < pipeline->depth
           && !serial_before(pipeline->session.max_cmd_sn, pipeline->session.cmd_sn)) {
        struct operation operation;
        if (!workload_next(pipeline->workload, &operation))
            return;
        uint32_t itt = pipeline->free_slots[pipeline->depth - ++pipeline->outstanding];
        struct slot *slot = &pipeline->slots[itt];
        slot->operation = operation;
        slot->is_outstanding = true;
        slot->received = 0;
        slot->started_ns = now_ns;
        if (slot->data && operation.is_write)
            workload_write_pattern(pipeline->workload, &operation, slot->data);
        send_command(pipeline, itt);
    }
}

bool pipeline_flush(struct pipeline *pipeline) { return outgoing_send(&pipeline->queue, pipeline->session.fd); }

// MARK: from the target

static struct slot *find_slot(struct pipeline *pipeline, const uint8_t *bhs)
{
    uint32_t itt = get32(bhs + BHS_ITT);
    if (itt >= pipeline->depth || !pipeline->slots[itt].is_outstanding)
        die("the target sent a PDU of opcode 0x%02x for task %08x, which is not outstanding", pdu_opcode(bhs), itt);
    return &pipeline->slots[itt];
}

void pipeline_pdu_begins(struct pipeline *pipeline, const uint8_t *bhs)
{
    struct incoming *incoming = &pipeline->incoming;
    uint32_t length = pdu_data_length(bhs), offset = get32(bhs + BHS_BUFFER_OFFSET);
    if (pdu_opcode(bhs) != PDU_DATA_IN) {
        if (length > sizeof incoming->kept)
            die("the target sent %u bytes of data with a PDU of opcode 0x%02x", length, pdu_opcode(bhs));
        incoming->sink = incoming->kept;
        return;
    }
    struct slot *slot = find_slot(pipeline, bhs);
    if (slot->operation.is_write)
        die("the target sent data for a write");
    if (offset != slot->received || length > pipeline->workload->unit_bytes - offset)
        die("the target sent %u bytes at offset %u of a read, where offset %u was due", length, offset, slot->received);
    incoming->sink = slot->data ? slot->data + offset : NULL;
}

static void finish_command(struct pipeline *pipeline, struct slot *slot, const uint8_t *bhs, uint64_t now_ns)
{
    if (bhs[BHS_STATUS] != SCSI_GOOD) {
        char text[128];
        uint32_t length = pdu_opcode(bhs) == PDU_SCSI_RESPONSE ? pdu_data_length(bhs) : 0;
        describe_status(bhs[BHS_STATUS], pipeline->incoming.kept, length, text, sizeof text);
        die("a %s at byte %llu of the LUN ended with %s", slot->operation.is_write ? "write" : "read",
            (unsigned long long)(slot->operation.unit * pipeline->workload->unit_bytes), text);
    }
    if (bhs[BHS_FLAGS] & (RESIDUAL_UNDERFLOW | RESIDUAL_OVERFLOW)
        || (!slot->operation.is_write && slot->received != pipeline->workload->unit_bytes))
        die("the target moved less or more data than was asked for");
    if (slot->data && !slot->operation.is_write)
        workload_check_pattern(pipeline->workload, &slot->operation, slot->data);
    if (pipeline->measurement->is_running)
        histogram_add(&pipeline->measurement->latency, now_ns - slot->started_ns);
    workload_finished(pipeline->workload, &slot->operation);
    slot->is_outstanding = false;
    pipeline->free_slots[pipeline->depth - pipeline->outstanding--] = (uint32_t)(slot - pipeline->slots);
}

static void handle_r2t(struct pipeline *pipeline, const uint8_t *bhs)
{
    struct slot *slot = find_slot(pipeline, bhs);
    uint32_t offset = get32(bhs + BHS_BUFFER_OFFSET), length = get32(bhs + BHS_DESIRED_LENGTH);
    uint32_t bytes = pipeline->workload->unit_bytes;
    if (!slot->operation.is_write || offset > bytes || length > bytes - offset || length == 0
        || length > pipeline->session.max_burst)
        die("the target asks for %u bytes at offset %u of a command of %u", length, offset, bytes);
    send_sequence(pipeline, get32(bhs + BHS_ITT), get32(bhs + BHS_TTT), offset, length);
}

static void answer_nop_in(struct pipeline *pipeline, const uint8_t *bhs)
{
    uint8_t answer[BHS_BYTES] = {PDU_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL};
    memcpy(answer + BHS_LUN, bhs + BHS_LUN, 8);
    put32(answer + BHS_ITT, RESERVED_TAG);
    memcpy(answer + BHS_TTT, bhs + BHS_TTT, 4);
    put32(answer + BHS_CMD_SN, pipeline->session.cmd_sn);
    outgoing_add(&pipeline->queue, &pipeline->session, answer, NULL, 0);
}

void pipeline_pdu_ends(struct pipeline *pipeline, const uint8_t *bhs, uint64_t now_ns)
{
    struct session *session = &pipeline->session;
    switch (pdu_opcode(bhs)) {
    case PDU_DATA_IN: {
        struct slot *slot = find_slot(pipeline, bhs);
        bool is_status = bhs[BHS_FLAGS] & DATA_IN_STATUS;
        session_note_sequence(session, bhs, is_status);
        slot->received += pdu_data_length(bhs);
        if (is_status)
            finish_command(pipeline, slot, bhs, now_ns);
        break;
    }
    case PDU_SCSI_RESPONSE:
        session_note_sequence(session, bhs, true);
        if (bhs[BHS_RESPONSE] != 0)
            die("the target failed a command with iSCSI response %02xh", bhs[BHS_RESPONSE]);
        finish_command(pipeline, find_slot(pipeline, bhs), bhs, now_ns);
        break;
    case PDU_R2T:
        session_note_sequence(session, bhs, false);
        handle_r2t(pipeline, bhs);
        break;
    case PDU_NOP_IN:
        session_note_sequence(session, bhs, false);
        if (get32(bhs + BHS_TTT) != RESERVED_TAG)
            answer_nop_in(pipeline, bhs);
        break;
    case PDU_REJECT:
        die("the target rejected a PDU, reason %02xh", bhs[BHS_RESPONSE]);
    case PDU_ASYNC_MESSAGE:
        die("the target sent an asynchronous message, event %u", bhs[BHS_LOGIN_STATUS]);
    default:
        die("the target sent a PDU of opcode 0x%02x", pdu_opcode(bhs));
    }
}

void pipeline_receive(struct pipeline *pipeline)
{
    static uint8_t bytes[PIPELINE_RECEIVE_BYTES];
    ssize_t count = recv(pipeline->session.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count == 0)
        die("the target closed the connection");
    if (count < 0 && errno != EAGAIN)
        die("cannot receive: %s", strerror(errno));
    if (count > 0)
        incoming_consume(pipeline, bytes, (size_t)count, monotonic_ns());
}
