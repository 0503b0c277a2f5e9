// SPDX-License-Identifier: Apache-2.0
//
// Login (RFC 7143 6.3): the security stage without authentication, then the operational stage.
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"
#include "text_keys.h"

enum {
    MOST_LOGIN_EXCHANGES = 16,
    ANSWER_TIMEOUT_SECONDS = 10,
    LARGEST_BURST = 0xffffff,
    OUR_FIRST_BURST = 262144,
    DEFAULT_MAX_BURST = 262144,  // RFC 7143 13.13 and 13.14
    DEFAULT_FIRST_BURST = 65536,
    SHORTEST_SEGMENT_LIMIT = 512,
};

static void take_key(struct session *session, const struct text_key *key)
{
    const char *value = key->value;
    bool yes = strcmp(value, "Yes") == 0, digest = strcmp(value, "CRC32C") == 0;
    if (strcmp(key->name, "HeaderDigest") == 0)
        session->header_digest = digest;
    else if (strcmp(key->name, "DataDigest") == 0)
        session->data_digest = digest;
    else if (strcmp(key->name, "InitialR2T") == 0)
        session->initial_r2t = yes;
    else if (strcmp(key->name, "ImmediateData") == 0)
        session->immediate_data = yes;
    else if (strcmp(key->name, "MaxRecvDataSegmentLength") == 0)
        session->max_data_out = text_number(value, LARGEST_BURST) & ~3u;
    else if (strcmp(key->name, "MaxBurstLength") == 0)
        session->max_burst = text_number(value, LARGEST_BURST);
    else if (strcmp(key->name, "FirstBurstLength") == 0)
        session->first_burst = text_number(value, LARGEST_BURST);
}

static void put_security_keys(struct text_writer *keys, const struct load_options *options)
{
    text_put(keys, "InitiatorName", "iqn.2026-11.org.martlet:load");
    text_put(keys, "TargetName", options->target);
    text_put(keys, "SessionType", "Normal");
    text_put(keys, "AuthMethod", "None");
}

static void put_operational_keys(struct text_writer *keys, const struct load_options *options)
{
    text_put(keys, "HeaderDigest", options->header_digest ? "CRC32C,None" : "None");
    text_put(keys, "DataDigest", options->data_digest ? "CRC32C,None" : "None");
    text_put(keys, "InitialR2T", options->initial_r2t ? "Yes" : "No");
    text_put(keys, "ImmediateData", options->no_immediate_data ? "No" : "Yes");
    text_put_number(keys, "MaxRecvDataSegmentLength", options->segment_bytes);
    text_put_number(keys, "MaxBurstLength", LARGEST_BURST & ~(SCSI_BLOCK_BYTES - 1));
    text_put_number(keys, "FirstBurstLength", OUR_FIRST_BURST);
    text_put(keys, "DefaultTime2Wait", "2");
    text_put(keys, "DefaultTime2Retain", "0");
    text_put(keys, "MaxConnections", "1");
    text_put(keys, "MaxOutstandingR2T", "1");
    text_put(keys, "ErrorRecoveryLevel", "0");
    text_put(keys, "DataPDUInOrder", "Yes");
    text_put(keys, "DataSequenceInOrder", "Yes");
}

/// One Login request and its response. The stage that the session is in then.
static int exchange_login(struct session *session, uint32_t index, int stage, const struct text_writer *keys)
{
    uint8_t bhs[BHS_BYTES] = {0}, segment[LONGEST_SEGMENT];
    int next = stage == STAGE_OPERATIONAL ? STAGE_FULL_FEATURE : STAGE_OPERATIONAL;
    bhs[0] = PDU_LOGIN | PDU_IMMEDIATE;
    bhs[BHS_FLAGS] = (uint8_t)(LOGIN_TRANSIT | stage << 2 | next);
    bhs[BHS_ISID] = 0x80;  // a random ISID, RFC 7143 11.12.5
    // Two bytes of the process, the index in the qualifier's two.
    put32(bhs + BHS_ISID + 1, (uint32_t)getpid() << 8);
    put16(bhs + BHS_ISID + 4, (uint16_t)index);
    put16(bhs + BHS_TSIH, session->tsih);
    put32(bhs + BHS_CMD_SN, session->cmd_sn);
    put32(bhs + BHS_EXP_STAT_SN, session->exp_stat_sn);
    session_send(session, bhs, keys->bytes, (uint32_t)keys->length);

    uint32_t length = session_receive(session, bhs, segment);
    if (pdu_opcode(bhs) != PDU_LOGIN_RESPONSE)
        die("the target answered Login with a PDU of opcode 0x%02x", pdu_opcode(bhs));
    const uint8_t *status = bhs + BHS_LOGIN_STATUS;
    if (status[0] != 0)
        die("the target refused the login: status class %u, detail %u", status[0], status[1]);
    session->exp_stat_sn = get32(bhs + BHS_STAT_SN) + 1;
    session->max_cmd_sn = get32(bhs + BHS_MAX_CMD_SN);
    session->tsih = get16(bhs + BHS_TSIH);
    struct text_key key;
    for (size_t position = 0; text_next(segment, length, &position, &key);)
        take_key(session, &key);
    return bhs[BHS_FLAGS] & LOGIN_TRANSIT ? next : stage;
}

static int connect_to(const struct load_options *options)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *address;
    int failure = getaddrinfo(options->host, options->port, &hints, &address);
    if (failure != 0)
        die("%s: %s", options->host, gai_strerror(failure));
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        die("cannot connect to %s port %s: %s", options->host, options->port, strerror(errno));
    freeaddrinfo(address);
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

void session_open(struct session *session, const struct load_options *options, uint32_t index)
{
    *session = (struct session){
        .fd = connect_to(options), .cmd_sn = 1, .max_data_out = LONGEST_LOGIN_SEGMENT, .immediate_data = true,
        .initial_r2t = true, .max_burst = DEFAULT_MAX_BURST, .first_burst = DEFAULT_FIRST_BURST,
    };
    session->lun[1] = (uint8_t)options->lun;  // peripheral device addressing, SAM-5 4.7

    int stage = STAGE_SECURITY;
    bool proposed[STAGE_FULL_FEATURE] = {false};
    for (int i = 0; stage != STAGE_FULL_FEATURE; i++) {
        uint8_t room[LONGEST_LOGIN_SEGMENT];
        struct text_writer keys = {.bytes = room, .capacity = sizeof room};
        if (i == MOST_LOGIN_EXCHANGES)
            die("the login does not come to an end");
        if (!proposed[stage])
            (stage == STAGE_SECURITY ? put_security_keys : put_operational_keys)(&keys, options);
        proposed[stage] = true;
        stage = exchange_login(session, index, stage, &keys);
    }
    session->full_feature = true;
    if (session->max_data_out < SHORTEST_SEGMENT_LIMIT || session->max_burst < SHORTEST_SEGMENT_LIMIT)
        die("the target declares impossible lengths");
}
