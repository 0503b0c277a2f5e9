// SPDX-License-Identifier: Apache-2.0
// A correct handler over a file, until it is compiled with one of the faults below. ASYNC: with nr_threads 0 and a
// thread of its own that completes commands; otherwise with four threads of the host's.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "martlet-handler.h"

#ifndef FAULT
#define FAULT 0
#endif
#define COMPLETES_TWICE 1
#define NEVER_COMPLETES 2
#define COMPLETES_AFTER_CLOSE 3
#define FLUSH_DOES_NOTHING 4
#define WRITES_BEYOND_IOVEC 5
#define READ_OFF_BY_ONE_AT_END 6
#define LOSES_CONCURRENT_WRITES 7
#define LEAKS_DESCRIPTOR 8
#define LEAKS_MEMORY 9
#define CHANGES_SOURCE 10
#define EXITS_IN_INIT 11
#define CRASHES_IN_CLOSE 12
#define UNMAP_HITS_NEIGHBOURS 13
#define CAW_NOT_ATOMIC 14
#define OK_BEFORE_DATA 15
#define PRINTS 16
#define UNMAPPED_IS_NOT_ZERO 17
#define IGNORES_SIGNALS 18
#define UNKNOWN_STATUS 19
#define SPINS_IN_OPEN 20
// Seen by sanitizers only.
#define READS_FREED_MEMORY 21
#define RACES 22
#define TOUCHES_DATA_LATE 23
#define REASON_IS_CONSTANT 24
#define PROBE_MAKES_STORE 25
#define OPENS_WHAT_IS_NOT_THERE 26
#define SHARES_ONE_STORE 27
#define SETS_NO_SIZE 28
#define HIDES_WRITE_CACHE 29
#define TEARS_WRITES 30
#define FILLS_TOO_LITTLE 31
#define CAW_WRITES_ANYWAY 32
#define EXTENT_OF_NOTHING 33
#define ACCEPTS_ANY_CHANGE 34
#define ANSWERS_UNKNOWN_CDB 35
#define KEEPS_IN_MEMORY 36
#define SHORTENS_LONG_WRITES 37
#define CONFUSES_BLOCK_SIZES 38
#define ZEROES_TOO_MUCH 39
#define HEALTH_WITHOUT_REASON 40
#define HAS(fault) (FAULT == (fault))

#include "worker.h"

struct store {
    int descriptor;
    // Of KEEPS_IN_MEMORY.
    char *memory;
    uint32_t block_byte_count;
    uint64_t byte_count;
    pthread_mutex_t lock;
    unsigned long reads;
    // The last command, for faults that come back to it.
    struct tcmur_cmd *last;
};

// The descriptor that SHARES_ONE_STORE keeps to.
static int first_descriptor = -1;

static ssize_t whole(struct store *store, void *data, size_t count, off_t offset, bool is_write) {
    int descriptor = store->descriptor;
    size_t done = 0;
    if (store->memory != NULL) {
        memcpy(is_write ? store->memory + offset : data, is_write ? data : store->memory + offset, count);
        return (ssize_t)count;
    }
    while (done < count) {
        ssize_t step = is_write ? pwrite(descriptor, (char *)data + done, count - done, offset + (off_t)done)
                                : pread(descriptor, (char *)data + done, count - done, offset + (off_t)done);
        if (step <= 0) return -1;
        done += (size_t)step;
    }
    return (ssize_t)done;
}

static int do_read(struct store *store, struct iovec *iovec, size_t length, off_t offset) {
    if (HAS(READ_OFF_BY_ONE_AT_END) && (uint64_t)offset + length == store->byte_count) offset -= 512;
    if (whole(store, iovec->iov_base, length, offset, false) < 0) return TCMU_STS_RD_ERR;
    if (HAS(TOUCHES_DATA_LATE)) clear_later(iovec->iov_base);
    if (HAS(WRITES_BEYOND_IOVEC)) ((char *)iovec->iov_base)[length] = 0;
    if (HAS(LEAKS_MEMORY) && malloc(100) == NULL) return TCMU_STS_NO_RESOURCE;
    return TCMU_STS_OK;
}

