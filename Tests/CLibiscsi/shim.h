// SPDX-License-Identifier: Apache-2.0
// libiscsi, the initiator library that the interoperability tests drive the server with.
#ifndef MARTLET_TESTS_CLIBISCSI_SHIM_H
#define MARTLET_TESTS_CLIBISCSI_SHIM_H

#include <stdint.h>
#include <sys/types.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#endif
