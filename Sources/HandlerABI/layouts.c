// SPDX-License-Identifier: Apache-2.0
// The layouts that handlers were compiled with: tcmu-runner 1.5.4 to 1.6.2 on 64-bit Linux.

#include "alua.h"
#include "asserts.h"
#include "libtcmu.h"
#include "target.h"
#include "tcmu-runner.h"

AT(tcmur_handler, name, 0);
AT(tcmur_handler, subtype, 8);
AT(tcmur_handler, cfg_desc, 16);
AT(tcmur_handler, opaque, 24);
AT(tcmur_handler, check_config, 32);
AT(tcmur_handler, reconfig, 40);
AT(tcmur_handler, open, 48);
AT(tcmur_handler, close, 56);
AT(tcmur_handler, nr_threads, 64);
AT(tcmur_handler, handle_cmd, 72);
AT(tcmur_handler, read, 80);
AT(tcmur_handler, write, 88);
AT(tcmur_handler, flush, 96);
AT(tcmur_handler, unmap, 104);
AT(tcmur_handler, writesame, 112);
AT(tcmur_handler, caw, 120);
AT(tcmur_handler, report_event, 128);
AT(tcmur_handler, lock, 136);
AT(tcmur_handler, unlock, 144);
AT(tcmur_handler, get_lock_tag, 152);
AT(tcmur_handler, get_lock_state, 160);
AT(tcmur_handler, _is_dbus_handler, 168);
AT(tcmur_handler, update_logdir, 176);
AT(tcmur_handler, init, 184);
AT(tcmur_handler, destroy, 192);
SIZE(tcmur_handler, 200);

AT(tcmur_cmd, lib_cmd, 0);
AT(tcmur_cmd, iovec, 8);
AT(tcmur_cmd, iov_cnt, 16);
AT(tcmur_cmd, iov_base_copy, 24);
AT(tcmur_cmd, cmd_state, 32);
AT(tcmur_cmd, requested, 40);
AT(tcmur_cmd, cmds_list_entry, 48);
AT(tcmur_cmd, start_time, 64);
AT(tcmur_cmd, timed_out, 80);
AT(tcmur_cmd, done, 88);
SIZE(tcmur_cmd, 96);

AT(tcmulib_cmd, cmd_id, 0);
AT(tcmulib_cmd, cdb, 8);
AT(tcmulib_cmd, iovec, 16);
AT(tcmulib_cmd, iov_cnt, 24);
AT(tcmulib_cmd, sense_buf, 32);
AT(tcmulib_cmd, hm_private, 128);
SIZE(tcmulib_cmd, 136);

AT(tcmulib_cfg_info, type, 0);
AT(tcmulib_cfg_info, data, 8);
SIZE(tcmulib_cfg_info, 16);

AT(list_node, next, 0);
AT(list_node, prev, 8);
SIZE(list_node, 16);
AT(list_head, n, 0);
SIZE(list_head, 16);

// As in tcmu-runner 1.5.4.
AT(tcmur_device, lock_lost_cnt, 48);
AT(tcmur_device, conn_lost_cnt, 56);
AT(tcmur_device, cmd_timed_out_cnt, 64);
AT(tcmur_device, lock_state, 81);
SIZE(tcmur_device, 424);

// Handlers see these from inside only, with the scsi.c that they carry.
SIZE(tgt_port, 56);
SIZE(alua_grp, 72);

_Static_assert(TCMU_STS_ASYNC_HANDLED == -2 && TCMU_STS_OK == 0 && TCMU_STS_HW_ERR == 13, "statuses have moved");
_Static_assert(TCMU_STS_TOO_MANY_TGT_DESC == 28, "statuses have moved");
_Static_assert(
    TCMUR_DEV_LOCK_UNKNOWN == 0 && TCMUR_DEV_LOCK_WRITE_LOCKED == 5 && TCMUR_DEV_FAILOVER_EXPLICIT == 2,
    "lock states have moved");
_Static_assert(TCMUR_EVT_LOCK_LOST == 0 && TCMUR_EVT_CMD_TIMED_OUT == 2, "events have moved");
_Static_assert(TCMU_INVALID_LOCK_TAG == 65535 && SENSE_BUFFERSIZE == 96, "a limit has changed");
