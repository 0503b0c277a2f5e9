// SPDX-License-Identifier: Apache-2.0
// Commands: what the handler is shown, how it is called, and how it ends them.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine.h"

pthread_mutex_t check_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t check_changed = PTHREAD_COND_INITIALIZER;
struct check_command check_commands[CHECK_COMMAND_LIMIT];

// The record that was given out last: the next search begins behind it, so that ended records rest for a while and a
// late second completion is seen as one.
static int last_made = -1;

static unsigned long incident_counts[CHECK_INCIDENT_COUNT];
static char incident_texts[CHECK_INCIDENT_COUNT][160];

const char *check_operation_name(enum check_operation operation) {
    switch (operation) {
    case CHECK_READ: return "read";
    case CHECK_WRITE: return "write";
    case CHECK_FLUSH: return "flush";
    case CHECK_UNMAP: return "unmap";
    case CHECK_WRITE_SAME: return "writesame";
    case CHECK_COMPARE_AND_WRITE: return "caw";
    case CHECK_CDB: return "handle_cmd";
    case CHECK_WRITE_ZEROES:
    case CHECK_WRITE_ZEROES_MAY_UNMAP: return "write_zeroes";
    }
    return "command";
}

void check_count_incident(enum check_incident incident, const struct check_command *command, int status) {
    if (incident_counts[incident]++ != 0) return;
    char *text = incident_texts[incident];
    size_t size = sizeof(incident_texts[incident]);
    if (command == NULL)
        snprintf(text, size, "a record that the host never gave out, with status %d", status);
    else
        snprintf(
            text, size, "%s of %llu bytes at byte %llu, with status %d", check_operation_name(command->operation),
            (unsigned long long)command->length, (unsigned long long)command->offset, status);
}

unsigned long check_incident_count(enum check_incident incident) {
    pthread_mutex_lock(&check_lock);
    unsigned long count = incident_counts[incident];
    pthread_mutex_unlock(&check_lock);
    return count;
}

void check_incident_text(enum check_incident incident, char *text, size_t size) {
    pthread_mutex_lock(&check_lock);
    snprintf(text, size, "%s", incident_texts[incident]);
    pthread_mutex_unlock(&check_lock);
}

static struct check_command *take_record(void) {
    for (int tried = 0; tried < CHECK_COMMAND_LIMIT; tried++) {
        last_made = (last_made + 1) % CHECK_COMMAND_LIMIT;
        if (check_commands[last_made].phase == CHECK_FREE) return &check_commands[last_made];
    }
    return NULL;
}

int check_command_make(
    int device, enum check_operation operation, uint64_t offset, uint64_t length, size_t data_byte_count,
    enum check_memory memory, size_t piece_count, size_t piece_multiple) {
    pthread_mutex_lock(&check_lock);
    struct check_command *self = take_record();
    if (self != NULL) self->phase = CHECK_MADE;
    pthread_mutex_unlock(&check_lock);
    if (self == NULL) return -1;

    if (!check_buffer_make(&self->buffer, data_byte_count, memory)) {
        self->phase = CHECK_FREE;
        return -1;
    }
    self->device = device;
    self->operation = operation;
    self->offset = offset;
    self->length = length;
    self->data_byte_count = data_byte_count;
    self->is_completed = false;
    self->status = 0;
    memset(self->cdb, 0, sizeof(self->cdb));

    size_t pieces = data_byte_count == 0 ? 0 : piece_count;
    size_t each = pieces == 0 ? 0 : data_byte_count / pieces / piece_multiple * piece_multiple;
    for (size_t index = 0; index < pieces; index++) {
        bool is_last = index + 1 == pieces;
        self->vector[index].iov_base = self->buffer.data + index * each;
        self->vector[index].iov_len = is_last ? data_byte_count - index * each : each;
    }
    self->piece_count = pieces;

    memset(&self->library, 0, sizeof(self->library));
    self->library.cmd_id = (uint16_t)(self - check_commands);
    self->library.cdb = self->cdb;
    self->library.iovec = self->vector;
    self->library.iov_cnt = pieces;
    memset(&self->command, 0, sizeof(self->command));
    self->command.lib_cmd = &self->library;
    self->command.iovec = self->vector;
    self->command.iov_cnt = pieces;
    self->command.requested = data_byte_count;
    self->command.done = check_completed;
    return (int)(self - check_commands);
}

