// SPDX-License-Identifier: Apache-2.0
// The getters and setters of a device that handlers import.

#include "device.h"

#include <errno.h>
#include <stdint.h>

#define ATTRIBUTE(type, name)                                                                 \
    type tcmu_dev_get_##name(struct tcmu_device *dev) {                                       \
        return atomic_load_explicit(&dev->name, memory_order_relaxed);                        \
    }                                                                                         \
    void tcmu_dev_set_##name(struct tcmu_device *dev, type value) {                           \
        atomic_store_explicit(&dev->name, value, memory_order_relaxed);                       \
    }

ATTRIBUTE(uint64_t, num_lbas)
ATTRIBUTE(uint32_t, max_xfer_len)
ATTRIBUTE(uint32_t, opt_xcopy_rw_len)
ATTRIBUTE(uint32_t, max_unmap_len)
ATTRIBUTE(uint32_t, unmap_gran_align)
ATTRIBUTE(bool, unmap_enabled)
ATTRIBUTE(bool, write_cache_enabled)
ATTRIBUTE(bool, solid_state_media)
ATTRIBUTE(bool, write_protect_enabled)

uint32_t tcmu_dev_get_opt_unmap_gran(struct tcmu_device *dev) { return atomic_load(&dev->opt_unmap_gran); }

void tcmu_dev_set_opt_unmap_gran(struct tcmu_device *dev, uint32_t len, bool split) {
    atomic_store(&dev->opt_unmap_gran, len);
    atomic_store(&dev->split_unmaps, split);
}

uint32_t tcmu_dev_get_block_size(struct tcmu_device *dev) { return atomic_load(&dev->block_size); }

void tcmu_dev_set_block_size(struct tcmu_device *dev, uint32_t block_size) {
    // 0 would divide; the host checks the rest after open.
    if (block_size != 0) atomic_store(&dev->block_size, block_size);
}

uint64_t tcmu_lba_to_byte(struct tcmu_device *dev, uint64_t lba) {
    uint64_t byte;
    return __builtin_mul_overflow(lba, (uint64_t)atomic_load(&dev->block_size), &byte) ? UINT64_MAX : byte;
}

uint64_t tcmu_byte_to_lba(struct tcmu_device *dev, uint64_t byte) { return byte / atomic_load(&dev->block_size); }

char *tcmu_dev_get_cfgstring(struct tcmu_device *dev) { return dev->cfgstring; }

const char *tcmu_dev_get_uio_name(struct tcmu_device *dev) { return dev->name; }

void *tcmu_dev_get_private(struct tcmu_device *dev) { return atomic_load(&dev->runner_private); }

void tcmu_dev_set_private(struct tcmu_device *dev, void *private_data) {
    atomic_store(&dev->runner_private, private_data);
}

void *tcmur_dev_get_private(struct tcmu_device *dev) {
    return atomic_load_explicit(&dev->handler_private, memory_order_acquire);
}

void tcmur_dev_set_private(struct tcmu_device *dev, void *private_data) {
    atomic_store_explicit(&dev->handler_private, private_data, memory_order_release);
}

int tcmur_dev_update_size(struct tcmu_device *dev, uint64_t new_size) {
    int result = device_set_byte_count(dev, new_size);
    if (result == 0 && host_hooks()->size_changed != NULL) host_hooks()->size_changed(dev, new_size);
    return result;
}

// Of the kernel's ring: there is none.

int tcmu_dev_get_fd(struct tcmu_device *dev) {
    (void)dev;
    return -1;
}

char *tcmu_dev_get_memory_info(struct tcmu_device *dev, void **base, size_t *len, off_t *offset) {
    (void)dev;
    if (base != NULL) *base = NULL;
    if (len != NULL) *len = 0;
    if (offset != NULL) *offset = 0;
    return NULL;
}

struct tcmulib_handler *tcmu_dev_get_handler(struct tcmu_device *dev) {
    (void)dev;
    return NULL;
}

void tcmu_dev_flush_ring(struct tcmu_device *dev) { (void)dev; }

bool tcmu_dev_oooc_supported(struct tcmu_device *dev) {
    (void)dev;
    return true;
}
