/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For handlers that answer CDBs themselves: the functions on CDBs, vectors and sense data.
 *
 * tcmu-runner's header of this name also declares tcmu_emulate_*, which a handler compiles in for itself; a host must
 * not offer functions of those names, or they would take the place of the handler's own.
 */
#ifndef __TCMU_SCSI_H
#define __TCMU_SCSI_H

#include "libtcmu_common.h"
#include "scsi_defs.h"

#endif
