// SPDX-License-Identifier: Apache-2.0
// Configuration strings, and sentences.
#ifndef RBD_CONFIGURATION_H
#define RBD_CONFIGURATION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

enum {
    // Bytes of a name of a pool, namespace, image or snapshot, with its NUL. Ceph's own limits are lower.
    DISK_NAME_SIZE = 256,
    DISK_MAXIMUM_SECONDS = 3600,
    // A server drops a connection whose initiator has been silent for 60 seconds (two times 30, docs/safety.md), so
    // after 75 nothing that an initiator sent before it turned to another server is still on its way through this one.
    // What comes then was sent since: an initiator has come back.
    DISK_DEFAULT_QUARANTINE_SECONDS = 75,
};

// Who may write.
enum disk_lock_mode {
    // Not said: exclusive where the image has the feature, else as DISK_LOCK_AUTOMATIC.
    DISK_LOCK_UNSAID,
    // One server at a time: who is written to takes the lock and fences who had it.
    DISK_LOCK_EXCLUSIVE,
    // librbd's own: handed over to whoever writes, without fencing a client that answers.
    DISK_LOCK_AUTOMATIC,
};

// What a configuration string asks for.
struct disk_request {
    char pool[DISK_NAME_SIZE];
    // "" for the pool's default namespace.
    char name_space[DISK_NAME_SIZE];
    char image[DISK_NAME_SIZE];
    // "" for the image itself.
    char snapshot[DISK_NAME_SIZE];
    // "": wherever Ceph looks for it.
    char conf[PATH_MAX];
    // "": "admin", Ceph's default. Without "client.".
    char user[DISK_NAME_SIZE];
    // Seconds; 0: from the cluster's heartbeats.
    unsigned timeout;
    enum disk_lock_mode lock;
    // Seconds for which a device that another server has displaced refuses all commands.
    unsigned quarantine;
};

// Parses "rbd/POOL/[NAMESPACE/]IMAGE[@SNAPSHOT][;OPTION=VALUE]...". False, and a sentence in reason, if it cannot.
bool disk_parse(const char *cfgstring, struct disk_request *request, char *reason, size_t reason_size);

// Writes a sentence, cut to size if it must be.
void disk_say(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#pragma GCC visibility pop

#endif
