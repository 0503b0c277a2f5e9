// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uring_host.h"

static unsigned long number(char **argv, int index) { return strtoul(argv[index], NULL, 10); }

static struct command *commands(size_t count) {
    struct command *memory = calloc(count, sizeof(*memory));
    require(memory != NULL);
    return memory;
}

// Writes count blocks with count commands, all of them started before any is submitted, then reads them back so.
static int overflow(unsigned count) {
    struct command *all = commands(count);
    uint8_t *memory = pages((size_t)count * host.block_size);
    for (unsigned index = 0; index < count; index++) memset(memory + (size_t)index * host.block_size, (int)index + 1, 8);
    for (int turn = 0; turn < 2; turn++) {
        uint64_t before = atomic_load(&ended_count);
        unsigned long enters = atomic_load(&enter_count);
        if (turn == 1) memset(memory, 0, (size_t)count * host.block_size);
        for (unsigned index = 0; index < count; index++) {
            prepare(&all[index], memory + (size_t)index * host.block_size, host.block_size, 1);
            if (turn == 0) start_write(&all[index], (uint64_t)index * host.block_size);
            else start_read(&all[index], (uint64_t)index * host.block_size);
        }
        submit();
        printf("enters: %lu\n", atomic_load(&enter_count) - enters);
        for (unsigned index = 0; index < count; index++) require(wait_for(&all[index]) == TCMU_STS_OK);
        require(atomic_load(&ended_count) - before == count);
    }
    for (unsigned index = 0; index < count; index++) {
        require(memory[(size_t)index * host.block_size] == (uint8_t)(index + 1));
    }
    return 0;
}

struct hand_off {
    struct command *reading, *writing;
    atomic_bool is_submitted, is_taken;
    bool stays;
};

// The file's pages are not in memory, so that the read waits for the disk.
static void drop_cache(void) {
    int descriptor = open(host.path, O_RDONLY);
    require(descriptor >= 0 && fsync(descriptor) == 0);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
}

static void *submit_and_turn_away(void *argument) {
    struct hand_off *work = argument;
    start_read(work->reading, 0);
    start_write(work->writing, 2 << 20);
    submit();
    atomic_store(&work->is_submitted, true);
    // No system call from here on: nothing makes this thread look after its request.
    while (work->stays && !atomic_load(&work->is_taken)) continue;
    return NULL;
}

// A thread submits and then only computes, or ends; another one takes the completion.
static int hand_off(bool stays, unsigned times) {
    uint8_t *memory = pages(1 << 20), *expected = pages(1 << 20);
    memset(expected, 0x5A, 1 << 20);
    require(run_write(0, expected, 1 << 20) == TCMU_STS_OK && run_flush() == TCMU_STS_OK);
    for (unsigned turn = 0; turn < times; turn++) {
        struct command *both = commands(2);
        struct hand_off work = {.reading = &both[0], .writing = &both[1], .stays = stays};
        pthread_t thread;
        drop_cache();
        memset(memory, 0, 1 << 20);
        prepare(&both[0], memory, 1 << 20, 1);
        prepare(&both[1], expected, 1 << 20, 1);
        require(pthread_create(&thread, NULL, submit_and_turn_away, &work) == 0);
        while (!atomic_load(&work.is_submitted)) continue;
        if (!stays) pthread_join(thread, NULL);
        require(wait_for(&both[0]) == TCMU_STS_OK && wait_for(&both[1]) == TCMU_STS_OK);
        require(!pthread_equal(both[0].thread, thread) && !pthread_equal(both[1].thread, thread));
        require(memcmp(memory, expected, 1 << 20) == 0);
        atomic_store(&work.is_taken, true);
        if (stays) pthread_join(thread, NULL);
        free(both);
    }
    require(run_read(2 << 20, memory, 1 << 20) == TCMU_STS_OK && memcmp(memory, expected, 1 << 20) == 0);
    return 0;
}

