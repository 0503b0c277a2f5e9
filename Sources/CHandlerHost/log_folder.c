// SPDX-License-Identifier: Apache-2.0
// The folder where handlers put log files of their own.

#include "device.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX] = "/var/log";

int martlet_host_set_log_folder(const char *path) {
    size_t length = strnlen(path, sizeof(folder));
    if (length == sizeof(folder)) return -ENAMETOOLONG;
    pthread_mutex_lock(&lock);
    memcpy(folder, path, length + 1);
    pthread_mutex_unlock(&lock);
    return 0;
}

int tcmu_make_absolute_logfile(char *path, const char *filename) {
    if (path == NULL || filename == NULL || filename[0] == '\0') return -EINVAL;
    pthread_mutex_lock(&lock);
    int length = snprintf(path, PATH_MAX, "%s/%s", folder, filename);
    pthread_mutex_unlock(&lock);
    return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}
