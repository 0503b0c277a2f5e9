// SPDX-License-Identifier: Apache-2.0
//
// The floor: what the sockets alone cost. It speaks just enough iSCSI that an initiator can log in and
// move data; it keeps no task state but where the data of unfinished writes goes, and checks nothing but
// what keeps it inside its own memory.
#ifndef BENCHMARKS_FLOOR_H
#define BENCHMARKS_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pdu.h"

#define FLOOR_TARGET_NAME "iqn.2026-11.org.martlet:floor"

enum {
    FLOOR_RECEIVE_BYTES = 256 * 1024,     // the most that one receive takes
    FLOOR_SEGMENT_LIMIT = 256 * 1024,     // our MaxRecvDataSegmentLength
    FLOOR_BURST_LIMIT = 16 * 1024 * 1024 - 512,
    FLOOR_PLACED_SEGMENT = 8 * 1024,      // data segments from here on are received straight into place
    FLOOR_COMMAND_WINDOW = 256,
    FLOOR_RESPONSES = 512,                // PDUs in one send: two vectors each, and sendmsg takes 1024
    FLOOR_CANNED_BYTES = 64 * 1024,       // contents of small answers waiting to be sent
    FLOOR_LARGEST_CANNED = 16 * 1024,     // the largest of them
};

struct floor_store {
    uint8_t *bytes;
    uint64_t byte_count;
    bool place;  // receive long data segments straight into place
};

/// A write whose data is not all here yet. Its index is the Target Transfer Tag.
struct floor_pending {
    uint32_t itt;
    uint32_t length;
    uint32_t received;
    bool in_use;
    uint64_t offset;
};

struct floor_connection {
    int fd;
    const struct floor_store *store;
    uint32_t stat_sn, exp_cmd_sn;
    uint32_t max_data_in;                 // the initiator's MaxRecvDataSegmentLength
    uint32_t max_burst;
    uint16_t portal_port;                 // for the TargetAddress of a discovery session
    bool closing;                         // a Logout has been answered

    size_t batch_begin, batch_end;        // what of `batch` is not handled yet
    uint8_t *place;                       // where the rest of a data segment is received
    size_t place_left;
    uint64_t placements;                  // how many segments were received that way
    uint8_t placed_header[BHS_BYTES];

    unsigned response_count;
    unsigned vector_first, vector_count;
    size_t canned_used;

    struct floor_pending pending[FLOOR_COMMAND_WINDOW];
    struct iovec vector[2 * FLOOR_RESPONSES];
    uint8_t header[FLOOR_RESPONSES][BHS_BYTES];
    uint8_t canned[FLOOR_CANNED_BYTES];
    uint8_t batch[FLOOR_RECEIVE_BYTES + FLOOR_SEGMENT_LIMIT + BHS_BYTES + 4 * 256];
};

enum floor_result {
    FLOOR_IDLE,     // all is handled and sent: wait for bytes
    FLOOR_MORE,     // the receive filled the buffer: there may be more at hand
    FLOOR_BLOCKED,  // the socket, or the queue of responses, takes no more: wait until it does
    FLOOR_CLOSED,
};

/// How a loop waits for its connections. Loops share nothing but the store.
struct floor_poller {
    const char *name;
    /// Starts a loop on a thread of its own; the descriptor by which connections are handed to it. -1 with errno.
    int (*start_loop)(void);
    /// Hands a connection over to a loop, which destroys it in the end. False with errno.
    bool (*adopt)(int loop, struct floor_connection *connection);
};

extern const struct floor_poller floor_epoll, floor_uring;

__attribute__((noreturn)) void floor_die(const char *what);

struct floor_connection *floor_connection_create(int fd, const struct floor_store *store, uint16_t portal_port);
void floor_connection_destroy(struct floor_connection *connection);

// Between connection and poller.

/// Handles the whole PDUs at the front of these bytes and says how many bytes they were. FLOOR_IDLE when a partial
/// PDU, or nothing, is left; FLOOR_BLOCKED when the queue must be sent first.
enum floor_result floor_handle_whole(
    struct floor_connection *connection, const uint8_t *bytes, size_t byte_count, size_t *handled);

/// Room for that many responses, padding and a small answer's contents included?
bool floor_has_room(const struct floor_connection *connection, unsigned responses);

/// Takes a partial PDU, and has the rest of its long data segment received straight into the store, if it is a write's.
bool floor_start_placing(struct floor_connection *connection, const uint8_t *bytes, size_t byte_count);

/// So many more bytes of the data segment are in their place. False when the connection must be dropped. The queue must
/// have room for an answer.
bool floor_placed(struct floor_connection *connection, size_t byte_count);

/// Handles bytes of the stream out of a buffer that is not the connection's: whole PDUs where they are; of a partial one
/// the bytes go to its place or into the batch buffer. Says how many bytes it took: fewer than all when the queue must
/// be sent first (FLOOR_BLOCKED) or the connection is to be dropped.
enum floor_result floor_take_bytes(
    struct floor_connection *connection, const uint8_t *bytes, size_t byte_count, size_t *taken);

/// So much of the queue has been sent.
void floor_queue_sent(struct floor_connection *connection, size_t byte_count);
void floor_queue_all_sent(struct floor_connection *connection);

// Between the files of a connection.

/// A response PDU in the queue, zeroed but for opcode, final bit and (with `status`) a StatSN of its own.
/// `data` must stay as it is until it is sent. The caller has made sure of room.
uint8_t *floor_respond(
    struct floor_connection *connection, uint8_t opcode, uint32_t itt, bool status, const void *data, uint32_t length);

/// Handles a whole PDU; `data` is NULL when its data segment has been received into place.
/// False when the connection must be dropped.
bool floor_handle_scsi_command(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data);
bool floor_handle_data_out(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data);
bool floor_handle_login(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data);
bool floor_handle_text(struct floor_connection *connection, const uint8_t *bhs, const uint8_t *data);

/// Where the data segment of a write or Data-Out goes; NULL when it goes nowhere in the store.
uint8_t *floor_destination(const struct floor_connection *connection, const uint8_t *bhs);

/// How many response PDUs the answer to this PDU can need.
unsigned floor_responses_needed(const struct floor_connection *connection, const uint8_t *bhs);

/// Room for a small answer of at most FLOOR_LARGEST_CANNED bytes, kept until the queue is sent.
uint8_t *floor_canned_room(struct floor_connection *connection);

/// The contents of a canned command's answer; -1 for a command it does not know.
int floor_canned_answer(const uint8_t *cdb, uint64_t block_count, uint8_t *answer);

#endif