static int write_page_by_page(struct store *store, const char *data, size_t length, off_t offset) {
    for (size_t done = 0; done < length;) {
        char page[4096];
        off_t start = (offset + (off_t)done) & ~(off_t)4095;
        size_t skipped = (size_t)(offset + (off_t)done - start);
        size_t count = 4096 - skipped < length - done ? 4096 - skipped : length - done;
        // A page of its own needs no reading: only neighbours in one page lose.
        if (count < 4096) whole(store, page, 4096, start, false);
        sched_yield();
        memcpy(page + skipped, data + done, count);
        if (whole(store, page, 4096, start, true) < 0) return TCMU_STS_WR_ERR;
        done += count;
    }
    return TCMU_STS_OK;
}

// Some from the beginning, some from the end: where two meet, a block holds a part of each.
static int write_in_parts(struct store *store, char *data, size_t length, off_t offset) {
    for (size_t done = 0; done < length; done += 128, sched_yield()) {
        size_t at = (data[0] & 1) != 0 ? done : length - 128 - done;
        if (whole(store, data + at, 128, offset + (off_t)at, true) < 0) return TCMU_STS_WR_ERR;
    }
    return TCMU_STS_OK;
}

static int do_write(struct store *store, struct iovec *iovec, size_t length, off_t offset) {
    if (HAS(TEARS_WRITES) && length == 4096) return write_in_parts(store, iovec->iov_base, length, offset);
    if (HAS(SHORTENS_LONG_WRITES) && length > 1 << 20) length = 1 << 20;
    if (HAS(CONFUSES_BLOCK_SIZES) && store->block_byte_count == 2048) offset += 512;
    if (HAS(LOSES_CONCURRENT_WRITES)) return write_page_by_page(store, iovec->iov_base, length, offset);
    if (whole(store, iovec->iov_base, length, offset, true) < 0) return TCMU_STS_WR_ERR;
    if (HAS(CHANGES_SOURCE)) ((char *)iovec->iov_base)[length / 2] ^= 1;
    return HAS(UNKNOWN_STATUS) && length == 65536 ? -EIO : TCMU_STS_OK;
}

static int do_zero(struct store *store, uint64_t offset, uint64_t length, bool is_unmap) {
    if (HAS(UNMAP_HITS_NEIGHBOURS) && is_unmap) {
        uint64_t end = (offset + length + 4095) & ~(uint64_t)4095;
        offset &= ~(uint64_t)4095;
        length = end - offset;
    }
    if (HAS(UNMAPPED_IS_NOT_ZERO) && is_unmap) return TCMU_STS_OK;
    if (store->memory != NULL) {
        memset(store->memory + offset, 0, length);
        return TCMU_STS_OK;
    }
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(store->descriptor, mode, (off_t)offset, (off_t)length) == 0 ? TCMU_STS_OK : TCMU_STS_WR_ERR;
}

static int do_fill(struct store *store, struct iovec *iovec, uint64_t offset, uint64_t length) {
    uint64_t end = offset + length - (HAS(FILLS_TOO_LITTLE) && length > 4096 ? iovec->iov_len : 0);
    for (; offset < end; offset += iovec->iov_len)
        if (whole(store, iovec->iov_base, iovec->iov_len, (off_t)offset, true) < 0) return TCMU_STS_WR_ERR;
    return TCMU_STS_OK;
}

static int do_caw(struct store *store, struct tcmur_cmd *cmd, struct iovec *iovec, uint64_t length, off_t offset) {
    char *there = malloc(length);
    if (there == NULL) return TCMU_STS_NO_RESOURCE;
    int status = TCMU_STS_RD_ERR;
    if (!HAS(CAW_NOT_ATOMIC)) pthread_mutex_lock(&store->lock);
    if (whole(store, there, length, offset, false) >= 0) {
        if (HAS(CAW_NOT_ATOMIC)) sched_yield();
        const char *wanted = iovec->iov_base;
        uint32_t same = 0;
        while (same < length && wanted[same] == there[same]) same++;
        if (same < length && !HAS(CAW_WRITES_ANYWAY)) {
            tcmu_sense_set_info(cmd->lib_cmd->sense_buf, same);
            status = TCMU_STS_MISCOMPARE;
        } else {
            char *fresh = (char *)iovec->iov_base + length;
            status = whole(store, fresh, length, offset, true) < 0 ? TCMU_STS_WR_ERR : TCMU_STS_OK;
        }
    }
    if (!HAS(CAW_NOT_ATOMIC)) pthread_mutex_unlock(&store->lock);
    free(there);
    return status;
}

