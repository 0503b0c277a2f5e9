// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crc32c.h"

enum {
    MOST_UNIT_ATTENTIONS = 8,
    MOST_PDUS_BEFORE_ANSWER = 64,
    SINGLE_COMMAND_TAG = 0x40000000,
};

// MARK: PDUs, one at a time

static void write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = send(fd, bytes, count, MSG_NOSIGNAL);
        if (written <= 0)
            die("cannot send: %s", strerror(errno));
        bytes += written;
        count -= (size_t)written;
    }
}

static void read_all(int fd, uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t got = recv(fd, bytes, count, 0);
        if (got == 0)
            die("the target closed the connection");
        if (got < 0)
            die("cannot receive: %s", errno == EAGAIN ? "the target does not answer" : strerror(errno));
        bytes += got;
        count -= (size_t)got;
    }
}

static void check_digest(const uint8_t *bytes, size_t count, const uint8_t *digest, const char *what)
{
    uint8_t expected[DIGEST_BYTES];
    crc32c_finish(crc32c_add(CRC32C_START, bytes, count), expected);
    if (memcmp(expected, digest, DIGEST_BYTES) != 0)
        die("the target sent a wrong %s digest", what);
}

void session_send(struct session *session, uint8_t *bhs, const uint8_t *data, uint32_t length)
{
    uint8_t pdu[BHS_BYTES + LONGEST_LOGIN_SEGMENT + 3 * DIGEST_BYTES] = {0};
    size_t count = BHS_BYTES;
    if (length > LONGEST_LOGIN_SEGMENT)
        die("a text segment of %u bytes is too long", length);
    put24(bhs + BHS_DATA_LENGTH, length);
    memcpy(pdu, bhs, BHS_BYTES);
    if (session->full_feature && session->header_digest) {
        crc32c_finish(crc32c_add(CRC32C_START, pdu, BHS_BYTES), pdu + count);
        count += DIGEST_BYTES;
    }
    if (length > 0) {
        uint8_t *segment = pdu + count;
        size_t padded = length + pdu_padding(length);
        memcpy(segment, data, length);
        count += padded;
        if (session->full_feature && session->data_digest) {
            crc32c_finish(crc32c_add(CRC32C_START, segment, padded), pdu + count);
            count += DIGEST_BYTES;
        }
    }
    write_all(session->fd, pdu, count);
}

uint32_t session_receive(struct session *session, uint8_t *bhs, uint8_t *segment)
{
    uint8_t digest[DIGEST_BYTES];
    read_all(session->fd, bhs, BHS_BYTES);
    if (session->full_feature && session->header_digest) {
        read_all(session->fd, digest, DIGEST_BYTES);
        check_digest(bhs, BHS_BYTES, digest, "header");
    }
    uint32_t length = pdu_data_length(bhs), padded = length + pdu_padding(length);
    if (padded > LONGEST_SEGMENT || bhs[BHS_AHS_LENGTH] != 0)
        die("the target sent a PDU longer than it may be here");
    read_all(session->fd, segment, padded);
    if (session->full_feature && session->data_digest && padded > 0) {
        read_all(session->fd, digest, DIGEST_BYTES);
        check_digest(segment, padded, digest, "data");
    }
    return length;
}

void session_note_sequence(struct session *session, const uint8_t *bhs, bool is_status)
{
    uint32_t max_cmd_sn = get32(bhs + BHS_MAX_CMD_SN), stat_sn = get32(bhs + BHS_STAT_SN);
    if (serial_before(session->max_cmd_sn, max_cmd_sn))
        session->max_cmd_sn = max_cmd_sn;
    if (!is_status)
        return;
    if (stat_sn != session->exp_stat_sn)
        die("the target sent StatSN %u where %u was due", stat_sn, session->exp_stat_sn);
    session->exp_stat_sn = stat_sn + 1;
}

// MARK: single commands

void describe_status(uint8_t status, const uint8_t *segment, uint32_t length, char *text, size_t capacity)
{
    // The sense data follow their length in two bytes; RFC 7143 11.4.7.
    uint32_t count = length >= 2 ? get16(segment) : 0;
    const uint8_t *sense = segment + 2;
    if (count > length - 2 || length < 2)
        count = 0;
    bool descriptor = count >= 4 && (sense[0] & 0x7e) == 0x72, fixed = count >= 14 && (sense[0] & 0x7e) == 0x70;
    if (status != SCSI_CHECK_CONDITION || (!descriptor && !fixed))
        snprintf(text, capacity, "status %02xh without sense data", status);
    else
        snprintf(text, capacity, "CHECK CONDITION, sense key %xh, additional sense %02xh/%02xh",
                 (descriptor ? sense[1] : sense[2]) & 0x0f, descriptor ? sense[2] : sense[12],
                 descriptor ? sense[3] : sense[13]);
}

