// SPDX-License-Identifier: Apache-2.0
#include "workload.h"

#include <stdlib.h>
#include <string.h>

enum {
    PATTERN_BLOCK_BYTES = 512,
    PATTERN_WORDS = PATTERN_BLOCK_BYTES / 8,
    RANDOM_ATTEMPTS = 16,  // to find a unit that is not busy
};

#define VERIFIED_AREA_LIMIT (64ull << 20)

/// The finalizer of splitmix64: every bit of the input reaches every bit of the result.
static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static uint64_t next_random(struct workload *workload)
{
    workload->random += 0x9e3779b97f4a7c15u;
    return mix(workload->random);
}

void workload_create(struct workload *workload, const struct load_options *options, uint64_t lun_bytes)
{
    uint64_t area = options->area_bytes > 0 ? options->area_bytes : lun_bytes;
    if (area > lun_bytes)
        die("the LUN has only %llu bytes", (unsigned long long)lun_bytes);
    if (options->verify && area > VERIFIED_AREA_LIMIT)
        area = VERIFIED_AREA_LIMIT;
    *workload = (struct workload){
        .phase = PHASE_STOPPED, .access = options->access, .unit_bytes = options->block_bytes,
        .unit_count = area / options->block_bytes, .random = options->seed, .seed = options->seed,
        .read_percent = options->read_percent,
    };
    if (workload->unit_count == 0)
        die("the area of %llu bytes is smaller than one command", (unsigned long long)area);
    if (!options->verify)
        return;
    workload->generation = calloc(workload->unit_count, sizeof workload->generation[0]);
    workload->is_busy = calloc(workload->unit_count, sizeof workload->is_busy[0]);
    if (!workload->generation || !workload->is_busy)
        die("no memory");
}

void workload_destroy(struct workload *workload)
{
    free(workload->generation);
    free(workload->is_busy);
}

void workload_start(struct workload *workload, enum workload_phase phase)
{
    workload->phase = phase;
    workload->cursor = 0;
}

static bool next_in_order(struct workload *workload, bool is_write, bool wraps, struct operation *operation)
{
    if (workload->cursor == workload->unit_count && wraps)
        workload->cursor = 0;
    if (workload->cursor == workload->unit_count)
        return false;
    if (workload->is_busy && workload->is_busy[workload->cursor])
        return false;
    *operation = (struct operation){.unit = workload->cursor++, .is_write = is_write};
    return true;
}

static bool next_at_random(struct workload *workload, uint32_t read_percent, struct operation *operation)
{
    bool is_write = read_percent == 0 || (read_percent < 100 && next_random(workload) % 100 >= read_percent);
    for (int attempt = 0; attempt < RANDOM_ATTEMPTS; attempt++) {
        uint64_t unit = next_random(workload) % workload->unit_count;
        if (workload->is_busy && workload->is_busy[unit])
            continue;
        *operation = (struct operation){.unit = unit, .is_write = is_write};
        return true;
    }
    return false;
}

static bool choose(struct workload *workload, struct operation *operation)
{
    switch (workload->phase) {
    case PHASE_FILL:
        return next_in_order(workload, true, false, operation);
    case PHASE_SCAN:
        return next_in_order(workload, false, false, operation);
    case PHASE_STOPPED:
        return false;
    case PHASE_RUN:
        break;
    }
    switch (workload->access) {
    case ACCESS_READ:
        return next_in_order(workload, false, true, operation);
    case ACCESS_WRITE:
        return next_in_order(workload, true, true, operation);
    case ACCESS_RANDREAD:
        return next_at_random(workload, 100, operation);
    case ACCESS_RANDWRITE:
        return next_at_random(workload, 0, operation);
    case ACCESS_RANDRW:
        return next_at_random(workload, workload->read_percent, operation);
    }
    return false;
}

bool workload_next(struct workload *workload, struct operation *operation)
{
    if (!choose(workload, operation))
        return false;
    if (workload->generation) {
        workload->is_busy[operation->unit] = 1;
        if (operation->is_write)
            workload->generation[operation->unit]++;
        operation->generation = workload->generation[operation->unit];
    }
    return true;
}

void workload_finished(struct workload *workload, const struct operation *operation)
{
    if (workload->is_busy)
        workload->is_busy[operation->unit] = 0;
}

static uint64_t pattern_base(const struct workload *workload, const struct operation *operation, uint32_t block)
{
    uint64_t address = operation->unit * (workload->unit_bytes / PATTERN_BLOCK_BYTES) + block;
    return mix(mix(address ^ workload->seed << 40) + operation->generation);
}

static uint64_t pattern_word(uint64_t base, uint32_t index) { return base + index * 0x0101010101010101u; }

void workload_write_pattern(const struct workload *workload, const struct operation *operation, uint8_t *data)
{
    for (uint32_t block = 0; block < workload->unit_bytes / PATTERN_BLOCK_BYTES; block++) {
        uint64_t base = pattern_base(workload, operation, block);
        for (uint32_t i = 0; i < PATTERN_WORDS; i++, data += 8) {
            uint64_t word = pattern_word(base, i);
            memcpy(data, &word, 8);
        }
    }
}

void workload_check_pattern(const struct workload *workload, const struct operation *operation, const uint8_t *data)
{
    for (uint32_t block = 0; block < workload->unit_bytes / PATTERN_BLOCK_BYTES; block++) {
        uint64_t base = pattern_base(workload, operation, block);
        for (uint32_t i = 0; i < PATTERN_WORDS; i++, data += 8) {
            uint64_t found, wanted = pattern_word(base, i);
            memcpy(&found, data, 8);
            if (found != wanted)
                die("wrong data at byte %llu of the LUN (write %u of this place): found %016llx, wanted %016llx",
                    (unsigned long long)(operation->unit * workload->unit_bytes + block * PATTERN_BLOCK_BYTES + i * 8),
                    operation->generation, (unsigned long long)found, (unsigned long long)wanted);
        }
    }
}
