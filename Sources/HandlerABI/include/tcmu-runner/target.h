/* SPDX-License-Identifier: Apache-2.0 */
/* A target port as the kernel has it. This host gives handlers none: the functions that take one take NULL, too. */
#ifndef __TCMU_TARGET_H
#define __TCMU_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "ccan/list/list.h"

struct alua_grp;

struct tgt_port {
    uint16_t rel_port_id;
    uint8_t proto_id;
    char *wwn;
    char *fabric;
    bool enabled;
    uint16_t tpgt;
    struct alua_grp *grp;
    struct list_node entry;
};

#endif
