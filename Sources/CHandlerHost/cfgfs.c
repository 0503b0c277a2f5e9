// SPDX-License-Identifier: Apache-2.0
// What handlers ask the kernel's configuration file system for, answered from the device's configuration.

#include "device.h"

#include <errno.h>
#include <string.h>

uint64_t tcmu_cfgfs_dev_get_info_u64(struct tcmu_device *dev, const char *name, int *fn_ret) {
    bool is_size = name != NULL && strcmp(name, "Size") == 0;
    if (fn_ret != NULL) *fn_ret = is_size ? 0 : -EINVAL;
    return is_size ? atomic_load(&dev->byte_count) : 0;
}

int tcmu_cfgfs_dev_get_attr_int(struct tcmu_device *dev, const char *name) {
    if (name == NULL) return -EINVAL;
    for (size_t index = 0; index < dev->attribute_count; index++) {
        if (strcmp(dev->attributes[index].name, name) == 0) return dev->attributes[index].value;
    }
    return -ENOENT;
}

char *tcmu_cfgfs_dev_get_wwn(struct tcmu_device *dev) { return dev->has_serial ? strdup(dev->serial) : NULL; }

int tcmu_cfgfs_dev_set_ctrl_u64(struct tcmu_device *dev, const char *key, uint64_t val) {
    if (key == NULL || strcmp(key, "dev_size") != 0) return -ENOENT;
    return tcmur_dev_update_size(dev, val);
}

// "block_dev" and "reset_ring" are about the kernel's ring: there is nothing to do.
int tcmu_cfgfs_dev_exec_action(struct tcmu_device *dev, const char *name, uint32_t val) {
    (void)dev, (void)name, (void)val;
    return 0;
}

// Handlers take -ENOENT for a kernel that lacks the file, and carry on.

char *tcmu_cfgfs_get_str(const char *path) {
    (void)path;
    return NULL;
}

int tcmu_cfgfs_set_str(const char *path, const char *val, int val_len) {
    (void)path, (void)val, (void)val_len;
    return -ENOENT;
}

int tcmu_cfgfs_get_int(const char *path) {
    (void)path;
    return -ENOENT;
}

int tcmu_cfgfs_set_u32(const char *path, uint32_t val) {
    (void)path, (void)val;
    return -ENOENT;
}

int tcmu_cfgfs_mod_param_set_u32(const char *name, uint32_t val) {
    (void)name, (void)val;
    return -ENOENT;
}