// More elements than one system call takes.
static int vector(unsigned count) {
    struct command *command = commands(1);
    uint8_t *memory = pages((size_t)count * 4096), *copy = pages((size_t)count * host.block_size);
    for (int turn = 0; turn < 2; turn++) {
        prepare(command, memory, 4096, count);
        for (unsigned index = 0; index < count; index++) {
            uint8_t *element = memory + (size_t)index * 4096;
            command->elements[index].iov_len = host.block_size;
            memset(element, turn == 0 ? (int)(index % 251) + 1 : 0, host.block_size);
        }
        command->cmd.requested = (size_t)count * host.block_size;
        if (turn == 0) start_write(command, 0);
        else start_read(command, 0);
        submit();
        require(wait_for(command) == TCMU_STS_OK);
    }
    require(run_read(0, copy, (size_t)count * host.block_size) == TCMU_STS_OK);
    for (unsigned index = 0; index < count; index++) {
        require(memory[(size_t)index * 4096] == index % 251 + 1);
        require(memcmp(memory + (size_t)index * 4096, copy + (size_t)index * host.block_size, host.block_size) == 0);
    }
    return 0;
}

// The file is cut in the middle while the device is open.
static int cut(void) {
    uint64_t half = host.byte_count / 2;
    uint8_t *memory = pages(65536);
    require(run_write(0, memory, 65536) == TCMU_STS_OK && run_write(half, memory, 65536) == TCMU_STS_OK);
    require(truncate(host.path, (off_t)half) == 0);
    require(run_read(0, memory, 65536) == TCMU_STS_OK);
    require(run_read(half, memory, 4096) == TCMU_STS_RD_ERR);
    // Half of it is there.
    require(run_read(half - 4096, memory, 8192) == TCMU_STS_RD_ERR);
    // Not even a block is.
    require(truncate(host.path, (off_t)half - 100) == 0);
    require(run_read(half - 4096, memory, 8192) == TCMU_STS_RD_ERR);
    require(run_write(half - 4096, memory, 8192) == TCMU_STS_OK);
    require(run_read(half - 4096, memory, 8192) == TCMU_STS_OK);
    return 0;
}

// count flushes at once, of which expected end well.
static void flush_together(unsigned count, bool is_good) {
    struct command *all = commands(count);
    for (unsigned index = 0; index < count; index++) {
        prepare(&all[index], NULL, 0, 0);
        start_flush(&all[index]);
    }
    submit();
    for (unsigned index = 0; index < count; index++) {
        require((wait_for(&all[index]) == TCMU_STS_OK) == is_good);
    }
    free(all);
}

static int flush(void) {
    uint8_t *memory = pages(4096);
    flush_together(1, true);
    flush_together(100, true);
    set_fault("flush");
    // One report of the kernel, but none of them may be believed.
    flush_together(20, false);
    require(fault_count == 1);
    require(run_flush() == TCMU_STS_WR_ERR);
    require(run_write(0, memory, 4096) == TCMU_STS_OK);
    flush_together(20, false);
    return 0;
}

// The ring fails for good: everything ends, and ends with an error.
static int dead(unsigned count) {
    struct command *all = commands(count);
    uint8_t *memory = pages(4096);
    set_fault("dead");
    for (unsigned index = 0; index < count; index++) {
        prepare(&all[index], memory, index % 10 == 0 ? 0 : 4096, 1);
        if (index % 10 == 0) start_flush(&all[index]);
        else start_write(&all[index], 0);
    }
    submit();
    for (unsigned index = 0; index < count; index++) require(wait_for(&all[index]) == TCMU_STS_WR_ERR);
    set_fault("none");
    require(run_flush() == TCMU_STS_WR_ERR && run_write(0, memory, 4096) == TCMU_STS_OK);
    return 0;
}

static int unmap(void) {
    size_t length = 1 << 20;
    uint8_t *memory = pages(length), *zeroes = pages(length);
    struct martlet_extent extents[8];
    memset(memory, 0xA5, length);
    require(run_write(0, memory, length) == TCMU_STS_OK);
    require(run_unmap(length / 4, length / 2) == TCMU_STS_OK && run_unmap(0, 0) == TCMU_STS_OK);
    require(run_read(0, memory, length) == TCMU_STS_OK);
    require(memory[length / 4 - 1] == 0xA5 && memory[length * 3 / 4] == 0xA5);
    require(memcmp(memory + length / 4, zeroes, length / 2) == 0);
    int count = host.extension->block_status(host.dev, 0, length, extents, 8);
    for (int index = 0; index < count; index++) {
        printf("extent: %lu %s\n", extents[index].byte_count, extents[index].flags != 0 ? "mapped" : "hole");
    }
    require(host.extension->block_status(host.dev, 0, length, extents, 1) == 1);
    require(host.extension->block_status(host.dev, length / 2, host.byte_count, extents, 8) == -EINVAL);
    return 0;
}

