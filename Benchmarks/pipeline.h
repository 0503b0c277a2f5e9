// SPDX-License-Identifier: Apache-2.0
//
// The pipelined part of the initiator: one session whose command queue is kept full. What one receive brings
// is handled whole, and what that allows to be sent leaves in one send, so that the generator stays ahead of
// the target.
#ifndef BENCHMARKS_PIPELINE_H
#define BENCHMARKS_PIPELINE_H

#include "histogram.h"
#include "session.h"
#include "workload.h"

enum { PIPELINE_RECEIVE_BYTES = 256 * 1024 };

struct measurement {
    bool is_running;
    struct histogram latency;  // nanoseconds, of the commands that ended while it was running
};

/// A command that may be outstanding. Its index is the Initiator Task Tag.
struct slot {
    struct operation operation;
    bool is_outstanding;
    uint32_t received;    // bytes of Data-In
    uint64_t started_ns;
    uint8_t *data;        // of a verified command
};

/// A PDU waiting to be sent: header with its digest, data in place, data digest.
struct outgoing {
    uint8_t head[BHS_BYTES + DIGEST_BYTES];
    uint8_t tail[DIGEST_BYTES];
    uint8_t head_length, tail_length;
    uint32_t data_length;
    const uint8_t *data;
};

struct outgoing_queue {
    struct outgoing *pdus;     // a ring
    uint32_t mask;             // its length, a power of two, less one
    uint32_t first, end;       // running counts
    size_t sent_of_first;      // bytes
};

enum incoming_part { INCOMING_HEADER, INCOMING_DATA, INCOMING_TRAILER };

/// Where in the stream of PDUs the last receive ended.
struct incoming {
    enum incoming_part part;
    uint8_t head[BHS_BYTES + DIGEST_BYTES];
    uint8_t trailer[4 + DIGEST_BYTES];  // padding, then the data digest
    uint32_t head_count, trailer_count, trailer_length, data_left, padding;
    uint32_t crc;
    uint8_t *sink;                      // where the data goes; NULL when nobody looks at it
    uint8_t kept[512];                  // the data of PDUs without a sink of their own, as far as it fits
};

struct pipeline {
    struct session session;
    struct workload *workload;
    struct measurement *measurement;
    uint32_t device_block_bytes, segment_bytes, depth, outstanding;
    uint32_t *free_slots;               // a stack of depth - outstanding indices
    struct slot *slots;
    const uint8_t *filler;              // what writes carry when contents are not verified
    struct outgoing_queue queue;
    struct incoming incoming;
};

/// Takes over a session that is in the full feature phase.
void pipeline_create(struct pipeline *pipeline, const struct session *session, const struct load_options *options,
                     struct workload *workload, struct measurement *measurement, uint32_t device_block_bytes);
void pipeline_destroy(struct pipeline *pipeline);

/// Starts commands as far as queue depth, command window and workload allow.
void pipeline_start_commands(struct pipeline *pipeline, uint64_t now_ns);

/// Sends all that is queued; true when the socket takes no more for now.
bool pipeline_flush(struct pipeline *pipeline);

/// One receive, and all that follows from it.
void pipeline_receive(struct pipeline *pipeline);

// Between the files of the pipeline.

/// Feeds bytes of the stream to the PDU parser, which calls the two functions below.
void incoming_consume(struct pipeline *pipeline, const uint8_t *bytes, size_t count, uint64_t now_ns);
/// A header is complete: checks it and says where its data goes.
void pipeline_pdu_begins(struct pipeline *pipeline, const uint8_t *bhs);
void pipeline_pdu_ends(struct pipeline *pipeline, const uint8_t *bhs, uint64_t now_ns);

void outgoing_create(struct outgoing_queue *queue, uint32_t capacity);
void outgoing_destroy(struct outgoing_queue *queue);
/// Queues a PDU whose `data` stays as it is until it is sent; fills in length, ExpStatSN and digests.
void outgoing_add(struct outgoing_queue *queue, const struct session *session, uint8_t *bhs, const uint8_t *data,
                  uint32_t length);
bool outgoing_send(struct outgoing_queue *queue, int fd);

#endif
