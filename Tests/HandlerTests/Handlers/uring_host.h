// SPDX-License-Identifier: Apache-2.0
// A small host for one device of one handler, to see it from below: which thread submits, which one takes completions,
// and what the kernel answers.
//
//     uring_host PLUGIN MODE SIZE BLOCK CONFIGSTRING SCENARIO [ARGUMENT...]
//
// MODE: "own" knows nothing of batches, "batch" submits and takes completions, "readonly" is "own" on a write-protected
// device. Prints what the handler logs, each line after "log: ", and ends with status 0 when all was as it must be.
#ifndef URING_HOST_H
#define URING_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "martlet-handler.h"

#define ELEMENT_LIMIT 4096
#define NOT_ENDED INT_MIN

struct command {
    struct tcmur_cmd cmd;
    struct tcmulib_cmd lib;
    struct iovec elements[ELEMENT_LIMIT];
    // TCMU_STS_*, or NOT_ENDED.
    atomic_int status;
    // The thread in which it ended.
    pthread_t thread;
};

struct host {
    struct tcmur_handler *handler;
    const struct martlet_handler_extension *extension;
    struct tcmu_device *dev;
    // Completions are taken by this host; descriptor is readable when they are there.
    bool is_batched;
    int descriptor;
    uint64_t byte_count;
    uint32_t block_size;
    char *path;
};

extern struct host host;

// Ends the process with words unless the condition holds.
#define require(condition) \
    do { \
        if (!(condition)) fail(__FILE__, __LINE__, #condition); \
    } while (0)
_Noreturn void fail(const char *file, int line, const char *words);

// Memory at a page, filled with zeroes.
void *pages(size_t byte_count);

// A command whose data are count elements of length bytes each, side by side in memory.
void prepare(struct command *command, uint8_t *memory, size_t length, size_t count);
// Start a command; what a callout returns instead of completing is taken as its end.
void start_read(struct command *command, uint64_t offset);
void start_write(struct command *command, uint64_t offset);
void start_flush(struct command *command);
void start_unmap(struct command *command, uint64_t offset, uint64_t length);
// After a batch of these.
void submit(void);
// Takes completions when they come, until command has ended. Its status.
int wait_for(struct command *command);
// Starts, submits and waits.
int run_read(uint64_t offset, void *memory, size_t length);
int run_write(uint64_t offset, const void *memory, size_t length);
int run_flush(void);
int run_unmap(uint64_t offset, uint64_t length);

void open_device(void);
void close_device(void);

// A thread that takes completions, as a host's loop does, until end_reaper.
void begin_reaper(void);
void end_reaper(void);
// Waits until some command has ended after count was the number of ended ones.
void wait_for_more_than(uint64_t count);
extern atomic_ullong ended_count;

// What the system is to answer wrongly, see uring_faults.c.
void set_fault(const char *name);
extern atomic_ulong fault_count;
extern atomic_ulong enter_count;

int scenario(int argc, char **argv);
int integrity(uint64_t seed, unsigned thread_count, unsigned depth, unsigned operation_count);

#endif