static int refuse(void) {
    uint8_t *memory = pages(8192);
    struct command *command = commands(1);
    require(run_read(host.byte_count, memory, 4096) == TCMU_STS_RANGE);
    require(run_read(host.byte_count - 4096, memory, 8192) == TCMU_STS_RANGE);
    require(run_read(UINT64_MAX - 4095, memory, 8192) == TCMU_STS_RANGE);
    require(run_write(host.byte_count - 4096, memory, 8192) == TCMU_STS_RANGE);
    require(run_unmap(host.byte_count - 4096, 8192) == TCMU_STS_RANGE);
    require(run_unmap(4096, UINT64_MAX) == TCMU_STS_RANGE);
    require(run_read(0, memory, 0) == TCMU_STS_OK);
    prepare(command, memory, 4096, 1);
    command->cmd.requested = 8192;
    start_read(command, 0);
    require(wait_for(command) == TCMU_STS_HW_ERR);
    return 0;
}

static bool is_protected(const struct command *command, uint8_t code, uint8_t qualifier) {
    const uint8_t *sense = command->lib.sense_buf;
    return command->status == TCMU_STS_PASSTHROUGH_ERR && sense[2] == 0x07 && sense[12] == code &&
           sense[13] == qualifier;
}

static int read_only(void) {
    uint8_t *memory = pages(4096);
    struct command *command = commands(1);
    require(run_read(0, memory, 4096) == TCMU_STS_OK && run_flush() == TCMU_STS_OK);
    prepare(command, memory, 4096, 1);
    start_write(command, 0);
    require(is_protected(command, 0x27, 0x00));
    prepare(command, NULL, 0, 0);
    start_unmap(command, 0, 4096);
    require(is_protected(command, 0x27, 0x00));
    return 0;
}

// The file may not grow into its second half: as a store that is full.
static int full(void) {
    uint8_t *memory = pages(4096);
    struct command *command = commands(1);
    signal(SIGXFSZ, SIG_IGN);
    require(setrlimit(RLIMIT_FSIZE, &(struct rlimit){host.byte_count / 2, host.byte_count / 2}) == 0);
    prepare(command, memory, 4096, 1);
    start_write(command, host.byte_count / 2);
    submit();
    wait_for(command);
    require(is_protected(command, 0x27, 0x07));
    require(run_write(0, memory, 4096) == TCMU_STS_OK);
    return 0;
}

// The host breaks its promise: the device closes with commands under way, and must not leave any.
static int abandon(unsigned count) {
    struct command *all = commands(count);
    uint8_t *memory = pages(65536);
    for (unsigned index = 0; index < count; index++) {
        prepare(&all[index], memory, 65536, 1);
        start_write(&all[index], (uint64_t)index % 16 * 65536);
    }
    close_device();
    for (unsigned index = 0; index < count; index++) require(all[index].status == TCMU_STS_OK);
    open_device();
    return 0;
}

static int reopen(unsigned times) {
    uint8_t *memory = pages(65536);
    for (unsigned turn = 0; turn < times; turn++) {
        require(run_write(0, memory, 65536) == TCMU_STS_OK);
        close_device();
        open_device();
    }
    return 0;
}

int scenario(int argc, char **argv) {
    const char *name = argv[0];
    if (argc > 5) set_fault(argv[5]);
    if (strcmp(name, "integrity") == 0) {
        return integrity(number(argv, 1), number(argv, 2), number(argv, 3), number(argv, 4));
    }
    if (strcmp(name, "overflow") == 0) return overflow(number(argv, 1));
    if (strcmp(name, "compute") == 0) return hand_off(true, 20);
    if (strcmp(name, "exit") == 0) return hand_off(false, 20);
    if (strcmp(name, "vector") == 0) return vector(number(argv, 1));
    if (strcmp(name, "cut") == 0) return cut();
    if (strcmp(name, "flush") == 0) return flush();
    if (strcmp(name, "dead") == 0) return dead(number(argv, 1));
    if (strcmp(name, "unmap") == 0) return unmap();
    if (strcmp(name, "refuse") == 0) return refuse();
    if (strcmp(name, "readonly") == 0) return read_only();
    if (strcmp(name, "full") == 0) return full();
    if (strcmp(name, "abandon") == 0) return abandon(number(argv, 1));
    if (strcmp(name, "reopen") == 0) return reopen(number(argv, 1));
    return strcmp(name, "open") == 0 ? run_flush() : 3;
}
