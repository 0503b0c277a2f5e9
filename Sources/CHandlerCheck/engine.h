// SPDX-License-Identifier: Apache-2.0
// What the parts of the check share.
#ifndef MARTLET_CHECK_ENGINE_H
#define MARTLET_CHECK_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "CHandlerCheck.h"
#include "CHandlerHost.h"

// A mapping for the data of a command.
struct check_buffer {
    uint8_t *mapping;
    size_t mapping_byte_count;
    uint8_t *data;
    size_t byte_count;
    enum check_memory memory;
    // What a write's data was, when it is watched.
    uint8_t *source;
};

enum check_phase { CHECK_FREE, CHECK_MADE, CHECK_STARTED, CHECK_ENDED };

struct check_command {
    // First: handlers name the command by it.
    struct tcmur_cmd command;
    struct tcmulib_cmd library;
    uint8_t cdb[32];
    struct iovec vector[CHECK_PIECE_LIMIT];
    size_t piece_count;

    int device;
    enum check_operation operation;
    uint64_t offset;
    uint64_t length;
    struct check_buffer buffer;
    size_t data_byte_count;

    // Guarded by check_lock.
    enum check_phase phase;
    // The end is what the callout returns.
    bool return_decides;
    bool is_in_callout;
    bool is_completed;
    int status;
    struct check_command *next;
};

struct check_device {
    struct tcmu_device *host_device;
    bool is_open;
    bool is_stopping;
    bool is_closed;
    pthread_t threads[1024];
    int thread_count;
    struct check_command *first;
    struct check_command *last;
    int batch_descriptor;
    int stop_descriptor;
    pthread_t reaper;
};

// Guards commands, devices and incidents; never held while the handler runs.
extern pthread_mutex_t check_lock;
// Something that is guarded has changed.
extern pthread_cond_t check_changed;

extern struct tcmur_handler check_handler;
extern struct martlet_handler_extension check_extension;
extern struct check_device check_devices[CHECK_DEVICE_LIMIT];
extern struct check_command check_commands[CHECK_COMMAND_LIMIT];

// A thread that calls the handler for a device.
void *check_work(void *device);
// tcmur_cmd_complete arrives here.
void check_completed(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status);
// With check_lock held.
void check_count_incident(enum check_incident incident, const struct check_command *command, int status);
const char *check_operation_name(enum check_operation operation);

bool check_buffer_make(struct check_buffer *buffer, size_t byte_count, enum check_memory memory);
void check_buffer_free(struct check_buffer *buffer);
void check_buffer_watch_source(struct check_buffer *buffer);
long check_buffer_damage(const struct check_buffer *buffer, long *first_offset);
// Whether `address` lies in memory that a command's data ends at; then how far behind the data.
bool check_buffer_is_guard(const struct check_buffer *buffer, const void *address, long *distance);

#endif
