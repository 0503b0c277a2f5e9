// SPDX-License-Identifier: Apache-2.0
//
// The handler "later", for benchmarks: a medium in memory whose reads complete from a thread of the handler's own, a
// given time after they were asked for. Everything else completes at once.
//
//     later/50             50 µs; the size is that of the device
//
// cc -std=gnu11 -D_GNU_SOURCE -O2 -fPIC -shared -pthread -I build/include/tcmu-runner -o handler_later.so handler_later.c
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "tcmu-runner.h"

enum {
    MOST_UNDER_WAY = 4096,         // more reads than an initiator can have outstanding here; above it BUSY
    MOST_DELAY_MICROSECONDS = 1000000,
};

struct waiting_read {
    struct tcmur_cmd *cmd;
    struct iovec *iovec;
    size_t iov_cnt, length;
    off_t offset;
    struct timespec due;
};

struct later {
    struct tcmu_device *dev;
    char *medium;
    size_t byte_count;
    long delay_ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t arrival;
    // All reads wait equally long, so the first to come is the first to be due.
    struct waiting_read reads[MOST_UNDER_WAY];
    unsigned first, count;
    bool stopping;
};

static bool parse_delay(const char *cfgstring, long *delay_ns) {
    const char *slash = strchr(cfgstring, '/');
    if (slash == NULL || slash[1] < '0' || slash[1] > '9') return false;
    char *end;
    errno = 0;
    long microseconds = strtol(slash + 1, &end, 10);
    if (errno != 0 || *end != 0 || microseconds > MOST_DELAY_MICROSECONDS) return false;
    *delay_ns = microseconds * 1000;
    return true;
}

static bool check_config(const char *cfgstring, char **reason) {
    long ignored;
    if (parse_delay(cfgstring, &ignored)) return true;
    if (reason != NULL) *reason = strdup("later/ is followed by a number of microseconds");
    return false;
}

static bool is_before(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec : one->tv_nsec < other->tv_nsec;
}

static void complete(struct later *later, struct waiting_read *read) {
    tcmu_memcpy_into_iovec(read->iovec, read->iov_cnt, later->medium + read->offset, read->length);
    tcmur_cmd_complete(later->dev, read->cmd, TCMU_STS_OK);
}

// Completes each read when it is due. Never holds the lock while it completes one.
static void *run(void *argument) {
    struct later *later = argument;
    prctl(PR_SET_TIMERSLACK, 1);
    pthread_mutex_lock(&later->lock);
    while (!later->stopping || later->count > 0) {
        if (later->count == 0) {
            pthread_cond_wait(&later->arrival, &later->lock);
            continue;
        }
        struct waiting_read read = later->reads[later->first];
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (is_before(&now, &read.due)) {
            pthread_mutex_unlock(&later->lock);
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &read.due, NULL);
            pthread_mutex_lock(&later->lock);
            continue;
        }
        later->first = (later->first + 1) % MOST_UNDER_WAY;
        later->count--;
        pthread_mutex_unlock(&later->lock);
        complete(later, &read);
        pthread_mutex_lock(&later->lock);
    }
    pthread_mutex_unlock(&later->lock);
    return NULL;
}

static int later_open(struct tcmu_device *dev, bool reopen) {
    (void)reopen;
    int error = 0;
    struct later *later = calloc(1, sizeof(*later));
    if (later == NULL) return -ENOMEM;
    later->dev = dev;
    later->byte_count = tcmu_cfgfs_dev_get_info_u64(dev, "Size", &error);
    if (later->byte_count == 0 || !parse_delay(tcmu_dev_get_cfgstring(dev), &later->delay_ns)) {
        tcmu_dev_err(dev, "later needs a delay and a size\n");
        free(later);
        return -EINVAL;
    }
    later->medium = mmap(NULL, later->byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (later->medium == MAP_FAILED) {
        error = errno;
        free(later);
        return -error;
    }
    pthread_mutex_init(&later->lock, NULL);
    pthread_cond_init(&later->arrival, NULL);
    error = pthread_create(&later->thread, NULL, run, later);
    if (error != 0) {
        munmap(later->medium, later->byte_count);
        free(later);
        return -error;
    }
    tcmu_dev_set_num_lbas(dev, later->byte_count / tcmu_dev_get_block_size(dev));
    tcmur_dev_set_private(dev, later);
    return 0;
}

static void later_close(struct tcmu_device *dev) {
    struct later *later = tcmur_dev_get_private(dev);
    pthread_mutex_lock(&later->lock);
    later->stopping = true;
    pthread_cond_signal(&later->arrival);
    pthread_mutex_unlock(&later->lock);
    pthread_join(later->thread, NULL);
    pthread_cond_destroy(&later->arrival);
    pthread_mutex_destroy(&later->lock);
    munmap(later->medium, later->byte_count);
    free(later);
}

static int later_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct later *later = tcmur_dev_get_private(dev);
    struct waiting_read read = {.cmd = cmd, .iovec = iovec, .iov_cnt = iov_cnt, .length = length, .offset = offset};
    clock_gettime(CLOCK_MONOTONIC, &read.due);
    long nanoseconds = read.due.tv_nsec + later->delay_ns;
    read.due.tv_sec += nanoseconds / 1000000000;
    read.due.tv_nsec = nanoseconds % 1000000000;
    pthread_mutex_lock(&later->lock);
    bool has_room = later->count < MOST_UNDER_WAY;
    if (has_room) {
        later->reads[(later->first + later->count) % MOST_UNDER_WAY] = read;
        // With others under way the thread sleeps until the first of them is due, and then looks.
        if (later->count++ == 0) pthread_cond_signal(&later->arrival);
    }
    pthread_mutex_unlock(&later->lock);
    return has_room ? TCMU_STS_OK : TCMU_STS_BUSY;
}

static int later_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t iov_cnt, size_t length,
    off_t offset) {
    struct later *later = tcmur_dev_get_private(dev);
    tcmu_memcpy_from_iovec(later->medium + offset, length, iovec, iov_cnt);
    tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

static int later_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    tcmur_cmd_complete(dev, cmd, TCMU_STS_OK);
    return TCMU_STS_OK;
}

static struct tcmur_handler handler = {
    .name = "Memory that answers later",
    .subtype = "later",
    .cfg_desc = "the microseconds after which a read completes",
    .check_config = check_config,
    .open = later_open,
    .close = later_close,
    .nr_threads = 0,
    .read = later_read,
    .write = later_write,
    .flush = later_flush,
};

int handler_init(void);

int handler_init(void) { return tcmur_register_handler(&handler); }
