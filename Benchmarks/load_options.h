// SPDX-License-Identifier: Apache-2.0
//
// What the load generator is asked to do.
#ifndef BENCHMARKS_LOAD_OPTIONS_H
#define BENCHMARKS_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    LARGEST_TRANSFER = 8 * 1024 * 1024,
    MOST_QUEUE_DEPTH = 1024,
    MOST_CONNECTIONS = 64,
    LONGEST_URL_PART = 256,
};

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_RANDREAD, ACCESS_RANDWRITE, ACCESS_RANDRW };

extern const char *const access_names[];

struct load_options {
    char host[LONGEST_URL_PART], port[8], target[LONGEST_URL_PART];
    uint16_t lun;
    enum access access;
    uint32_t block_bytes;      // of one command
    uint32_t queue_depth;      // of each connection
    uint32_t connections;
    double seconds, warmup_seconds;
    uint64_t area_bytes;       // how much of the LUN is used, from its start; 0 for all of it
    uint32_t read_percent;     // of randrw
    uint64_t seed;
    pid_t server_pid;          // 0 for none
    bool poll;                 // never sleep while waiting for the target
    bool fill;                 // write the whole area once before anything is measured
    bool verify;
    bool header_digest, data_digest;
    bool initial_r2t, no_immediate_data;  // ask for writes in the slow way
    uint32_t segment_bytes;    // the MaxRecvDataSegmentLength we declare
};

/// Ends the process with a sentence and status 2 when the options make no sense.
void load_options_parse(int argc, char **argv, struct load_options *options);

/// Ends the process with a sentence on standard error and status 1.
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

#endif
