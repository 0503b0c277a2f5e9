// SPDX-License-Identifier: Apache-2.0
// The device's own thread: it does what may wait for the cluster, so that no event loop does.
//
// It takes the lock of the image when a change asks for it, follows the size of the image, and after the cluster has
// fenced this client keeps the device from being used again before nothing old can still be on its way.

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>

#include "device.h"

enum {
    // How often the thread says that the process is alive while nothing happens.
    sign_seconds = 60,
};

// Under the lock: waits for something to do, or for seconds. False when the seconds are over.
static bool wait_for_work(struct disk *disk, unsigned seconds) {
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += seconds;
    return pthread_cond_timedwait(&disk->wake, &disk->lock, &deadline) == 0;
}

// Under the lock, which is let go meanwhile.
static void end_waiting(struct disk *disk, int status) {
    struct disk_command *waiting = disk->waiting;
    disk->waiting = NULL;
    disk->last_waiting = &disk->waiting;
    pthread_mutex_unlock(&disk->lock);
    disk_resume(disk, waiting, status);
    pthread_mutex_lock(&disk->lock);
}

// Under the lock, which is let go meanwhile.
static void take_lock(struct disk *disk) {
    pthread_mutex_unlock(&disk->lock);
    int result = disk_take_lock(disk);
    pthread_mutex_lock(&disk->lock);
    // Fenced: sit_out ends them.
    if (disk->ownership != DISK_IS_TAKING) return;
    disk->ownership = result == 0 ? DISK_OWNS : DISK_OWNS_NOT;
    end_waiting(disk, result == 0 ? TCMU_STS_OK : result == -ETIMEDOUT ? TCMU_STS_TIMEOUT : TCMU_STS_BUSY);
}

// Under the lock, which is let go meanwhile.
static void follow_size(struct disk *disk) {
    uint64_t byte_count = 0;
    disk->has_changed = false;
    pthread_mutex_unlock(&disk->lock);
    int result = rbd_get_size(disk->image.handle, &byte_count);
    if (result == 0 && byte_count != atomic_load(&disk->byte_count)) {
        uint32_t block = tcmu_dev_get_block_size(disk->dev);
        // What does not fill a block cannot be reached.
        uint64_t usable = byte_count - byte_count % block;
        atomic_store(&disk->byte_count, usable);
        result = usable == 0 ? -EINVAL : tcmur_dev_update_size(disk->dev, usable);
        if (result != 0) tcmu_dev_err(disk->dev, "the image has %" PRIu64 " bytes now, which cannot be\n", byte_count);
    }
    pthread_mutex_lock(&disk->lock);
}

// Under the lock, which is let go meanwhile. The device stays as it is until nothing old can reach it, and is then
// opened afresh by the host.
static void sit_out(struct disk *disk) {
    int displaced = -EAGAIN;
    unsigned left = disk->request.quarantine;
    end_waiting(disk, TCMU_STS_FENCED);
    while (!disk->is_ending && displaced != 0 && left > 0) {
        if (displaced < 0) {
            pthread_mutex_unlock(&disk->lock);
            displaced = disk_is_displaced(disk);
            pthread_mutex_lock(&disk->lock);
            if (displaced < 0) wait_for_work(disk, 1);
            if (displaced <= 0) continue;
            tcmu_dev_warn(
                disk->dev, "another server has taken the image over: commands are refused for %u s\n", left);
        } else if (!wait_for_work(disk, 1)) {
            // Counted by its own steps: time in which the whole process is stopped does not count.
            left--;
        }
    }
    if (disk->is_ending) return;
    pthread_mutex_unlock(&disk->lock);
    tcmu_notify_conn_lost(disk->dev);
    pthread_mutex_lock(&disk->lock);
    while (!disk->is_ending) pthread_cond_wait(&disk->wake, &disk->lock);
}

static void *care(void *argument) {
    struct disk *disk = argument;
    tcmu_set_thread_name("rbd", disk->dev);
    pthread_mutex_lock(&disk->lock);
    while (!disk->is_ending) {
        disk->seen_seconds = disk_now();
        if (disk->ownership == DISK_IS_FENCED) sit_out(disk);
        else if (disk->ownership == DISK_IS_TAKING) take_lock(disk);
        else if (disk->has_changed) follow_size(disk);
        else wait_for_work(disk, sign_seconds);
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

// In a thread of librbd's, which must not wait.
static void image_changed(void *argument) {
    struct disk *disk = argument;
    pthread_mutex_lock(&disk->lock);
    disk->has_changed = true;
    pthread_cond_signal(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
}

int disk_care_start(struct disk *disk) {
    pthread_condattr_t attributes;
    sigset_t all, before;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&disk->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    disk->seen_seconds = disk_now();
    // A signal for the server is not this thread's.
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = pthread_create(&disk->carer, NULL, care, disk);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        pthread_cond_destroy(&disk->wake);
        return result;
    }
    // A snapshot keeps its size, and an image that is open to be read only has no watch.
    if (disk->image.is_read_only) return 0;
    disk->has_update_watch =
        rbd_update_watch(disk->image.handle, &disk->update_watch, image_changed, disk) == 0;
    if (!disk->has_update_watch) tcmu_dev_warn(disk->dev, "a new size of the image will not be noticed\n");
    return 0;
}

void disk_care_stop(struct disk *disk) {
    if (disk->has_update_watch) rbd_update_unwatch(disk->image.handle, disk->update_watch);
    pthread_mutex_lock(&disk->lock);
    disk->is_ending = true;
    pthread_cond_signal(&disk->wake);
    pthread_mutex_unlock(&disk->lock);
    pthread_join(disk->carer, NULL);
    pthread_cond_destroy(&disk->wake);
}
