// SPDX-License-Identifier: Apache-2.0
//
// Which blocks are read and written, in what order, and what must be in them.
//
// The area is cut into units of one command each. When contents are verified, each unit has a generation,
// one more with every write, and its bytes follow from address, generation and seed; a unit takes part in
// one command at a time, so every read knows what it must find.
#ifndef BENCHMARKS_WORKLOAD_H
#define BENCHMARKS_WORKLOAD_H

#include "load_options.h"

enum workload_phase {
    PHASE_FILL,  // write each unit once, in order
    PHASE_RUN,   // what was asked for, until stopped
    PHASE_SCAN,  // read each unit once, in order
    PHASE_STOPPED,
};

struct operation {
    uint64_t unit;
    uint32_t generation;  // that a read must find, or that a write makes
    bool is_write;
};

struct workload {
    enum workload_phase phase;
    enum access access;
    uint32_t unit_bytes;
    uint64_t unit_count;
    uint64_t cursor;       // the next unit, of what goes in order
    uint64_t random;
    uint64_t seed;
    uint32_t read_percent;
    uint32_t *generation;  // of each unit; NULL when contents are not verified
    uint8_t *is_busy;      // likewise
};

void workload_create(struct workload *workload, const struct load_options *options, uint64_t lun_bytes);
void workload_destroy(struct workload *workload);
void workload_start(struct workload *workload, enum workload_phase phase);

/// False when nothing is to be started now: the phase has come to its end, or the units it wants are busy.
bool workload_next(struct workload *workload, struct operation *operation);
void workload_finished(struct workload *workload, const struct operation *operation);

/// The bytes that a write puts into its unit, and the check of a read, which ends the process if it fails.
void workload_write_pattern(const struct workload *workload, const struct operation *operation, uint8_t *data);
void workload_check_pattern(const struct workload *workload, const struct operation *operation, const uint8_t *data);

#endif
