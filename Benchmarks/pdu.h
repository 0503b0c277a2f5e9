// SPDX-License-Identifier: Apache-2.0
//
// The basic header segment of iSCSI (RFC 7143 11) as offsets into 48 bytes, for both ends of the wire.
#ifndef BENCHMARKS_PDU_H
#define BENCHMARKS_PDU_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum {
    BHS_BYTES = 48,
    DIGEST_BYTES = 4,
    LONGEST_LOGIN_SEGMENT = 8192,  // the default MaxRecvDataSegmentLength, which binds both sides during login
    SCSI_BLOCK_BYTES = 512,
};

enum pdu_opcode {
    PDU_NOP_OUT = 0x00,
    PDU_SCSI_COMMAND = 0x01,
    PDU_TASK_MANAGEMENT = 0x02,
    PDU_LOGIN = 0x03,
    PDU_TEXT = 0x04,
    PDU_DATA_OUT = 0x05,
    PDU_LOGOUT = 0x06,
    PDU_NOP_IN = 0x20,
    PDU_SCSI_RESPONSE = 0x21,
    PDU_TASK_MANAGEMENT_RESPONSE = 0x22,
    PDU_LOGIN_RESPONSE = 0x23,
    PDU_TEXT_RESPONSE = 0x24,
    PDU_DATA_IN = 0x25,
    PDU_LOGOUT_RESPONSE = 0x26,
    PDU_R2T = 0x31,
    PDU_ASYNC_MESSAGE = 0x32,
    PDU_REJECT = 0x3f,
};

enum {
    PDU_OPCODE_MASK = 0x3f,
    PDU_IMMEDIATE = 0x40,       // byte 0
    PDU_FINAL = 0x80,           // byte 1, of every PDU
    COMMAND_READ = 0x40,        // byte 1, SCSI Command
    COMMAND_WRITE = 0x20,
    COMMAND_SIMPLE = 0x01,
    DATA_IN_STATUS = 0x01,      // byte 1, Data-In: the status is in this PDU
    RESIDUAL_UNDERFLOW = 0x02,  // byte 1, Data-In and SCSI Response
    RESIDUAL_OVERFLOW = 0x04,
    LOGIN_TRANSIT = 0x80,       // byte 1, Login
    LOGIN_CONTINUE = 0x40,
    STAGE_SECURITY = 0,
    STAGE_OPERATIONAL = 1,
    STAGE_FULL_FEATURE = 3,
};

enum {
    BHS_FLAGS = 1,
    BHS_RESPONSE = 2,
    BHS_STATUS = 3,
    BHS_AHS_LENGTH = 4,         // in four-byte words
    BHS_DATA_LENGTH = 5,        // three bytes
    BHS_LUN = 8,
    BHS_ISID = 8,
    BHS_TSIH = 14,
    BHS_ITT = 16,
    BHS_TTT = 20,
    BHS_EXPECTED_LENGTH = 20,
    BHS_CID = 20,
    BHS_CMD_SN = 24,
    BHS_STAT_SN = 24,
    BHS_EXP_STAT_SN = 28,
    BHS_EXP_CMD_SN = 28,
    BHS_MAX_CMD_SN = 32,
    BHS_CDB = 32,
    BHS_LOGIN_STATUS = 36,      // class, then detail
    BHS_DATA_SN = 36,
    BHS_BUFFER_OFFSET = 40,
    BHS_RESIDUAL = 44,
    BHS_DESIRED_LENGTH = 44,
};

#define RESERVED_TAG 0xffffffffu

enum scsi_status { SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02 };

enum scsi_opcode {
    SCSI_TEST_UNIT_READY = 0x00,
    SCSI_REQUEST_SENSE = 0x03,
    SCSI_READ_6 = 0x08,
    SCSI_WRITE_6 = 0x0a,
    SCSI_INQUIRY = 0x12,
    SCSI_MODE_SENSE_6 = 0x1a,
    SCSI_START_STOP_UNIT = 0x1b,
    SCSI_READ_CAPACITY_10 = 0x25,
    SCSI_READ_10 = 0x28,
    SCSI_WRITE_10 = 0x2a,
    SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
    SCSI_MODE_SENSE_10 = 0x5a,
    SCSI_READ_16 = 0x88,
    SCSI_WRITE_16 = 0x8a,
    SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
    SCSI_SERVICE_ACTION_IN_16 = 0x9e,
    SCSI_REPORT_LUNS = 0xa0,
    SCSI_READ_12 = 0xa8,
    SCSI_WRITE_12 = 0xaa,
    SERVICE_ACTION_READ_CAPACITY_16 = 0x10,
};

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get24(const uint8_t *p) { return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]; }

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return be32toh(value);
}

static inline uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }

static inline void put16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void put24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 16);
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)value;
}

static inline void put32(uint8_t *p, uint32_t value)
{
    value = htobe32(value);
    memcpy(p, &value, sizeof value);
}

static inline void put64(uint8_t *p, uint64_t value)
{
    put32(p, (uint32_t)(value >> 32));
    put32(p + 4, (uint32_t)value);
}

static inline uint8_t pdu_opcode(const uint8_t *bhs) { return bhs[0] & PDU_OPCODE_MASK; }
static inline uint32_t pdu_data_length(const uint8_t *bhs) { return get24(bhs + BHS_DATA_LENGTH); }
static inline uint32_t pdu_ahs_bytes(const uint8_t *bhs) { return bhs[BHS_AHS_LENGTH] * 4u; }
static inline uint32_t pdu_padding(uint32_t length) { return -length & 3u; }

/// Serial number arithmetic (RFC 1982): is `a` before `b`?
static inline int serial_before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

#endif
