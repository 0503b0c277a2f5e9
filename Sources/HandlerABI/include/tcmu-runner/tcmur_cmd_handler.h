/* SPDX-License-Identifier: Apache-2.0 */
/* A new size for an open device. The rest of what tcmu-runner declares here is the host's own business. */
#ifndef __TCMUR_CMD_HANDLER_H
#define __TCMUR_CMD_HANDLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tcmu_device;
struct tcmulib_cmd;
struct tcmur_cmd;

/* The medium now has new_size bytes: initiators are told. 0 or -errno. */
int tcmur_dev_update_size(struct tcmu_device *dev, uint64_t new_size);

/* The signatures of two callouts of struct tcmur_handler. */
typedef int (*tcmur_writesame_fn_t)(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t off, uint64_t len, struct iovec *iov, size_t iov_cnt);
typedef int (*tcmur_caw_fn_t)(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t off, uint64_t len, struct iovec *iov, size_t iov_cnt);

#ifdef __cplusplus
}
#endif

#endif