void check_command_set_cdb(int command, const uint8_t *cdb, size_t byte_count) {
    memcpy(check_commands[command].cdb, cdb, byte_count < 32 ? byte_count : 32);
}

void check_command_set_data(int command, const uint8_t *bytes, size_t byte_count) {
    memcpy(check_commands[command].buffer.data, bytes, byte_count);
}

void check_command_get_data(int command, uint8_t *bytes, size_t byte_count) {
    memcpy(bytes, check_commands[command].buffer.data, byte_count);
}

void check_command_fill(int command, uint8_t value) {
    struct check_command *self = &check_commands[command];
    if (self->data_byte_count != 0) memset(self->buffer.data, value, self->data_byte_count);
}

static bool return_decides(const struct check_command *self) {
    bool takes_only_cdbs =
        check_handler.read == NULL && check_handler.write == NULL && check_handler.flush == NULL;
    return check_handler.nr_threads > 0 && (self->operation != CHECK_CDB || takes_only_cdbs);
}

void check_commands_start(const int *commands, size_t count) {
    for (size_t index = 0; index < count; index++) {
        struct check_command *self = &check_commands[commands[index]];
        if (self->operation == CHECK_WRITE || self->operation == CHECK_WRITE_SAME ||
            self->operation == CHECK_COMPARE_AND_WRITE)
            check_buffer_watch_source(&self->buffer);
    }
    pthread_mutex_lock(&check_lock);
    for (size_t index = 0; index < count; index++) {
        struct check_command *self = &check_commands[commands[index]];
        struct check_device *device = &check_devices[self->device];
        self->phase = CHECK_STARTED;
        self->return_decides = return_decides(self);
        self->next = NULL;
        if (device->last != NULL) device->last->next = self;
        else device->first = self;
        device->last = self;
    }
    pthread_cond_broadcast(&check_changed);
    pthread_mutex_unlock(&check_lock);
}

void check_command_start(int command) { check_commands_start(&command, 1); }

static int call(struct tcmu_device *dev, struct check_command *self) {
    struct tcmur_cmd *cmd = &self->command;
    switch (self->operation) {
    case CHECK_READ:
        return check_handler.read(dev, cmd, self->vector, self->piece_count, self->data_byte_count, (off_t)self->offset);
    case CHECK_WRITE:
        return check_handler.write(
            dev, cmd, self->vector, self->piece_count, self->data_byte_count, (off_t)self->offset);
    case CHECK_FLUSH: return check_handler.flush(dev, cmd);
    case CHECK_UNMAP: return check_handler.unmap(dev, cmd, self->offset, self->length);
    case CHECK_WRITE_SAME:
        return check_handler.writesame(dev, cmd, self->offset, self->length, self->vector, self->piece_count);
    case CHECK_COMPARE_AND_WRITE:
        return check_handler.caw(dev, cmd, self->offset, self->length, self->vector, self->piece_count);
    case CHECK_CDB: return check_handler.handle_cmd(dev, cmd);
    case CHECK_WRITE_ZEROES: return check_extension.write_zeroes(dev, cmd, self->offset, self->length, 0);
    case CHECK_WRITE_ZEROES_MAY_UNMAP:
        return check_extension.write_zeroes(
            dev, cmd, self->offset, self->length, MARTLET_WRITE_ZEROES_MAY_UNMAP);
    }
    return TCMU_STS_INVALID_CMD;
}

// With the lock held.
static void end(struct check_command *self, int status) {
    self->status = status;
    self->is_completed = true;
    self->phase = CHECK_ENDED;
    pthread_cond_broadcast(&check_changed);
}

