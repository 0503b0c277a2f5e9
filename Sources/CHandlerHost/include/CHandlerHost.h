// SPDX-License-Identifier: Apache-2.0
// The host's side of tcmu-runner.h: what stands behind the symbols that handlers import.
//
// The functions of tcmu-runner.h and libtcmu_common.h are defined in this target and exported from the executable by
// exports.list. What they cannot decide in C goes to the hooks below. Nothing of this header is exported.
#ifndef MARTLET_CHANDLERHOST_H
#define MARTLET_CHANDLERHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcmu-runner/tcmu-runner.h"

// Bytes of a configuration string with its NUL, as in tcmu-runner.
#define MARTLET_HOST_CONFIG_STRING_SIZE 4096
// Bytes of a unit serial number with its NUL.
#define MARTLET_HOST_SERIAL_SIZE 256
// Bytes of a device's short name with its NUL: what a thread's name has room for beside a prefix.
#define MARTLET_HOST_DEVICE_NAME_SIZE TCMU_THREAD_NAME_LEN

// What handlers' calls turn into. Every hook may be called from any thread and must not wait for a handler.
struct martlet_host_hooks {
    // What tcmur_register_handler returns. Called in the thread that called handler_init.
    int (*register_handler)(struct tcmur_handler *handler);
    bool (*unregister_handler)(struct tcmur_handler *handler);
    // severity: TCMU_LOG_*; dev may be NULL; message has no line feed and lives as long as the call.
    void (*log)(int severity, struct tcmu_device *dev, const char *message);
    // A handler has set a new size, which the getters already answer. Also called inside open.
    void (*size_changed)(struct tcmu_device *dev, uint64_t byte_count);
    void (*event)(struct tcmu_device *dev, enum tcmur_event event);
};

// Once, before the first handler is loaded. Without hooks nothing registers and nothing is logged.
void martlet_host_install_hooks(const struct martlet_host_hooks *hooks);

// For tcmu_make_absolute_logfile; "/var/log" until set. 0, or -ENAMETOOLONG.
int martlet_host_set_log_folder(const char *path);

// What a device is before a handler opens it. Strings are copied.
struct martlet_host_device_configuration {
    // "subtype/rest".
    const char *config_string;
    // Cut to MARTLET_HOST_DEVICE_NAME_SIZE - 1 bytes; appears in thread names.
    const char *name;
    // Unit serial number; NULL: none.
    const char *serial;
    // Bytes of the medium ("Size"); 0 when not known.
    uint64_t byte_count;
    // A power of two.
    uint32_t block_byte_count;
    uint32_t max_transfer_block_count;
    // The handler has an unmap callout.
    bool unmap_enabled;
    bool write_cache_enabled;
    bool solid_state_media;
    bool write_protect_enabled;
};

// NULL with errno: EINVAL (block size), ENAMETOOLONG (a string), ENOMEM.
struct tcmu_device *martlet_host_device_create(const struct martlet_host_device_configuration *configuration);
// No command is under way, and no handler will use the device again.
void martlet_host_device_destroy(struct tcmu_device *dev);

// Before each open: gives back the configuration string as it was first given, and every attribute as configured, and
// clears the handler's pointer.
void martlet_host_device_prepare_open(struct tcmu_device *dev);

// The configuration string as it was first given, whatever the handler did to its copy.
const char *martlet_host_device_config_string(const struct tcmu_device *dev);

// The host's own pointer for the device; NULL at first.
void martlet_host_device_set_context(struct tcmu_device *dev, void *context);
void *martlet_host_device_context(const struct tcmu_device *dev);

// Sets what tcmu_cfgfs_dev_get_attr_int answers for name. Before open only. 0, or -ENAMETOOLONG, -ENOSPC.
// "hw_block_size" and "hw_max_sectors" are there from the start.
int martlet_host_device_set_attribute(struct tcmu_device *dev, const char *name, int value);

// What "Size" answers and the block count that follows from it: the host resizes the device. 0 or -EINVAL.
// Unlike tcmur_dev_update_size it calls no hook.
int martlet_host_device_set_byte_count(struct tcmu_device *dev, uint64_t byte_count);

// The attributes as they are now: read after open, and again when they may have changed.
struct martlet_host_device_attributes {
    uint64_t block_count;
    uint32_t block_byte_count;
    // Blocks, all of these.
    uint32_t max_transfer_length;
    uint32_t optimal_xcopy_length;
    uint32_t max_unmap_length;
    uint32_t optimal_unmap_granularity;
    uint32_t unmap_granularity_alignment;
    bool split_unmaps;
    bool unmap_enabled;
    bool write_cache_enabled;
    bool solid_state_media;
    bool write_protect_enabled;
};
struct martlet_host_device_attributes martlet_host_device_attributes(const struct tcmu_device *dev);

#endif
