/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For handlers that answer CDBs themselves.
 *
 * tcmu_emulate_* and char_to_hex are not the host's: a handler that calls them compiles tcmu-runner's scsi.c into
 * itself. Functions of the host by these names would take the place of the handler's own, so it has none, and refuses
 * to load a handler that lacks them.
 */
#ifndef __TCMU_SCSI_H
#define __TCMU_SCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "libtcmu_common.h"
#include "scsi_defs.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VPD_MAX_UNMAP_LBA_COUNT (32 * 1024 * 1024)
#define VPD_MAX_UNMAP_BLOCK_DESC_COUNT 0x04
#define VPD_MAX_WRITE_SAME_LENGTH 0xFFFFFFFF
/* Blocks of one COMPARE AND WRITE. */
#define MAX_CAW_LENGTH 0x01

struct tgt_port;

/* The value of a hexadecimal digit; false where it is none. */
bool char_to_hex(unsigned char *val, char c);

/* Each answers its command and returns TCMU_STS_*. port: NULL, or one whose group INQUIRY is to tell. */
int tcmu_emulate_inquiry(
    struct tcmu_device *dev, struct tgt_port *port, uint8_t *cdb, struct iovec *iovec, size_t iov_cnt);
int tcmu_emulate_start_stop(struct tcmu_device *dev, uint8_t *cdb);
int tcmu_emulate_test_unit_ready(uint8_t *cdb, struct iovec *iovec, size_t iov_cnt);
int tcmu_emulate_read_capacity_10(
    uint64_t num_lbas, uint32_t block_size, uint8_t *cdb, struct iovec *iovec, size_t iov_cnt);
int tcmu_emulate_read_capacity_16(
    uint64_t num_lbas, uint32_t block_size, uint8_t *cdb, struct iovec *iovec, size_t iov_cnt);
int tcmu_emulate_mode_sense(struct tcmu_device *dev, uint8_t *cdb, struct iovec *iovec, size_t iov_cnt);
int tcmu_emulate_mode_select(struct tcmu_device *dev, uint8_t *cdb, struct iovec *iovec, size_t iov_cnt);

#ifdef __cplusplus
}
#endif

#endif
