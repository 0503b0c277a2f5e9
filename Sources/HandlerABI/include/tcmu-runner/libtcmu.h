/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes of configuration that a handler's reconfig callout is told of.
 *
 * tcmu-runner's header of this name also declares the tcmulib_* functions, with which a daemon drives the kernel's
 * ring. They are no part of what a handler may use, and the host does not offer them.
 */
#ifndef __LIBTCMU_H
#define __LIBTCMU_H

#include <stdbool.h>
#include <stdint.h>

#include "libtcmu_common.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tcmulib_cfg_type {
    TCMULIB_CFG_DEV_CFGSTR = 0,
    TCMULIB_CFG_DEV_SIZE = 1,
    TCMULIB_CFG_WRITE_CACHE = 2
};

struct tcmulib_cfg_info {
    enum tcmulib_cfg_type type;
    union {
        /* Bytes. */
        uint64_t dev_size;
        char *dev_cfgstring;
        bool write_cache;
    } data;
};

#ifdef __cplusplus
}
#endif

#endif
