// SPDX-License-Identifier: Apache-2.0
// What a struct tcmu_device holds. Handlers see it as opaque.
//
// Attributes are atomics, because handlers may set them, and initiators' commands read them, at any time. They are
// independent of each other: relaxed order is enough. The exception is the handler's pointer, which publishes what it
// points to.
#ifndef MARTLET_DEVICE_H
#define MARTLET_DEVICE_H

#include <stdatomic.h>

#include "CHandlerHost.h"

// Attributes that a device can be asked for by name.
#define ATTRIBUTE_LIMIT 16
#define ATTRIBUTE_NAME_SIZE 32

// Bytes of the larger of the two layouts of tcmu-runner's own struct tcmur_device.
#define RUNNER_DEVICE_SIZE 424

struct device_attribute {
    char name[ATTRIBUTE_NAME_SIZE];
    int value;
};

struct tcmu_device {
    // The handler's pointer, read for each command.
    _Atomic(void *) handler_private;
    _Atomic(void *) context;
    // What tcmu_dev_get_private answers: the block below, unless a handler has set something else.
    _Atomic(void *) runner_private;

    atomic_uint_least64_t byte_count;
    atomic_uint_least64_t num_lbas;
    atomic_uint_least32_t block_size;
    atomic_uint_least32_t max_xfer_len;
    atomic_uint_least32_t opt_xcopy_rw_len;
    atomic_uint_least32_t max_unmap_len;
    atomic_uint_least32_t opt_unmap_gran;
    atomic_uint_least32_t unmap_gran_align;
    atomic_bool split_unmaps;
    atomic_bool unmap_enabled;
    atomic_bool write_cache_enabled;
    atomic_bool solid_state_media;
    atomic_bool write_protect_enabled;

    // As configured; its strings are not kept here.
    struct martlet_host_device_configuration configuration;
    char name[MARTLET_HOST_DEVICE_NAME_SIZE];
    char serial[MARTLET_HOST_SERIAL_SIZE];
    bool has_serial;
    struct device_attribute attributes[ATTRIBUTE_LIMIT];
    size_t attribute_count;

    // Read by handlers that know tcmu-runner's struct tcmur_device (runner_device.c).
    _Alignas(16) unsigned char runner_device[RUNNER_DEVICE_SIZE];

    // The handler's copy, which it may change, and ours.
    char cfgstring[MARTLET_HOST_CONFIG_STRING_SIZE];
    char pristine_cfgstring[MARTLET_HOST_CONFIG_STRING_SIZE];
};

// Clears what handlers can see of tcmu-runner's record of the device.
void runner_device_reset(struct tcmu_device *dev);
// Counts an event in it.
void runner_device_count(struct tcmu_device *dev, enum tcmur_event event);

// Sets size and block count. 0, or -EINVAL for less than one block.
int device_set_byte_count(struct tcmu_device *dev, uint64_t byte_count);

// Installed hooks: never NULL, each of them may be.
const struct martlet_host_hooks *host_hooks(void);

#endif
