// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "uring_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CHandlerHost.h"

struct host host;
atomic_ullong ended_count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_t reaper;
static atomic_bool has_reaper, is_ending;

void fail(const char *file, int line, const char *words) {
    fprintf(stderr, "%s:%d: %s\n", file, line, words);
    _exit(1);
}

void *pages(size_t byte_count) {
    void *memory = NULL;
    require(posix_memalign(&memory, 4096, byte_count) == 0);
    memset(memory, 0, byte_count);
    return memory;
}

static void note_end(struct command *command, int status) {
    command->thread = pthread_self();
    pthread_mutex_lock(&lock);
    // Counted first: whoever sees the status sees the count.
    atomic_fetch_add(&ended_count, 1);
    // Completed twice otherwise.
    require(atomic_exchange(&command->status, status) == NOT_ENDED);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

static void done(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status) {
    require(dev == host.dev);
    note_end((struct command *)(void *)cmd, status);
}

void prepare(struct command *command, uint8_t *memory, size_t length, size_t count) {
    require(count <= ELEMENT_LIMIT);
    for (size_t index = 0; index < count; index++) {
        command->elements[index] = (struct iovec){memory + index * length, length};
    }
    command->lib = (struct tcmulib_cmd){.iovec = command->elements, .iov_cnt = count};
    command->cmd = (struct tcmur_cmd){
        .lib_cmd = &command->lib, .iovec = command->elements, .iov_cnt = count, .requested = length * count,
        .done = done};
    atomic_store(&command->status, NOT_ENDED);
}

static void returned(struct command *command, int status) {
    if (status != TCMU_STS_OK) note_end(command, status);
}

void start_read(struct command *command, uint64_t offset) {
    struct tcmur_cmd *cmd = &command->cmd;
    returned(
        command, host.handler->read(host.dev, cmd, cmd->iovec, cmd->iov_cnt, cmd->requested, (off_t)offset));
}

void start_write(struct command *command, uint64_t offset) {
    struct tcmur_cmd *cmd = &command->cmd;
    returned(
        command, host.handler->write(host.dev, cmd, cmd->iovec, cmd->iov_cnt, cmd->requested, (off_t)offset));
}

void start_flush(struct command *command) { returned(command, host.handler->flush(host.dev, &command->cmd)); }

void start_unmap(struct command *command, uint64_t offset, uint64_t length) {
    returned(command, host.handler->unmap(host.dev, &command->cmd, offset, length));
}

void submit(void) {
    if (host.is_batched) host.extension->submit(host.dev);
}

void wait_for_more_than(uint64_t count) {
    pthread_mutex_lock(&lock);
    while (atomic_load(&ended_count) <= count) pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
}

// Waits until completions are there, and takes them.
static void take(void) {
    struct pollfd event = {.fd = host.descriptor, .events = POLLIN};
    if (poll(&event, 1, -1) > 0) host.extension->reap(host.dev);
}

int wait_for(struct command *command) {
    for (;;) {
        uint64_t before = atomic_load(&ended_count);
        int status = atomic_load(&command->status);
        if (status != NOT_ENDED) return status;
        if (host.is_batched && !atomic_load(&has_reaper)) take();
        else wait_for_more_than(before);
    }
}

static void *reap_loop(void *argument) {
    while (!atomic_load(&is_ending)) {
        struct pollfd event = {.fd = host.descriptor, .events = POLLIN};
        if (poll(&event, 1, 100) > 0) host.extension->reap(host.dev);
    }
    return argument;
}

void begin_reaper(void) {
    if (!host.is_batched) return;
    atomic_store(&has_reaper, true);
    atomic_store(&is_ending, false);
    require(pthread_create(&reaper, NULL, reap_loop, NULL) == 0);
}

void end_reaper(void) {
    if (!host.is_batched) return;
    atomic_store(&is_ending, true);
    pthread_join(reaper, NULL);
    atomic_store(&has_reaper, false);
}

static int run(struct command *command) {
    submit();
    int status = wait_for(command);
    free(command);
    return status;
}

static struct command *command_for(const void *memory, size_t length) {
    struct command *command = calloc(1, sizeof(*command));
    require(command != NULL);
    prepare(command, (uint8_t *)(uintptr_t)memory, length, length > 0 ? 1 : 0);
    return command;
}

int run_read(uint64_t offset, void *memory, size_t length) {
    struct command *command = command_for(memory, length);
    start_read(command, offset);
    return run(command);
}

int run_write(uint64_t offset, const void *memory, size_t length) {
    struct command *command = command_for(memory, length);
    start_write(command, offset);
    return run(command);
}

int run_flush(void) {
    struct command *command = command_for(NULL, 0);
    start_flush(command);
    return run(command);
}

int run_unmap(uint64_t offset, uint64_t length) {
    struct command *command = command_for(NULL, 0);
    start_unmap(command, offset, length);
    return run(command);
}

static int register_handler(struct tcmur_handler *handler) {
    host.handler = handler;
    return 0;
}

static void log_line(int severity, struct tcmu_device *dev, const char *message) {
    (void)severity, (void)dev;
    printf("log: %s\n", message);
    fflush(stdout);
}

void open_device(void) {
    martlet_host_device_prepare_open(host.dev);
    int result = host.handler->open(host.dev, false);
    if (result != 0) {
        printf("open: %d\n", result);
        exit(2);
    }
    if (!host.is_batched) return;
    host.descriptor = host.extension->completion_descriptor(host.dev);
    printf("descriptor: %s\n", host.descriptor >= 0 ? "yes" : "no");
    if (host.descriptor < 0) host.is_batched = false;
}

void close_device(void) { host.handler->close(host.dev); }

static void load(const char *path) {
    static const struct martlet_host_hooks hooks = {.register_handler = register_handler, .log = log_line};
    martlet_host_install_hooks(&hooks);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) fail(path, 0, dlerror());
    int (*init)(void) = (int (*)(void))dlsym(library, "handler_init");
    martlet_handler_extension_function find =
        (martlet_handler_extension_function)dlsym(library, MARTLET_HANDLER_EXTENSION_SYMBOL);
    require(init != NULL && init() == 0 && find != NULL);
    host.extension = find();
}

int main(int argc, char **argv) {
    require(argc >= 7);
    load(argv[1]);
    char *reason = NULL;
    if (!host.handler->check_config(argv[5], &reason)) {
        printf("refused: %s\n", reason);
        return 2;
    }
    host.is_batched = strcmp(argv[2], "batch") == 0;
    host.byte_count = strtoull(argv[3], NULL, 10);
    host.block_size = (uint32_t)strtoul(argv[4], NULL, 10);
    host.path = strdup(strchr(argv[5], '/') + 1);
    host.path[strcspn(host.path, ";")] = '\0';
    struct martlet_host_device_configuration configuration = {
        .config_string = argv[5], .name = "test", .byte_count = host.byte_count, .block_byte_count = host.block_size,
        .max_transfer_block_count = (8 << 20) / host.block_size, .unmap_enabled = true,
        .write_protect_enabled = strcmp(argv[2], "readonly") == 0};
    host.dev = martlet_host_device_create(&configuration);
    require(host.dev != NULL);
    open_device();
    int result = scenario(argc - 6, argv + 6);
    close_device();
    martlet_host_device_destroy(host.dev);
    return result;
}