static int read_callout(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    (void)count;
    struct store *store = tcmur_dev_get_private(dev);
    if (HAS(PRINTS)) puts("a read");
    // Once in each device, and late: the hundredth of one.
    bool is_lost = HAS(NEVER_COMPLETES) && __atomic_add_fetch(&store->reads, 1, __ATOMIC_RELAXED) == 100;
    int status = do_read(store, iovec, length, offset);
    return is_lost ? lose() : finish(dev, cmd, status, HAS(COMPLETES_TWICE));
}

// Of no use but to be found.
static unsigned long writes_seen;

static void break_quietly(void) {
    // For long enough that another thread does the same.
    for (int round = 0; HAS(RACES) && round < 50; round++, sched_yield()) writes_seen++;
    if (HAS(READS_FREED_MEMORY)) {
        // In two steps, or the compiler says it first.
        volatile char *volatile freed = malloc(64);
        free((void *)freed);
        writes_seen = (unsigned long)freed[1];
    }
}

static int write_callout(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    (void)count;
    struct store *store = tcmur_dev_get_private(dev);
    break_quietly();
    if (HAS(OK_BEFORE_DATA)) {
        char *copy = malloc(length);
        memcpy(copy, iovec->iov_base, length);
        write_later(store->descriptor, copy, length, offset);
        return finish(dev, cmd, TCMU_STS_OK, false);
    }
    if (HAS(COMPLETES_AFTER_CLOSE)) __atomic_store_n(&store->last, cmd, __ATOMIC_RELAXED);
    return finish(dev, cmd, do_write(store, iovec, length, offset), false);
}

static int flush_callout(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    struct store *store = tcmur_dev_get_private(dev);
    bool is_fine = HAS(FLUSH_DOES_NOTHING) || fdatasync(store->descriptor) == 0;
    return finish(dev, cmd, is_fine ? TCMU_STS_OK : TCMU_STS_WR_ERR, false);
}

static int unmap_callout(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length) {
    return finish(dev, cmd, do_zero(tcmur_dev_get_private(dev), offset, length, true), false);
}

static int write_zeroes_callout(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags) {
    (void)flags;
    if (HAS(ZEROES_TOO_MUCH)) length += 1;
    return finish(dev, cmd, do_zero(tcmur_dev_get_private(dev), offset, length, false), false);
}

static int writesame_callout(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t count) {
    (void)count;
    return finish(dev, cmd, do_fill(tcmur_dev_get_private(dev), iovec, offset, length), false);
}

static int caw_callout(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, struct iovec *iovec,
    size_t count) {
    (void)count;
    return finish(dev, cmd, do_caw(tcmur_dev_get_private(dev), cmd, iovec, length, (off_t)offset), false);
}

static int open_callout(struct tcmu_device *dev, bool reopen) {
    (void)reopen;
    if (HAS(SPINS_IN_OPEN)) while (true) __atomic_signal_fence(__ATOMIC_SEQ_CST);
    const char *path = strchr(tcmu_dev_get_cfgstring(dev), '/');
    if (HAS(SETS_NO_SIZE)) tcmu_dev_set_num_lbas(dev, 0);
    struct store *store = calloc(1, sizeof(*store));
    if (path == NULL || store == NULL) return -EINVAL;
    store->block_byte_count = tcmu_dev_get_block_size(dev);
    store->byte_count = tcmu_dev_get_num_lbas(dev) * store->block_byte_count;
    store->descriptor = open(path + 1, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->descriptor < 0 || ftruncate(store->descriptor, (off_t)store->byte_count) != 0) {
        tcmu_dev_err(dev, "%s: %m\n", path + 1);
        if (store->descriptor >= 0) close(store->descriptor);
        free(store);
        return HAS(OPENS_WHAT_IS_NOT_THERE) ? ENOENT : -ENOENT;
    }
    if (HAS(SHARES_ONE_STORE) && first_descriptor >= 0) dup2(first_descriptor, store->descriptor);
    else first_descriptor = store->descriptor;
    if (HAS(KEEPS_IN_MEMORY)) {
        char *memory = malloc(store->byte_count);
        whole(store, memory, store->byte_count, 0, false);
        store->memory = memory;
    }
    pthread_mutex_init(&store->lock, NULL);
    if (HAS(LEAKS_DESCRIPTOR) && dup(store->descriptor) < 0) return -EMFILE;
    if (HAS(IGNORES_SIGNALS)) signal(SIGTERM, SIG_IGN);
    tcmu_dev_set_write_cache_enabled(dev, !HAS(HIDES_WRITE_CACHE));
    tcmur_dev_set_private(dev, store);
    return 0;
}

