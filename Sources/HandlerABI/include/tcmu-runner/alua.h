/* SPDX-License-Identifier: Apache-2.0 */
/* A target port group as the kernel has it. This host gives handlers none. */
#ifndef __TCMU_ALUA_H
#define __TCMU_ALUA_H

#include <stdbool.h>
#include <stdint.h>

#include "ccan/list/list.h"

struct tcmu_device;

struct alua_grp {
    /* ALUA_ACCESS_STATE_*, ALUA_SUP_*, TPGS_ALUA_*, ALUA_STAT_*. */
    uint8_t state;
    uint8_t supported_states;
    uint8_t tpgs;
    uint8_t status;
    uint8_t implicit_trans_secs;
    bool pref;
    uint16_t id;
    char *name;
    unsigned nonop_delay_msecs;
    unsigned trans_delay_msecs;
    struct tcmu_device *dev;
    uint8_t num_tgt_ports;
    struct list_node entry;
    struct list_head tgt_ports;
};

#endif
