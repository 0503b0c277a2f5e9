// SPDX-License-Identifier: Apache-2.0
//
// Login and discovery of the floor: whatever is proposed is accepted, with fixed answers.
#include <stdio.h>

#include "floor.h"
#include "text_keys.h"

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static bool is(const struct text_key *key, const char *name) { return strcmp(key->name, name) == 0; }

/// Keys that are only declared, and get no answer.
static bool is_declaration(const struct text_key *key)
{
    return is(key, "InitiatorName") || is(key, "InitiatorAlias") || is(key, "TargetName") || is(key, "SessionType");
}

static void answer_key(struct floor_connection *connection, const struct text_key *key, struct text_writer *answers)
{
    static const char *const fixed[][2] = {
        {"AuthMethod", "None"},         {"HeaderDigest", "None"},       {"DataDigest", "None"},
        {"MaxConnections", "1"},        {"DefaultTime2Wait", "2"},      {"DefaultTime2Retain", "0"},
        {"MaxOutstandingR2T", "1"},     {"ErrorRecoveryLevel", "0"},    {"DataPDUInOrder", "Yes"},
        {"DataSequenceInOrder", "Yes"}, {"OFMarker", "No"},             {"IFMarker", "No"},
        {"iSCSIProtocolLevel", "1"},    {"TaskReporting", "RFC3720"},
    };
    if (is_declaration(key))
        return;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (is(key, fixed[i][0])) {
            text_put(answers, key->name, fixed[i][1]);
            return;
        }
    if (is(key, "InitialR2T") || is(key, "ImmediateData")) {
        text_put(answers, key->name, key->value);  // both ways are fine with us
    } else if (is(key, "MaxRecvDataSegmentLength")) {
        uint32_t length = text_number(key->value, FLOOR_BURST_LIMIT) & ~3u;
        connection->max_data_in = length < SCSI_BLOCK_BYTES ? SCSI_BLOCK_BYTES : length;
        text_put_number(answers, key->name, FLOOR_SEGMENT_LIMIT);
    } else if (is(key, "MaxBurstLength")) {
        uint32_t length = smaller(text_number(key->value, FLOOR_BURST_LIMIT), FLOOR_BURST_LIMIT) & ~3u;
        connection->max_burst = length < SCSI_BLOCK_BYTES ? SCSI_BLOCK_BYTES : length;
        text_put_number(answers, key->name, connection->max_burst);
    } else if (is(key, "FirstBurstLength")) {
        text_put_number(answers, key->name, smaller(text_number(key->value, FLOOR_SEGMENT_LIMIT), FLOOR_SEGMENT_LIMIT));
    } else {
        text_put(answers, key->name, "NotUnderstood");
    }
}

bool floor_handle_login(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
    uint32_t length = pdu_data_length(bhs);
    if (!data || length > LONGEST_LOGIN_SEGMENT || bhs[BHS_FLAGS] & LOGIN_CONTINUE)
        return false;
    // Login requests are immediate: their CmdSN is the number of the first command to come.
    connection->exp_cmd_sn = get32(bhs + BHS_CMD_SN);

    struct text_writer answers = {.bytes = floor_canned_room(connection), .capacity = LONGEST_LOGIN_SEGMENT};
    struct text_key key;
    bool names_target = false;
    for (size_t position = 0; text_next(data, length, &position, &key);) {
        names_target |= is(&key, "TargetName");
        answer_key(connection, &key, &answers);
    }
    if (names_target)
        text_put(&answers, "TargetPortalGroupTag", "1");
    if (answers.overflow)
        return false;

    uint8_t *response = floor_respond(
        connection, PDU_LOGIN_RESPONSE, get32(bhs + BHS_ITT), true, answers.bytes, (uint32_t)answers.length);
    response[BHS_FLAGS] = bhs[BHS_FLAGS];
    memcpy(response + BHS_ISID, bhs + BHS_ISID, 6);
    put16(response + BHS_TSIH, 1);
    put32(response + BHS_TTT, 0);
    return true;
}

/// SendTargets: our one target, at the portal itself.
bool floor_handle_text(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
    if (!data)
        return false;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u,1", connection->portal_port);
    struct text_writer answers = {.bytes = floor_canned_room(connection), .capacity = LONGEST_LOGIN_SEGMENT};
    text_put(&answers, "TargetName", FLOOR_TARGET_NAME);
    text_put(&answers, "TargetAddress", address);
    floor_respond(
        connection, PDU_TEXT_RESPONSE, get32(bhs + BHS_ITT), true, answers.bytes, (uint32_t)answers.length);
    return true;
}
