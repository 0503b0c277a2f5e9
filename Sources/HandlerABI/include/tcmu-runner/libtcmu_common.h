/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What handlers and the host share: statuses, the command as the initiator sent it, and the functions that the host
 * exports to handlers. Names, values and layouts are those of tcmu-runner 1.5.4 to 1.6.2.
 */
#ifndef __LIBTCMU_COMMON_H
#define __LIBTCMU_COMMON_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One open device. Opaque: use the functions below. */
struct tcmu_device;
struct tcmulib_handler;
struct tgt_port;

/* How a callout, or tcmur_cmd_complete, says that a command ended. */
enum {
    /* handle_cmd only: the handler calls tcmur_cmd_complete, perhaps before it returns. */
    TCMU_STS_ASYNC_HANDLED = -2,
    /* handle_cmd only: the host emulates the command. */
    TCMU_STS_NOT_HANDLED = -1,
    TCMU_STS_OK = 0,
    TCMU_STS_NO_RESOURCE = 1,
    /* CHECK CONDITION with the sense data that the handler left in sense_buf. */
    TCMU_STS_PASSTHROUGH_ERR = 2,
    TCMU_STS_BUSY = 3,
    TCMU_STS_WR_ERR = 4,
    TCMU_STS_RD_ERR = 5,
    /* The offset of the difference is set before, with tcmu_sense_set_info. */
    TCMU_STS_MISCOMPARE = 6,
    TCMU_STS_INVALID_CMD = 7,
    TCMU_STS_INVALID_CDB = 8,
    TCMU_STS_INVALID_PARAM_LIST = 9,
    TCMU_STS_INVALID_PARAM_LIST_LEN = 10,
    TCMU_STS_TIMEOUT = 11,
    TCMU_STS_FENCED = 12,
    TCMU_STS_HW_ERR = 13,
    TCMU_STS_RANGE = 14,
    /* The progress is set before, with tcmu_sense_set_key_specific_info. */
    TCMU_STS_FRMT_IN_PROGRESS = 15,
    TCMU_STS_CAPACITY_CHANGED = 16,
    TCMU_STS_NOTSUPP_SAVE_PARAMS = 17,
    TCMU_STS_WR_ERR_INCOMPAT_FRMT = 18,
    TCMU_STS_TRANSITION = 19,
    TCMU_STS_IMPL_TRANSITION_ERR = 20,
    TCMU_STS_EXPL_TRANSITION_ERR = 21,
    TCMU_STS_NO_LOCK_HOLDERS = 22,
    TCMU_STS_NOTSUPP_SEG_DESC_TYPE = 23,
    TCMU_STS_NOTSUPP_TGT_DESC_TYPE = 24,
    TCMU_STS_CP_TGT_DEV_NOTCONN = 25,
    TCMU_STS_INVALID_CP_TGT_DEV_TYPE = 26,
    TCMU_STS_TOO_MANY_SEG_DESC = 27,
    TCMU_STS_TOO_MANY_TGT_DESC = 28
};

#define SENSE_BUFFERSIZE 96
#define TCMU_THREAD_NAME_LEN 16
#define TCMU_INVALID_LOCK_TAG USHRT_MAX

/* Where the kernel keeps its targets. A handler that looks there finds those of the kernel, not of this host. */
#define CFGFS_ROOT "/sys/kernel/config/target"
#define CFGFS_CORE CFGFS_ROOT "/core"
#define CFGFS_TARGET_MOD "/sys/module/target_core_user"
#define CFGFS_MOD_PARAM CFGFS_TARGET_MOD "/parameters"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
/* Each argument is evaluated once. C++ has functions of the first two names. */
#ifndef __cplusplus
#define max(a, b) \
    __extension__({ \
        __auto_type max_a_ = (a); \
        __auto_type max_b_ = (b); \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })
#define min(a, b) \
    __extension__({ \
        __auto_type min_a_ = (a); \
        __auto_type min_b_ = (b); \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#endif
#define round_up(value, multiple) \
    __extension__({ \
        __typeof__(multiple) round_up_by_ = (multiple); \
        (((value) + (round_up_by_ - 1)) / round_up_by_) * round_up_by_; \
    })
#define round_down(value, multiple) \
    __extension__({ \
        __typeof__(value) round_down_from_ = (value); \
        round_down_from_ - round_down_from_ % (multiple); \
    })

/* A SCSI command as it came. */
struct tcmulib_cmd {
    uint16_t cmd_id;
    uint8_t *cdb;
    /* The data: handlers may consume the elements, the host never looks at them again. */
    struct iovec *iovec;
    size_t iov_cnt;
    uint8_t sense_buf[SENSE_BUFFERSIZE];
    void *hm_private;
};

/* Attributes of a device. A handler sets them in open; reads are allowed at any time, from any thread. */

/* The host's own record of the device, not the handler's: use tcmur_dev_get_private. */
void *tcmu_dev_get_private(struct tcmu_device *dev);
void tcmu_dev_set_private(struct tcmu_device *dev, void *private_data);
/* "subtype/rest": the device's own copy, which the handler may change. */
char *tcmu_dev_get_cfgstring(struct tcmu_device *dev);
void tcmu_dev_set_num_lbas(struct tcmu_device *dev, uint64_t num_lbas);
uint64_t tcmu_dev_get_num_lbas(struct tcmu_device *dev);
/* Bytes, a power of two. */
void tcmu_dev_set_block_size(struct tcmu_device *dev, uint32_t block_size);
uint32_t tcmu_dev_get_block_size(struct tcmu_device *dev);
uint64_t tcmu_lba_to_byte(struct tcmu_device *dev, uint64_t lba);
uint64_t tcmu_byte_to_lba(struct tcmu_device *dev, uint64_t byte);
/* The lengths that follow are in blocks. */
void tcmu_dev_set_max_xfer_len(struct tcmu_device *dev, uint32_t len);
uint32_t tcmu_dev_get_max_xfer_len(struct tcmu_device *dev);
void tcmu_dev_set_opt_xcopy_rw_len(struct tcmu_device *dev, uint32_t len);
uint32_t tcmu_dev_get_opt_xcopy_rw_len(struct tcmu_device *dev);
void tcmu_dev_set_max_unmap_len(struct tcmu_device *dev, uint32_t len);
uint32_t tcmu_dev_get_max_unmap_len(struct tcmu_device *dev);
/* split: the host may cut an unmap at multiples of len. */
void tcmu_dev_set_opt_unmap_gran(struct tcmu_device *dev, uint32_t len, bool split);
uint32_t tcmu_dev_get_opt_unmap_gran(struct tcmu_device *dev);
void tcmu_dev_set_unmap_gran_align(struct tcmu_device *dev, uint32_t len);
uint32_t tcmu_dev_get_unmap_gran_align(struct tcmu_device *dev);
void tcmu_dev_set_write_cache_enabled(struct tcmu_device *dev, bool enabled);
bool tcmu_dev_get_write_cache_enabled(struct tcmu_device *dev);
void tcmu_dev_set_solid_state_media(struct tcmu_device *dev, bool solid_state);
bool tcmu_dev_get_solid_state_media(struct tcmu_device *dev);
void tcmu_dev_set_unmap_enabled(struct tcmu_device *dev, bool enabled);
bool tcmu_dev_get_unmap_enabled(struct tcmu_device *dev);
void tcmu_dev_set_write_protect_enabled(struct tcmu_device *dev, bool enabled);
bool tcmu_dev_get_write_protect_enabled(struct tcmu_device *dev);

/* The host's short name of the device, for threads and messages. */
const char *tcmu_dev_get_uio_name(struct tcmu_device *dev);
/* Of the kernel's ring, which this host has not: -1, NULL, NULL, nothing, true. */
int tcmu_dev_get_fd(struct tcmu_device *dev);
char *tcmu_dev_get_memory_info(struct tcmu_device *dev, void **base, size_t *len, off_t *offset);
struct tcmulib_handler *tcmu_dev_get_handler(struct tcmu_device *dev);
void tcmu_dev_flush_ring(struct tcmu_device *dev);
bool tcmu_dev_oooc_supported(struct tcmu_device *dev);

/* The device's configuration. */

/* "Size": bytes. Other names: 0, and -EINVAL in fn_ret. */
uint64_t tcmu_cfgfs_dev_get_info_u64(struct tcmu_device *dev, const char *name, int *fn_ret);
/* "hw_block_size" (bytes), "hw_max_sectors" (blocks) and others that the host knows, or -ENOENT. */
int tcmu_cfgfs_dev_get_attr_int(struct tcmu_device *dev, const char *name);
/* The unit serial number, to be released with free(), or NULL. */
char *tcmu_cfgfs_dev_get_wwn(struct tcmu_device *dev);
/* "dev_size" as tcmur_dev_update_size; other names -ENOENT. */
int tcmu_cfgfs_dev_set_ctrl_u64(struct tcmu_device *dev, const char *key, uint64_t val);
int tcmu_cfgfs_dev_exec_action(struct tcmu_device *dev, const char *name, uint32_t val);
/* Of the kernel's file system, which this host does not use: NULL and -ENOENT. */
char *tcmu_cfgfs_get_str(const char *path);
int tcmu_cfgfs_set_str(const char *path, const char *val, int val_len);
int tcmu_cfgfs_get_int(const char *path);
int tcmu_cfgfs_set_u32(const char *path, uint32_t val);
int tcmu_cfgfs_mod_param_set_u32(const char *name, uint32_t val);

/* Command descriptor blocks. */

/* Bytes: 6, 10, 12, 16 or, for 7Fh, 8 + cdb[7]; -EINVAL where the operation code does not tell. */
int tcmu_cdb_get_length(uint8_t *cdb);
/* 0 for a CDB whose length is none of 6, 10, 12, 16 and 32. */
uint64_t tcmu_cdb_get_lba(uint8_t *cdb);
/* Blocks, as the field stands: 0 in a 6-byte CDB stays 0. 0 where there is no such field. */
uint32_t tcmu_cdb_get_xfer_length(uint8_t *cdb);
uint64_t tcmu_cdb_to_byte(struct tcmu_device *dev, uint8_t *cdb);
void tcmu_cdb_print_info(struct tcmu_device *dev, const struct tcmulib_cmd *cmd, const char *info);

/* Vectors of memory. */

/* The byte where mem and the vector first differ, or -1. */
off_t tcmu_iovec_compare(void *mem, struct iovec *iovec, size_t size);
/* Consumes count bytes and returns how many elements are used up. */
size_t tcmu_iovec_seek(struct iovec *iovec, size_t count);
void tcmu_iovec_zero(struct iovec *iovec, size_t iov_cnt);
bool tcmu_iovec_zeroed(struct iovec *iovec, size_t iov_cnt);
size_t tcmu_iovec_length(struct iovec *iovec, size_t iov_cnt);
/* Both copy as much as there is room for, consume the vector and return the bytes copied. */
size_t tcmu_memcpy_into_iovec(struct iovec *iovec, size_t iov_cnt, void *src, size_t len);
size_t tcmu_memcpy_from_iovec(void *dest, size_t len, struct iovec *iovec, size_t iov_cnt);
void tcmu_cmd_seek(struct tcmulib_cmd *cmd, size_t count);

/* Sense data, fixed format, in a buffer of SENSE_BUFFERSIZE bytes. */

/* Returns TCMU_STS_PASSTHROUGH_ERR, so that a callout may return its result. */
int tcmu_sense_set_data(uint8_t *sense_buf, uint8_t key, uint16_t asc_ascq);
void __tcmu_sense_set_data(uint8_t *sense_buf, uint8_t key, uint16_t asc_ascq);
void tcmu_sense_set_info(uint8_t *sense_buf, uint32_t info);
void tcmu_sense_set_key_specific_info(uint8_t *sense_buf, uint16_t info);

/* Threads. */

/* Names the calling thread "prefix-device". */
void tcmu_set_thread_name(const char *prefix, struct tcmu_device *dev);
void tcmu_thread_cancel(pthread_t thread);

/* Nonzero in a thread that runs report_event. */
extern __thread int __tcmu_is_ework_thread;

#ifdef __cplusplus
}
#endif

#endif