/// Runs a command that moves at most LONGEST_SEGMENT bytes to us. Its status; what came is in `answer`:
/// `*length` bytes of data, or the segment of the SCSI Response.
static uint8_t run_command(
    struct session *session, const uint8_t cdb[16], uint32_t expected, uint8_t *answer, uint32_t *length)
{
    uint8_t bhs[BHS_BYTES] = {0}, segment[LONGEST_SEGMENT];
    bhs[0] = PDU_SCSI_COMMAND;
    bhs[BHS_FLAGS] = (uint8_t)(PDU_FINAL | COMMAND_SIMPLE | (expected > 0 ? COMMAND_READ : 0));
    memcpy(bhs + BHS_LUN, session->lun, 8);
    put32(bhs + BHS_ITT, SINGLE_COMMAND_TAG);
    put32(bhs + BHS_EXPECTED_LENGTH, expected);
    put32(bhs + BHS_CMD_SN, session->cmd_sn++);
    put32(bhs + BHS_EXP_STAT_SN, session->exp_stat_sn);
    memcpy(bhs + BHS_CDB, cdb, 16);
    session_send(session, bhs, NULL, 0);
    *length = 0;
    for (int i = 0; i < MOST_PDUS_BEFORE_ANSWER; i++) {
        uint32_t count = session_receive(session, bhs, segment);
        uint8_t opcode = pdu_opcode(bhs);
        bool is_status = opcode == PDU_SCSI_RESPONSE || (opcode == PDU_DATA_IN && bhs[BHS_FLAGS] & DATA_IN_STATUS);
        session_note_sequence(session, bhs, is_status);
        if (opcode == PDU_DATA_IN || (is_status && bhs[BHS_STATUS] != SCSI_GOOD)) {
            memcpy(answer, segment, count);
            *length = count;
        } else if (!is_status && opcode != PDU_NOP_IN) {
            die("the target sent a PDU of opcode 0x%02x in answer to a command", opcode);
        }
        if (is_status)
            return bhs[BHS_STATUS];
    }
    die("the target sends PDUs but no status");
}

/// Unit attentions are news after a login, not failures.
static uint32_t run_until_good(struct session *session, const uint8_t cdb[16], uint32_t expected, uint8_t *answer)
{
    char text[128] = "";
    for (int i = 0; i < MOST_UNIT_ATTENTIONS; i++) {
        uint32_t length;
        uint8_t status = run_command(session, cdb, expected, answer, &length);
        if (status == SCSI_GOOD)
            return length;
        describe_status(status, answer, length, text, sizeof text);
    }
    die("command %02xh ended with %s", cdb[0], text);
}

struct capacity session_read_capacity(struct session *session)
{
    static const uint8_t test_unit_ready[16] = {SCSI_TEST_UNIT_READY};
    uint8_t read_capacity[16] = {SCSI_SERVICE_ACTION_IN_16, SERVICE_ACTION_READ_CAPACITY_16};
    uint8_t answer[LONGEST_SEGMENT];
    enum { PARAMETER_BYTES = 32 };
    put32(read_capacity + 10, PARAMETER_BYTES);
    run_until_good(session, test_unit_ready, 0, answer);
    if (run_until_good(session, read_capacity, PARAMETER_BYTES, answer) < 12)
        die("the target answered READ CAPACITY(16) with too little");
    struct capacity capacity = {.block_count = get64(answer) + 1, .block_bytes = get32(answer + 8)};
    if (capacity.block_bytes < SCSI_BLOCK_BYTES || capacity.block_bytes > 65536 || capacity.block_count == 0)
        die("the target has blocks of %u bytes", capacity.block_bytes);
    return capacity;
}

void session_close(struct session *session)
{
    uint8_t bhs[BHS_BYTES] = {0}, segment[LONGEST_SEGMENT];
    bhs[0] = PDU_LOGOUT | PDU_IMMEDIATE;
    bhs[BHS_FLAGS] = PDU_FINAL;  // reason 0: close the session
    put32(bhs + BHS_ITT, SINGLE_COMMAND_TAG);
    put32(bhs + BHS_CMD_SN, session->cmd_sn);
    put32(bhs + BHS_EXP_STAT_SN, session->exp_stat_sn);
    session_send(session, bhs, NULL, 0);
    for (int i = 0; i < MOST_PDUS_BEFORE_ANSWER; i++) {
        session_receive(session, bhs, segment);
        if (pdu_opcode(bhs) == PDU_LOGOUT_RESPONSE) {
            close(session->fd);
            return;
        }
    }
    die("the target does not answer Logout");
}
