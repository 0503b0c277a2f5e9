// SPDX-License-Identifier: Apache-2.0

#include "cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cluster {
    struct cluster *next;
    // What it was made for.
    char conf[PATH_MAX];
    char user[DISK_NAME_SIZE];
    unsigned wanted_timeout;

    unsigned users;
    bool is_connecting;
    bool is_retired;
    unsigned timeout;
    rados_t handle;
    char name[PATH_MAX + DISK_NAME_SIZE + 64];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// A connection is made, or could not be.
static pthread_cond_t settled = PTHREAD_COND_INITIALIZER;
static struct cluster *clusters;

rados_t cluster_handle(const struct cluster *cluster) { return cluster->handle; }
unsigned cluster_timeout(const struct cluster *cluster) { return cluster->timeout; }
const char *cluster_name(const struct cluster *cluster) { return cluster->name; }

uint64_t cluster_number(const struct cluster *cluster, const char *name, uint64_t otherwise) {
    char text[32], *end;
    if (rados_conf_get(cluster->handle, name, text, sizeof(text)) != 0) return otherwise;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' ? number : otherwise;
}

// An OSD that died is out of the way, and another has taken over, within its heartbeat's grace and interval. An
// operation that failed sooner would fail without need. 20 + 6 + 5 seconds unless the cluster is configured otherwise;
// tcmu-runner reckons the same.
static unsigned default_timeout(const struct cluster *cluster) {
    uint64_t seconds =
        cluster_number(cluster, "osd_heartbeat_grace", 20) + cluster_number(cluster, "osd_heartbeat_interval", 6) + 5;
    return seconds < DISK_MAXIMUM_SECONDS ? (unsigned)seconds : DISK_MAXIMUM_SECONDS;
}

static int set(const struct cluster *cluster, const char *name, const char *value, struct disk_reason *reason) {
    int result = rados_conf_set(cluster->handle, name, value);
    if (result != 0) disk_say(reason->text, sizeof(reason->text), "librados refuses to set %s to %s", name, value);
    return result;
}

static int configure(struct cluster *cluster, struct disk_reason *reason) {
    const char *conf = cluster->conf[0] != '\0' ? cluster->conf : NULL;
    int result = rados_conf_read_file(cluster->handle, conf);
    if (result != 0) {
        disk_say(
            reason->text, sizeof(reason->text), "cannot read %s: %s: name the cluster's ceph.conf by conf=PATH",
            conf != NULL ? conf : "/etc/ceph/ceph.conf", strerror(-result));
        return result;
    }
    rados_conf_parse_env(cluster->handle, NULL);
    cluster->timeout = cluster->wanted_timeout != 0 ? cluster->wanted_timeout : default_timeout(cluster);
    char seconds[16];
    snprintf(seconds, sizeof(seconds), "%u", cluster->timeout);
    const char *const settings[][2] = {
        // A cache in this process would lose acknowledged writes with it, and would show another server's initiators
        // old data. So a write that ended is on the disks of the cluster, and there is no write cache to report.
        {"rbd_cache", "false"},
        // Without it an operation waits for ever for an OSD that hangs.
        {"rados_osd_op_timeout", seconds},
        {"rados_mon_op_timeout", seconds},
        {"client_mount_timeout", seconds},
        // What goes wrong is told in the server's own log, a line for each kind, not one for each command.
        {"log_to_stderr", "false"},
        {"err_to_stderr", "false"},
    };
    for (size_t index = 0; index < sizeof(settings) / sizeof(*settings) && result == 0; index++) {
        result = set(cluster, settings[index][0], settings[index][1], reason);
    }
    return result;
}

static int connect_to(struct cluster *cluster, struct disk_reason *reason) {
    const char *user = cluster->user[0] != '\0' ? cluster->user : NULL;
    snprintf(
        cluster->name, sizeof(cluster->name), "the cluster of %s as client.%s",
        cluster->conf[0] != '\0' ? cluster->conf : "/etc/ceph/ceph.conf", user != NULL ? user : "admin");
    int result = rados_create(&cluster->handle, user);
    if (result != 0) {
        disk_say(reason->text, sizeof(reason->text), "cannot use librados: %s", strerror(-result));
        return result;
    }
    result = configure(cluster, reason);
    if (result == 0) {
        result = rados_connect(cluster->handle);
        if (result == -ETIMEDOUT) {
            disk_say(
                reason->text, sizeof(reason->text), "cannot connect to %s: no monitor answers within %u s",
                cluster->name, cluster->timeout);
        } else if (result != 0) {
            disk_say(
                reason->text, sizeof(reason->text), "cannot connect to %s: %s: check the user and its keyring",
                cluster->name, strerror(-result));
        }
    }
    if (result != 0) rados_shutdown(cluster->handle);
    return result;
}

static bool fits(const struct cluster *cluster, const struct disk_request *request) {
    return !cluster->is_retired && cluster->wanted_timeout == request->timeout &&
           strcmp(cluster->conf, request->conf) == 0 && strcmp(cluster->user, request->user) == 0;
}

// Under the lock.
static struct cluster *find(const struct disk_request *request) {
    for (struct cluster *each = clusters; each != NULL; each = each->next) {
        if (fits(each, request)) return each;
    }
    return NULL;
}

// Under the lock.
static void take_out(struct cluster *cluster) {
    struct cluster **place = &clusters;
    while (*place != cluster) place = &(*place)->next;
    *place = cluster->next;
}

static struct cluster *make(const struct disk_request *request) {
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    if (cluster == NULL) return NULL;
    memcpy(cluster->conf, request->conf, sizeof(cluster->conf));
    memcpy(cluster->user, request->user, sizeof(cluster->user));
    cluster->wanted_timeout = request->timeout;
    cluster->users = 1;
    cluster->is_connecting = true;
    return cluster;
}

int cluster_get(const struct disk_request *request, struct cluster **result, struct disk_reason *reason) {
    pthread_mutex_lock(&lock);
    struct cluster *cluster;
    while ((cluster = find(request)) != NULL && cluster->is_connecting) pthread_cond_wait(&settled, &lock);
    if (cluster != NULL) {
        cluster->users++;
        pthread_mutex_unlock(&lock);
        *result = cluster;
        return 0;
    }
    cluster = make(request);
    if (cluster != NULL) {
        cluster->next = clusters;
        clusters = cluster;
    }
    pthread_mutex_unlock(&lock);
    if (cluster == NULL) {
        disk_say(reason->text, sizeof(reason->text), "no memory for a connection");
        return -ENOMEM;
    }
    // Others who want it wait; those of other clusters do not.
    int error = connect_to(cluster, reason);
    pthread_mutex_lock(&lock);
    cluster->is_connecting = false;
    if (error != 0) take_out(cluster);
    pthread_cond_broadcast(&settled);
    pthread_mutex_unlock(&lock);
    if (error != 0) free(cluster);
    else *result = cluster;
    return error;
}

void cluster_put(struct cluster *cluster) {
    pthread_mutex_lock(&lock);
    bool is_last = --cluster->users == 0;
    if (is_last) take_out(cluster);
    pthread_mutex_unlock(&lock);
    if (!is_last) return;
    rados_shutdown(cluster->handle);
    free(cluster);
}

void cluster_retire(struct cluster *cluster) {
    pthread_mutex_lock(&lock);
    cluster->is_retired = true;
    pthread_mutex_unlock(&lock);
}