static void close_callout(struct tcmu_device *dev) {
    struct store *store = tcmur_dev_get_private(dev);
    wait_for_writes();
    if (HAS(COMPLETES_AFTER_CLOSE) && store->last != NULL) complete_later(dev, store->last);
    if (HAS(CRASHES_IN_CLOSE)) *(volatile int *)8 = 0;
    char *memory = store->memory;
    store->memory = NULL;
    if (memory != NULL) whole(store, memory, store->byte_count, 0, true);
    free(memory);
    if (first_descriptor == store->descriptor) first_descriptor = -1;
    close(store->descriptor);
    free(store);
}

static int reconfig(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg) {
    struct store *store = tcmur_dev_get_private(dev);
    if (HAS(ACCEPTS_ANY_CHANGE) && cfg->type != TCMULIB_CFG_DEV_SIZE) return 0;
    if (cfg->type != TCMULIB_CFG_DEV_SIZE || store->memory != NULL) return -EOPNOTSUPP;
    return ftruncate(store->descriptor, (off_t)cfg->data.dev_size) == 0 ? 0 : -errno;
}

static int handle_cmd(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    (void)dev;
    return HAS(ANSWERS_UNKNOWN_CDB) && cmd->lib_cmd->cdb[0] == 0x99 ? TCMU_STS_OK : TCMU_STS_NOT_HANDLED;
}

static bool check_config(const char *cfgstring, char **reason) {
    const char *path = strchr(cfgstring, '/');
    if (path != NULL && path[1] == '/') return true;
    *reason = HAS(REASON_IS_CONSTANT) ? (char *)"no path" : strdup("no path");
    return false;
}

static int block_status(
    struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity) {
    (void)dev, (void)offset;
    if (capacity == 0) return -EINVAL;
    extents[0] = (struct martlet_extent){
        .byte_count = HAS(EXTENT_OF_NOTHING) ? 0 : length, .flags = MARTLET_EXTENT_MAPPED};
    return 1;
}

static int health(struct tcmu_device *dev, struct martlet_health *answer) {
    (void)dev;
    answer->state = HAS(HEALTH_WITHOUT_REASON) ? MARTLET_HEALTH_DEGRADED : MARTLET_HEALTH_GOOD;
    return 0;
}

static int probe(const char *cfgstring, struct martlet_probe *answer) {
    const char *path = strchr(cfgstring, '/');
    struct stat status;
    if (path == NULL || path[1] != '/') return -EINVAL;
    if (HAS(PROBE_MAKES_STORE)) close(open(path + 1, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (stat(path + 1, &status) == 0) answer->byte_count = (uint64_t)status.st_size;
    else if (errno == ENOENT) answer->flags = MARTLET_PROBE_WILL_CREATE;
    else return -errno;
    return 0;
}

static int init(void) {
    if (HAS(EXITS_IN_INIT)) exit(0);
    return 0;
}

static struct tcmur_handler handler = {
    .name = "Faulty",
    .subtype = "faulty",
    .cfg_desc = "/PATH",
    .check_config = check_config,
    .reconfig = reconfig,
    .handle_cmd = handle_cmd,
    .open = open_callout,
    .close = close_callout,
    .read = read_callout,
    .write = write_callout,
    .flush = flush_callout,
    .unmap = unmap_callout,
    .writesame = writesame_callout,
    .caw = caw_callout,
    .init = init,
    .nr_threads = THREADS,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof(extension),
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = MARTLET_HANDLER_UNMAPPED_READS_ZERO,
    .probe = probe,
    .block_status = block_status,
    .write_zeroes = write_zeroes_callout,
    .health = health,
};

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }

int handler_init(void) { return tcmur_register_handler(&handler); }
