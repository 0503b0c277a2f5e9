/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for the operator, from any thread. Formats are printf's, %m included; a line feed at the end is optional.
 * A message longer than TCMU_LOG_BUF_SIZE bytes is cut.
 */
#ifndef __TCMU_LOG_H
#define __TCMU_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TCMU_LOG_CRIT LOG_CRIT
#define TCMU_LOG_ERROR LOG_ERR
#define TCMU_LOG_WARN LOG_WARNING
#define TCMU_LOG_INFO LOG_INFO
#define TCMU_LOG_DEBUG LOG_DEBUG
#define TCMU_LOG_DEBUG_SCSI_CMD (LOG_DEBUG + 1)

#define TCMU_LOG_BUF_SIZE 1024
#define TCMU_LOG_DIR_DEFAULT "/var/log"

/* Handlers of earlier days rely on stdio and stdlib coming with this header. */
#include <stdio.h>
#include <stdlib.h>

struct tcmu_device;

#define TCMU_PRINTF_FORMAT __attribute__((format(printf, 4, 5)))

/* dev: the device spoken of, or NULL. */
void tcmu_crit_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...)
    TCMU_PRINTF_FORMAT;
void tcmu_err_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...)
    TCMU_PRINTF_FORMAT;
void tcmu_warn_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...)
    TCMU_PRINTF_FORMAT;
void tcmu_info_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...)
    TCMU_PRINTF_FORMAT;
void tcmu_dbg_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...)
    TCMU_PRINTF_FORMAT;
void tcmu_dbg_scsi_cmd_message(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...)
    TCMU_PRINTF_FORMAT;

/* One of TCMU_LOG_*: messages above it are dropped before they are formatted. */
void tcmu_set_log_level(int level);
unsigned int tcmu_get_log_level(void);

/* Writes "log folder/filename" to path, which has room for PATH_MAX bytes. 0 or -errno. */
int tcmu_make_absolute_logfile(char *path, const char *filename);

#define tcmu_dev_crit(dev, ...) do { tcmu_crit_message((dev), __func__, __LINE__, __VA_ARGS__); } while (0)
#define tcmu_dev_err(dev, ...) do { tcmu_err_message((dev), __func__, __LINE__, __VA_ARGS__); } while (0)
#define tcmu_dev_warn(dev, ...) do { tcmu_warn_message((dev), __func__, __LINE__, __VA_ARGS__); } while (0)
#define tcmu_dev_info(dev, ...) do { tcmu_info_message((dev), __func__, __LINE__, __VA_ARGS__); } while (0)
#define tcmu_dev_dbg(dev, ...) do { tcmu_dbg_message((dev), __func__, __LINE__, __VA_ARGS__); } while (0)
#define tcmu_dev_dbg_scsi_cmd(dev, ...) \
    do { tcmu_dbg_scsi_cmd_message((dev), __func__, __LINE__, __VA_ARGS__); } while (0)

#define tcmu_crit(...) tcmu_dev_crit(NULL, __VA_ARGS__)
#define tcmu_err(...) tcmu_dev_err(NULL, __VA_ARGS__)
#define tcmu_warn(...) tcmu_dev_warn(NULL, __VA_ARGS__)
#define tcmu_info(...) tcmu_dev_info(NULL, __VA_ARGS__)
#define tcmu_dbg(...) tcmu_dev_dbg(NULL, __VA_ARGS__)
#define tcmu_dbg_scsi_cmd(...) tcmu_dev_dbg_scsi_cmd(NULL, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
