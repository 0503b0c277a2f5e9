// SPDX-License-Identifier: Apache-2.0
// Who may write: one server at a time.
//
// The lock of the image (its feature exclusive-lock) is taken by the first change after open, from whoever has it. A
// lock that is taken from another client is broken, and the cluster then takes nothing more from that client: what it
// sent and what it may still send, however late, does not reach the medium. A client that is only slow, stopped or cut
// off from its initiators is fenced as well as one that is dead. So the server that an initiator turns to first makes
// sure that the other one is quiet.
//
// Nobody else takes it back on his own: a fenced device refuses every command, and begins afresh after its quarantine
// (care.c). librbd's own way to move the lock (lock=auto) asks the owner, who gives it and later asks for it again; a
// write that was held up on its way through the first owner could then land on top of the second one's.

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "device.h"

enum {
    // More would mean that two servers are written to at the same time.
    attempt_limit = 3,
    // The cluster forgets after an hour whom it fenced (mon osd blocklist default expire). A process that was stopped
    // for so long does not know; it must not write before it has looked.
    absence_seconds = 600,
};

void disk_fence(struct disk *disk, int error) {
    pthread_mutex_lock(&disk->lock);
    bool is_first = disk->ownership != DISK_IS_FENCED;
    disk->ownership = DISK_IS_FENCED;
    pthread_cond_signal(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
    if (!is_first) return;
    // While this command has not ended the device stays open.
    tcmu_dev_err(
        disk->dev, "the cluster refuses this server (%s): its commands end with NOT READY\n",
        error == -EROFS ? "another client has taken the lock of the image" : "it is blocklisted");
    tcmu_notify_lock_lost(disk->dev);
}

int64_t disk_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec;
}

bool disk_may_change(struct disk *disk, struct disk_command *command, int *status) {
    if (disk->ownership == DISK_OWNS && disk_now() - disk->seen_seconds > absence_seconds) {
        disk->ownership = DISK_IS_FENCED;
        pthread_cond_signal(&disk->wake);
        tcmu_dev_err(disk->dev, "this server was stopped for too long to know whether the image is still its own\n");
    }
    switch (disk->ownership) {
    case DISK_OWNS_FREELY:
    case DISK_OWNS: return true;
    case DISK_IS_FENCED: *status = TCMU_STS_FENCED; return false;
    case DISK_OWNS_NOT:
    case DISK_IS_TAKING: break;
    }
    disk->ownership = DISK_IS_TAKING;
    command->next = NULL;
    *disk->last_waiting = command;
    disk->last_waiting = &command->next;
    pthread_cond_signal(&disk->wake);
    return false;
}

// Who has the lock: "" for nobody. 0 or -errno.
static int find_owner(rbd_image_t image, char *owner, size_t size) {
    rbd_lock_mode_t mode;
    char *owners[4];
    size_t count = sizeof(owners) / sizeof(*owners);
    owner[0] = '\0';
    int result = rbd_lock_get_owners(image, &mode, owners, &count);
    if (result == -ENOENT) return 0;
    if (result < 0) return result;
    if (count > 0) {
        snprintf(owner, size, "%s", owners[0]);
        rbd_lock_get_owners_cleanup(owners, count);
    }
    return 0;
}

static int take(struct disk *disk) {
    char owner[sizeof(disk->owner)];
    rbd_image_t image = disk->image.handle;
    int is_owner = 0;
    int result = rbd_is_exclusive_lock_owner(image, &is_owner);
    if (result == 0) result = find_owner(image, owner, sizeof(owner));
    if (result != 0) return result;
    if (owner[0] != '\0' && !is_owner) {
        tcmu_dev_warn(disk->dev, "takes the image over from the client at %s, which is fenced\n", owner);
        result = rbd_lock_break(image, RBD_LOCK_MODE_EXCLUSIVE, owner);
        // Gone meanwhile, or another's: look again.
        if (result == -ENOENT || result == -EBUSY) return -EAGAIN;
        if (result != 0) return result;
    }
    result = rbd_lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE);
    if (result == -EROFS || result == -EBUSY) return -EAGAIN;
    if (result == 0) result = find_owner(image, disk->owner, sizeof(disk->owner));
    return result;
}

int disk_take_lock(struct disk *disk) {
    int result = -EAGAIN;
    for (unsigned attempt = 0; attempt < attempt_limit && result == -EAGAIN; attempt++) result = take(disk);
    if (result == 0) return 0;
    if (result == -ESHUTDOWN) {
        disk_fence(disk, result);
    } else {
        tcmu_dev_err(
            disk->dev, "cannot take the lock of the image: %s%s\n", strerror(-result),
            result == -EPERM || result == -EACCES ? ": give the user the capabilities of profile rbd" : "");
    }
    return result;
}

int disk_is_displaced(struct disk *disk) {
    char owner[sizeof(disk->owner)];
    struct disk_reason reason = {""};
    struct image image;
    cluster_retire(disk->image.cluster);
    // Nobody can tell whose the lock was.
    if (disk->owns_freely && !disk->image.is_read_only) return 1;
    // Nothing was written here: nothing can be late.
    if (disk->owner[0] == '\0') return 0;
    // With a connection that is not fenced. An image that is open to be read only does not tell of its lock.
    int result = image_open(&image, &disk->request, false, &reason);
    if (result == 0) {
        result = find_owner(image.handle, owner, sizeof(owner));
        if (result != 0) disk_say(reason.text, sizeof(reason.text), "%s", strerror(-result));
        image_close(&image);
    }
    if (result != 0) {
        unsigned count = ++disk->look_failures;
        if ((count & (count - 1)) == 0) {
            tcmu_dev_warn(disk->dev, "cannot see who has the image now: %s (%u failures so far)\n", reason.text, count);
        }
        return result;
    }
    // Still ours, or rather the fenced client's: another image of the same connection was taken over.
    return strcmp(owner, disk->owner) != 0;
}
