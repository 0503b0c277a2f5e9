// SPDX-License-Identifier: Apache-2.0
// Random commands from several threads, and what the medium must hold after each. A thread has a part of the medium to
// itself, and never two commands on one block at a time, so that it knows what every block holds.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uring_host.h"

#define BLOCKS_AT_MOST 32u

enum kind { idle, reading, writing, unmapping, flushing };

struct slot {
    struct command command;
    uint8_t *memory;
    enum kind kind;
    uint64_t first, count;
};

struct worker {
    pthread_t thread;
    uint64_t random;
    // Its blocks.
    uint64_t first, count;
    // What each holds; 0: zeroes.
    uint32_t *versions;
    bool *is_busy;
    uint32_t last_version;
    unsigned depth, operation_count;
};

static uint64_t next(uint64_t *state) {
    uint64_t value = *state += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

static void fill(uint8_t *memory, uint64_t block, uint32_t version) {
    uint64_t state = block << 32 | version;
    memset(memory, 0, host.block_size);
    if (version == 0) return;
    for (size_t at = 0; at < host.block_size; at += 8) {
        uint64_t word = next(&state);
        memcpy(memory + at, &word, 8);
    }
}

static bool holds(const uint8_t *memory, uint64_t block, uint32_t version) {
    uint8_t expected[4096];
    fill(expected, block, version);
    return memcmp(memory, expected, host.block_size) == 0;
}

// Blocks that no command of this thread is at. False when chance found none.
static bool choose(struct worker *worker, struct slot *slot) {
    slot->count = 1 + next(&worker->random) % BLOCKS_AT_MOST;
    uint64_t from = next(&worker->random) % (worker->count - slot->count + 1);
    for (uint64_t index = 0; index < slot->count; index++) {
        if (worker->is_busy[from + index]) return false;
    }
    memset(worker->is_busy + from, 1, slot->count);
    slot->first = worker->first + from;
    return true;
}

// One, two, four or more elements.
static void split(struct worker *worker, struct slot *slot) {
    size_t parts = (size_t)1 << next(&worker->random) % 4;
    while (slot->count % parts != 0) parts /= 2;
    prepare(&slot->command, slot->memory, slot->count / parts * host.block_size, parts);
}

static void start(struct worker *worker, struct slot *slot) {
    unsigned chance = next(&worker->random) % 100;
    if (chance < 4) {
        slot->kind = flushing;
        slot->count = 0;
        prepare(&slot->command, NULL, 0, 0);
        start_flush(&slot->command);
        return;
    }
    if (!choose(worker, slot)) return;
    uint64_t offset = slot->first * host.block_size;
    split(worker, slot);
    if (chance < 8) {
        slot->kind = unmapping;
        start_unmap(&slot->command, offset, slot->count * host.block_size);
    } else if (chance < 54) {
        slot->kind = reading;
        memset(slot->memory, 0xEE, slot->count * host.block_size);
        start_read(&slot->command, offset);
    } else {
        slot->kind = writing;
        worker->last_version++;
        for (uint64_t index = 0; index < slot->count; index++) {
            fill(slot->memory + index * host.block_size, slot->first + index, worker->last_version);
            worker->versions[slot->first - worker->first + index] = worker->last_version;
        }
        start_write(&slot->command, offset);
    }
}

static void check_end(struct worker *worker, struct slot *slot) {
    require(slot->command.status == TCMU_STS_OK);
    for (uint64_t index = 0; index < slot->count; index++) {
        uint64_t own = slot->first - worker->first + index;
        const uint8_t *memory = slot->memory + index * host.block_size;
        if (slot->kind == reading) require(holds(memory, slot->first + index, worker->versions[own]));
        if (slot->kind == unmapping) worker->versions[own] = 0;
        worker->is_busy[own] = false;
    }
    slot->kind = idle;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct slot *slots = calloc(worker->depth, sizeof(*slots));
    require(slots != NULL);
    uint8_t *memory = pages((size_t)worker->depth * BLOCKS_AT_MOST * host.block_size);
    unsigned begun = 0, under_way = 0;
    for (unsigned index = 0; index < worker->depth; index++) {
        slots[index].memory = memory + (size_t)index * BLOCKS_AT_MOST * host.block_size;
    }
    while (begun < worker->operation_count || under_way > 0) {
        uint64_t before = atomic_load(&ended_count);
        bool has_moved = false;
        for (unsigned index = 0; index < worker->depth; index++) {
            struct slot *slot = &slots[index];
            if (slot->kind != idle && slot->command.status != NOT_ENDED) {
                check_end(worker, slot);
                under_way--;
                has_moved = true;
            }
            if (slot->kind == idle && begun < worker->operation_count) {
                start(worker, slot);
                begun++;
                if (slot->kind != idle) under_way++;
                has_moved = true;
            }
        }
        submit();
        if (!has_moved && under_way > 0) wait_for_more_than(before);
    }
    free(memory);
    free(slots);
    return NULL;
}

// What the file holds, read behind the handler's back.
static void check_file(const struct worker *worker) {
    uint8_t *memory = pages(host.block_size);
    int descriptor = open(host.path, O_RDONLY);
    require(descriptor >= 0);
    for (uint64_t index = 0; index < worker->count; index++) {
        uint64_t block = worker->first + index;
        off_t offset = (off_t)(block * host.block_size);
        require(pread(descriptor, memory, host.block_size, offset) == (ssize_t)host.block_size);
        require(holds(memory, block, worker->versions[index]));
    }
    close(descriptor);
    free(memory);
}

int integrity(uint64_t seed, unsigned thread_count, unsigned depth, unsigned operation_count) {
    struct worker *workers = calloc(thread_count, sizeof(*workers));
    require(workers != NULL);
    uint64_t share = host.byte_count / host.block_size / thread_count;
    begin_reaper();
    for (unsigned index = 0; index < thread_count; index++) {
        struct worker *worker = &workers[index];
        *worker = (struct worker){
            .random = seed + index, .first = index * share, .count = share, .depth = depth,
            .operation_count = operation_count};
        worker->versions = calloc(share, sizeof(*worker->versions));
        worker->is_busy = calloc(share, sizeof(*worker->is_busy));
        require(worker->versions != NULL && worker->is_busy != NULL);
        require(pthread_create(&worker->thread, NULL, work, worker) == 0);
    }
    for (unsigned index = 0; index < thread_count; index++) pthread_join(workers[index].thread, NULL);
    end_reaper();
    require(run_flush() == TCMU_STS_OK);
    for (unsigned index = 0; index < thread_count; index++) check_file(&workers[index]);
    return 0;
}
