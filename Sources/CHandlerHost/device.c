// SPDX-License-Identifier: Apache-2.0
// The life of a device, seen from the host.

#include "device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The blocks of the longest UNMAP that handlers of tcmu-runner are used to.
static const uint32_t default_max_unmap_len = VPD_MAX_UNMAP_LBA_COUNT;

// Copies a string with its NUL when it fits.
static bool copy_string(char *to, size_t size, const char *from) {
    size_t length = strnlen(from, size);
    if (length == size) return false;
    memcpy(to, from, length + 1);
    return true;
}

static bool is_power_of_two(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

struct tcmu_device *martlet_host_device_create(const struct martlet_host_device_configuration *configuration) {
    if (!is_power_of_two(configuration->block_byte_count)) {
        errno = EINVAL;
        return NULL;
    }
    struct tcmu_device *dev = calloc(1, sizeof(*dev));
    if (dev == NULL) return NULL;

    dev->configuration = *configuration;
    dev->has_serial = configuration->serial != NULL;
    if (!copy_string(dev->pristine_cfgstring, sizeof(dev->pristine_cfgstring), configuration->config_string) ||
        (dev->has_serial && !copy_string(dev->serial, sizeof(dev->serial), configuration->serial))) {
        free(dev);
        errno = ENAMETOOLONG;
        return NULL;
    }
    if (configuration->name != NULL) {
        memcpy(dev->name, configuration->name, strnlen(configuration->name, sizeof(dev->name) - 1));
    }
    dev->configuration.config_string = NULL;
    dev->configuration.name = NULL;
    dev->configuration.serial = NULL;

    martlet_host_device_set_attribute(dev, "hw_block_size", (int)configuration->block_byte_count);
    martlet_host_device_set_attribute(dev, "hw_max_sectors", (int)configuration->max_transfer_block_count);
    martlet_host_device_prepare_open(dev);
    return dev;
}

void martlet_host_device_destroy(struct tcmu_device *dev) { free(dev); }

void martlet_host_device_prepare_open(struct tcmu_device *dev) {
    const struct martlet_host_device_configuration *configured = &dev->configuration;
    uint32_t max_transfer = configured->max_transfer_block_count;

    memcpy(dev->cfgstring, dev->pristine_cfgstring, sizeof(dev->cfgstring));
    atomic_store(&dev->handler_private, NULL);
    runner_device_reset(dev);
    atomic_store(&dev->runner_private, (void *)dev->runner_device);

    atomic_store(&dev->byte_count, configured->byte_count);
    atomic_store(&dev->block_size, configured->block_byte_count);
    atomic_store(&dev->num_lbas, configured->byte_count / configured->block_byte_count);
    atomic_store(&dev->max_xfer_len, max_transfer);
    atomic_store(&dev->opt_xcopy_rw_len, max_transfer);
    atomic_store(&dev->max_unmap_len, default_max_unmap_len);
    atomic_store(&dev->opt_unmap_gran, max_transfer);
    atomic_store(&dev->split_unmaps, true);
    atomic_store(&dev->unmap_gran_align, 0);
    atomic_store(&dev->unmap_enabled, configured->unmap_enabled);
    atomic_store(&dev->write_cache_enabled, configured->write_cache_enabled);
    atomic_store(&dev->solid_state_media, configured->solid_state_media);
    atomic_store(&dev->write_protect_enabled, configured->write_protect_enabled);
}

const char *martlet_host_device_config_string(const struct tcmu_device *dev) { return dev->pristine_cfgstring; }

void martlet_host_device_set_context(struct tcmu_device *dev, void *context) {
    atomic_store_explicit(&dev->context, context, memory_order_release);
}

void *martlet_host_device_context(const struct tcmu_device *dev) {
    return atomic_load_explicit(&dev->context, memory_order_acquire);
}

int martlet_host_device_set_attribute(struct tcmu_device *dev, const char *name, int value) {
    size_t index = 0;
    while (index < dev->attribute_count && strcmp(dev->attributes[index].name, name) != 0) index++;
    if (index == dev->attribute_count) {
        if (index == ATTRIBUTE_LIMIT) return -ENOSPC;
        if (!copy_string(dev->attributes[index].name, ATTRIBUTE_NAME_SIZE, name)) return -ENAMETOOLONG;
        dev->attribute_count++;
    }
    dev->attributes[index].value = value;
    return 0;
}

int device_set_byte_count(struct tcmu_device *dev, uint64_t byte_count) {
    uint64_t block_count = byte_count / atomic_load(&dev->block_size);
    if (block_count == 0) return -EINVAL;
    atomic_store(&dev->byte_count, byte_count);
    atomic_store(&dev->num_lbas, block_count);
    return 0;
}

int martlet_host_device_set_byte_count(struct tcmu_device *dev, uint64_t byte_count) {
    int result = device_set_byte_count(dev, byte_count);
    // A later reopen must find the new size, not the first one.
    if (result == 0) dev->configuration.byte_count = byte_count;
    return result;
}

struct martlet_host_device_attributes martlet_host_device_attributes(const struct tcmu_device *dev) {
    return (struct martlet_host_device_attributes){
        .block_count = atomic_load(&dev->num_lbas),
        .block_byte_count = atomic_load(&dev->block_size),
        .max_transfer_length = atomic_load(&dev->max_xfer_len),
        .optimal_xcopy_length = atomic_load(&dev->opt_xcopy_rw_len),
        .max_unmap_length = atomic_load(&dev->max_unmap_len),
        .optimal_unmap_granularity = atomic_load(&dev->opt_unmap_gran),
        .unmap_granularity_alignment = atomic_load(&dev->unmap_gran_align),
        .split_unmaps = atomic_load(&dev->split_unmaps),
        .unmap_enabled = atomic_load(&dev->unmap_enabled),
        .write_cache_enabled = atomic_load(&dev->write_cache_enabled),
        .solid_state_media = atomic_load(&dev->solid_state_media),
        .write_protect_enabled = atomic_load(&dev->write_protect_enabled),
    };
}
