// SPDX-License-Identifier: Apache-2.0
//
// What a process has cost so far, from the operating system's own accounting.
#ifndef BENCHMARKS_PROCESS_COST_H
#define BENCHMARKS_PROCESS_COST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_cost {
    uint64_t cpu_ns;              // user plus system time of all its threads, ended ones too
    uint64_t voluntary_switches;  // of the threads alive now: how often one went to sleep
};

/// False when the process is gone or may not be looked at.
bool process_cost_read(pid_t pid, struct process_cost *cost);

uint64_t monotonic_ns(void);

#endif
