/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signatures of work that is done in another thread. The queues behind them are the host's own business: a handler
 * that wants worker threads sets nr_threads.
 */
#ifndef __TCMUR_AIO_H
#define __TCMUR_AIO_H

#include <pthread.h>

#include "ccan/list/list.h"

struct tcmu_device;
struct tcmulib_cmd;
struct tcmur_device;

typedef int (*tcmu_work_fn_t)(struct tcmu_device *dev, void *data);
typedef void (*tcmu_done_fn_t)(struct tcmu_device *dev, void *data, int rc);

#endif
