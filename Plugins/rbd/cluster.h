// SPDX-License-Identifier: Apache-2.0
// Connections to clusters. One costs 14 threads, so the devices of a process that name the same cluster, user and
// time-out share it. It goes when its last device has.
#ifndef RBD_CLUSTER_H
#define RBD_CLUSTER_H

#include <rados/librados.h>

#include "configuration.h"

#pragma GCC visibility push(hidden)

struct cluster;

struct disk_reason {
    char text[512];
};

// A connection as request wants it, made if there is none. May block. 0, or -errno and a sentence in reason.
int cluster_get(const struct disk_request *request, struct cluster **cluster, struct disk_reason *reason);
void cluster_put(struct cluster *cluster);
// The cluster has blocklisted the connection: nobody is given it from now on. Those who have it keep it.
void cluster_retire(struct cluster *cluster);

rados_t cluster_handle(const struct cluster *cluster);
// Seconds after which an operation without an answer fails.
unsigned cluster_timeout(const struct cluster *cluster);
// A number of the cluster's configuration, or otherwise when it has none.
uint64_t cluster_number(const struct cluster *cluster, const char *name, uint64_t otherwise);
// For people: where the configuration was looked for, and as whom.
const char *cluster_name(const struct cluster *cluster);

#pragma GCC visibility pop

#endif