static void perform(struct check_device *device, struct check_command *self) {
    self->is_in_callout = true;
    pthread_mutex_unlock(&check_lock);
    int returned = call(device->host_device, self);
    pthread_mutex_lock(&check_lock);
    self->is_in_callout = false;
    int taken = self->operation == CHECK_CDB ? TCMU_STS_ASYNC_HANDLED : TCMU_STS_OK;
    if (self->return_decides || returned != taken) {
        if (self->is_completed) check_count_incident(CHECK_COMPLETED_AND_FAILED, self, returned);
        else end(self, returned);
    }
    pthread_cond_broadcast(&check_changed);
}

void *check_work(void *argument) {
    struct check_device *device = argument;
    bool has_queued = false;
    pthread_mutex_lock(&check_lock);
    while (true) {
        struct check_command *self = device->first;
        if (self == NULL) {
            // Whoever queued something starts it, before it waits.
            if (has_queued && device->batch_descriptor >= 0) {
                pthread_mutex_unlock(&check_lock);
                check_extension.submit(device->host_device);
                pthread_mutex_lock(&check_lock);
                has_queued = false;
                continue;
            }
            if (device->is_stopping) break;
            pthread_cond_wait(&check_changed, &check_lock);
            continue;
        }
        device->first = self->next;
        if (device->first == NULL) device->last = NULL;
        has_queued = true;
        perform(device, self);
    }
    pthread_mutex_unlock(&check_lock);
    return NULL;
}

void check_completed(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status) {
    pthread_mutex_lock(&check_lock);
    struct check_command *self = (struct check_command *)(void *)cmd;
    bool is_ours = self >= check_commands && self < check_commands + CHECK_COMMAND_LIMIT &&
                   ((const char *)self - (const char *)check_commands) % sizeof(*self) == 0;
    if (!is_ours) {
        check_count_incident(CHECK_COMPLETED_NO_COMMAND, NULL, status);
    } else if (check_devices[self->device].is_closed) {
        check_count_incident(CHECK_COMPLETED_AFTER_CLOSE, self, status);
    } else if (self->phase != CHECK_STARTED) {
        check_count_incident(CHECK_COMPLETED_TWICE, self, status);
    } else if (self->return_decides) {
        check_count_incident(CHECK_COMPLETED_NOT_ITS_OWN, self, status);
    } else {
        if (dev != check_devices[self->device].host_device)
            check_count_incident(CHECK_COMPLETED_OTHER_DEVICE, self, status);
        end(self, status);
    }
    pthread_mutex_unlock(&check_lock);
}

void check_command_cancel(int command) {
    struct check_command *self = &check_commands[command];
    check_extension.cancel(check_devices[self->device].host_device, &self->command);
}

bool check_command_wait(int command, unsigned milliseconds) {
    struct check_command *self = &check_commands[command];
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += milliseconds / 1000;
    deadline.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    pthread_mutex_lock(&check_lock);
    int result = 0;
    while (self->phase != CHECK_ENDED && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&check_changed, &check_lock, &deadline);
    bool is_ended = self->phase == CHECK_ENDED;
    pthread_mutex_unlock(&check_lock);
    return is_ended;
}

int check_command_status(int command) { return check_commands[command].status; }

bool check_command_is_in_callout(int command) {
    pthread_mutex_lock(&check_lock);
    bool is_in_callout = check_commands[command].is_in_callout;
    pthread_mutex_unlock(&check_lock);
    return is_in_callout;
}

void check_command_get_sense(int command, uint8_t *bytes, size_t byte_count) {
    memcpy(bytes, check_commands[command].library.sense_buf, byte_count < SENSE_BUFFERSIZE ? byte_count : 96);
}

long check_command_damage(int command, long *first_offset) {
    return check_buffer_damage(&check_commands[command].buffer, first_offset);
}

void check_command_release(int command) {
    struct check_command *self = &check_commands[command];
    pthread_mutex_lock(&check_lock);
    // A completion may come before the callout returns: until then the memory is the handler's to look at.
    while (self->is_in_callout) pthread_cond_wait(&check_changed, &check_lock);
    pthread_mutex_unlock(&check_lock);
    check_buffer_free(&self->buffer);
    pthread_mutex_lock(&check_lock);
    self->phase = CHECK_FREE;
    pthread_mutex_unlock(&check_lock);
}
