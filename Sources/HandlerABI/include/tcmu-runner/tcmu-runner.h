/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door between a host and its handlers: the binary interface of tcmu-runner 1.5.4 to 1.6.2.
 *
 * A handler is a shared object handler_NAME.so that exports
 *
 *     int handler_init(void);
 *
 * which calls tcmur_register_handler and returns 0. The host loads it once and never unloads it.
 */
#ifndef __TCMU_RUNNER_H
#define __TCMU_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "alua.h"
#include "ccan/list/list.h"
#include "libtcmu.h"
#include "libtcmu_common.h"
#include "libtcmu_log.h"
#include "scsi.h"
#include "scsi_defs.h"
#include "tcmur_cmd_handler.h"
#include "tcmur_device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One command on its way through the host and the handler. */
struct tcmur_cmd {
    struct tcmulib_cmd *lib_cmd;

    /* The host's, from here to cmd_state. */
    struct iovec *iovec;
    size_t iov_cnt;
    void *iov_base_copy;
    void *cmd_state;

    /* Bytes of data that the command asks for. */
    size_t requested;

    struct list_node cmds_list_entry;
    struct timespec start_time;
    bool timed_out;

    /* How the host takes a completion: handlers call tcmur_cmd_complete. */
    void (*done)(struct tcmu_device *dev, struct tcmur_cmd *cmd, int sts);
};

enum tcmur_event {
    TCMUR_EVT_LOCK_LOST = 0,
    TCMUR_EVT_CONN_LOST = 1,
    TCMUR_EVT_CMD_TIMED_OUT = 2
};

/*
 * A handler. The object stays in use as long as the process lives. Every callout but open and close may be NULL;
 * a handler has read and write, or handle_cmd, or all three. Offsets and lengths are bytes, inside the medium and
 * multiples of the block size; the data is one element, aligned to a page.
 *
 * nr_threads > 0: the host calls read, write, flush, unmap, writesame and caw in as many threads of its own for each
 * device. They may block, and what they return is how the command ended.
 *
 * nr_threads == 0: the host calls them in a thread that has other work to do. TCMU_STS_OK means that the handler has
 * taken the command and will call tcmur_cmd_complete exactly once, from any thread, perhaps before it returns. Any
 * other value is how the command ended, and the handler must not complete it.
 */
struct tcmur_handler {
    /* For people. */
    const char *name;
    /* What stands before the first '/' of a configuration string. */
    const char *subtype;
    /* How the rest of the configuration string reads, for people. */
    const char *cfg_desc;

    /* The handler's own. */
    void *opaque;

    /* Whether open could work. If not, *reason may be set to a text that the host releases with free(). */
    bool (*check_config)(const char *cfgstring, char **reason);
    /* 0, or -errno for a change that cannot be. I/O goes on meanwhile. */
    int (*reconfig)(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg);

    /* 0, or negative: then close is not called. reopen: after a lost connection, the device having been closed. */
    int (*open)(struct tcmu_device *dev, bool reopen);
    /* All commands have ended. */
    void (*close)(struct tcmu_device *dev);

    /* Worker threads of each device. */
    int nr_threads;

    /*
     * Any CDB, before the host looks at it. TCMU_STS_OK: done; TCMU_STS_NOT_HANDLED: the host's business;
     * TCMU_STS_ASYNC_HANDLED: tcmur_cmd_complete will follow.
     */
    int (*handle_cmd)(struct tcmu_device *dev, struct tcmur_cmd *cmd);

    int (*read)(
        struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
        off_t offset);
    int (*write)(
        struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
        off_t offset);
    /* All writes that ended before are on stable storage. */
    int (*flush)(struct tcmu_device *dev, struct tcmur_cmd *cmd);
    int (*unmap)(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length);
    /* One block of data, to be written over length bytes. */
    int (*writesame)(
        struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
        size_t iov_cnt);
    /* 2 * length bytes of data: what must be there, then what to write if it is. */
    int (*caw)(
        struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
        size_t iov_cnt);

    /* Locks between nodes, which this host does not use. */
    int (*report_event)(struct tcmu_device *dev);
    int (*lock)(struct tcmu_device *dev, uint16_t tag);
    int (*unlock)(struct tcmu_device *dev);
    int (*get_lock_tag)(struct tcmu_device *dev, uint16_t *tag);
    int (*get_lock_state)(struct tcmu_device *dev);

    /* false. */
    bool _is_dbus_handler;

    /* The folder of log files has changed. */
    bool (*update_logdir)(void);

    /* Once, in tcmur_register_handler: 0, or the registration fails with this value. */
    int (*init)(void);
    /* Once, when the process ends. */
    void (*destroy)(void);
};

/* 0; -1 when the subtype is taken or the handler cannot be right; else what init returned. */
int tcmur_register_handler(struct tcmur_handler *handler);
bool tcmur_unregister_handler(struct tcmur_handler *handler);

/* Ends a command: cmd is its struct tcmur_cmd, sts one of TCMU_STS_*. Command and data are gone afterwards. */
void tcmur_cmd_complete(struct tcmu_device *dev, void *cmd, int sts);

/* A word for an event, for messages. */
const char *tcmu_event_name(enum tcmur_event event);

#ifdef __cplusplus
}
#endif

#endif
