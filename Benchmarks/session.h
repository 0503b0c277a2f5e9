// SPDX-License-Identifier: Apache-2.0
//
// One iSCSI session of one connection, up to the full feature phase, and single commands in it.
// Everything here waits for its answer; the pipelined part is in pipeline.h.
#ifndef BENCHMARKS_SESSION_H
#define BENCHMARKS_SESSION_H

#include "load_options.h"
#include "pdu.h"

struct session {
    int fd;
    uint8_t lun[8];
    uint16_t tsih;
    uint32_t cmd_sn, max_cmd_sn, exp_stat_sn;
    // What login agreed on.
    uint32_t max_data_out;  // the target's MaxRecvDataSegmentLength, a multiple of four
    uint32_t max_burst, first_burst;
    bool initial_r2t, immediate_data, header_digest, data_digest;
    bool full_feature;      // digests hold from here on
};

enum { LONGEST_SEGMENT = 64 * 1024 };  // the longest data segment that these functions take

struct capacity {
    uint64_t block_count;
    uint32_t block_bytes;
};

/// Connects and logs in. `index` makes the ISID. Ends the process with a sentence if that fails, as all here do.
void session_open(struct session *session, const struct load_options *options, uint32_t index);
struct capacity session_read_capacity(struct session *session);
void session_close(struct session *session);

/// Sends a PDU with an optional short data segment; receives one and gives the length of its segment.
void session_send(struct session *session, uint8_t *bhs, const uint8_t *data, uint32_t length);
uint32_t session_receive(struct session *session, uint8_t *bhs, uint8_t *segment);

/// Takes the command window and, with `is_status`, the StatSN out of a target's PDU.
void session_note_sequence(struct session *session, const uint8_t *bhs, bool is_status);

/// "CHECK CONDITION, sense key 5h, additional sense 20h/00h": a status and the segment of its SCSI Response.
void describe_status(uint8_t status, const uint8_t *segment, uint32_t length, char *text, size_t capacity);

#endif
