// SPDX-License-Identifier: Apache-2.0
// Devices of the handler under test, and the threads that call it.

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"

struct tcmur_handler check_handler;
struct martlet_handler_extension check_extension;
struct check_device check_devices[CHECK_DEVICE_LIMIT];

void check_use_handler(const struct tcmur_handler *handler, const struct martlet_handler_extension *extension) {
    check_handler = *handler;
    check_extension = *extension;
}

int check_device_create(int device, const char *config_string, const struct check_device_shape *shape) {
    struct check_device *self = &check_devices[device];
    struct martlet_host_device_configuration configuration = {
        .config_string = config_string,
        .name = check_handler.subtype,
        .serial = "martlet-check",
        .byte_count = shape->byte_count,
        .block_byte_count = shape->block_byte_count,
        .max_transfer_block_count = shape->max_transfer_block_count,
        .unmap_enabled = check_handler.unmap != NULL,
        .write_cache_enabled = shape->write_cache_enabled,
        .write_protect_enabled = shape->write_protect_enabled,
    };
    if (self->host_device != NULL) martlet_host_device_destroy(self->host_device);
    self->host_device = martlet_host_device_create(&configuration);
    return self->host_device == NULL ? errno : 0;
}

static bool takes_batches(void) {
    return check_handler.nr_threads == 0 && (check_extension.flags & MARTLET_HANDLER_NEVER_BLOCKS) != 0 &&
           check_extension.completion_descriptor != NULL && check_extension.submit != NULL &&
           check_extension.reap != NULL;
}

static void *reap(void *argument) {
    struct check_device *self = argument;
    struct pollfd polled[2] = {
        {.fd = self->batch_descriptor, .events = POLLIN},
        {.fd = self->stop_descriptor, .events = POLLIN},
    };
    while (true) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR) return NULL;
        if ((polled[0].revents & POLLIN) != 0) check_extension.reap(self->host_device);
        if ((polled[1].revents & POLLIN) != 0) return NULL;
    }
}

// So many threads as the host would have.
static int wanted_thread_count(void) {
    if (check_handler.nr_threads > 0) return check_handler.nr_threads < 1024 ? check_handler.nr_threads : 1024;
    return (check_extension.flags & MARTLET_HANDLER_NEVER_BLOCKS) != 0 ? 2 : 1;
}

int check_device_open(int device, bool reopen) {
    struct check_device *self = &check_devices[device];
    martlet_host_device_prepare_open(self->host_device);
    pthread_mutex_lock(&check_lock);
    self->is_stopping = false;
    self->is_closed = false;
    pthread_mutex_unlock(&check_lock);
    self->batch_descriptor = -1;
    int result = check_handler.open(self->host_device, reopen);
    if (result != 0) return result;
    self->is_open = true;
    if (takes_batches()) {
        int descriptor = check_extension.completion_descriptor(self->host_device);
        if (descriptor >= 0) {
            self->batch_descriptor = descriptor;
            self->stop_descriptor = eventfd(0, EFD_CLOEXEC);
            pthread_create(&self->reaper, NULL, reap, self);
        }
    }
    self->thread_count = 0;
    while (self->thread_count < wanted_thread_count() &&
           pthread_create(&self->threads[self->thread_count], NULL, check_work, self) == 0)
        self->thread_count++;
    return 0;
}

void check_device_close(int device) {
    struct check_device *self = &check_devices[device];
    if (!self->is_open) return;
    pthread_mutex_lock(&check_lock);
    self->is_stopping = true;
    pthread_cond_broadcast(&check_changed);
    pthread_mutex_unlock(&check_lock);
    for (int index = 0; index < self->thread_count; index++) pthread_join(self->threads[index], NULL);
    self->thread_count = 0;
    if (self->batch_descriptor >= 0) {
        uint64_t one = 1;
        if (write(self->stop_descriptor, &one, sizeof(one)) < 0) abort();
        pthread_join(self->reaper, NULL);
        close(self->stop_descriptor);
        self->batch_descriptor = -1;
    }
    self->is_open = false;
    check_handler.close(self->host_device);
    pthread_mutex_lock(&check_lock);
    self->is_closed = true;
    pthread_mutex_unlock(&check_lock);
}

struct check_attributes check_device_attributes(int device) {
    struct martlet_host_device_attributes from =
        martlet_host_device_attributes(check_devices[device].host_device);
    return (struct check_attributes){
        .block_count = from.block_count,
        .block_byte_count = from.block_byte_count,
        .max_transfer_length = from.max_transfer_length,
        .max_unmap_length = from.max_unmap_length,
        .optimal_unmap_granularity = from.optimal_unmap_granularity,
        .unmap_granularity_alignment = from.unmap_granularity_alignment,
        .unmap_enabled = from.unmap_enabled,
        .write_cache_enabled = from.write_cache_enabled,
    };
}

bool check_device_has_batches(int device) { return check_devices[device].batch_descriptor >= 0; }

int check_device_resize(int device, uint64_t byte_count) {
    struct tcmulib_cfg_info change = {.type = TCMULIB_CFG_DEV_SIZE};
    change.data.dev_size = byte_count;
    return check_handler.reconfig(check_devices[device].host_device, &change);
}

int check_device_set_size(int device, uint64_t byte_count) {
    return martlet_host_device_set_byte_count(check_devices[device].host_device, byte_count);
}

int check_device_reconfigure(int device, int type) {
    struct tcmulib_cfg_info change;
    memset(&change, 0, sizeof(change));
    // Written as a number: the point is that no enumerator names it.
    memcpy(&change.type, &type, sizeof(type));
    return check_handler.reconfig(check_devices[device].host_device, &change);
}

int check_device_block_status(
    int device, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    return check_extension.block_status(check_devices[device].host_device, offset, length, extents, capacity);
}

int check_device_health(int device, struct martlet_health *answer) {
    memset(answer, 0, sizeof(*answer));
    answer->size = sizeof(*answer);
    return check_extension.health(check_devices[device].host_device, answer);
}

const void *check_device_map_read(int device, uint64_t offset, uint64_t length) {
    return check_extension.map_read(check_devices[device].host_device, offset, length);
}

int check_config_string(const char *config_string, char *reason, size_t reason_size) {
    reason[0] = '\0';
    if (check_handler.check_config == NULL) return -1;
    char *words = NULL;
    bool is_fine = check_handler.check_config(config_string, &words);
    if (words != NULL) {
        strncpy(reason, words, reason_size - 1);
        reason[reason_size - 1] = '\0';
        // By contract from malloc: free tells if it is not.
        free(words);
    }
    return is_fine ? 1 : 0;
}
