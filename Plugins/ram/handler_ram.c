// SPDX-License-Identifier: Apache-2.0
// The handler "ram": a medium in memory.
//
//     ram/1G               anonymous memory of that size, gone with the device
//     ram//srv/ram.img     the pages of a file, which keeps them; created when the device has a size
//
// No callout waits: nr_threads is 0, and each device has a thread of its own for flushes and other long work. Pages of
// a file that are not in memory yet are the exception; the handler is meant for files that fit there.

#define _GNU_SOURCE
#include "handler_ram.h"

#include <stdlib.h>
#include <string.h>

#include "device.h"

void ram_log_error(struct tcmu_device *dev, const char *what, int error) {
    errno = error;
    tcmu_dev_err(dev, "%s: %m\n", what);
}

static bool check_config(const char *cfgstring, char **reason) {
    struct ram_request request;
    struct medium_reason why = {""};
    if (ram_parse(cfgstring, &request, why.text, sizeof(why.text))) return true;
    if (reason != NULL) *reason = strdup(why.text);
    return false;
}

// What initiators are told.
static void describe(struct tcmu_device *dev, const struct ram_store *store) {
    uint32_t block_size = tcmu_dev_get_block_size(dev);
    tcmu_dev_set_num_lbas(dev, store->byte_count / block_size);
    if (block_size < RAM_PAGE_SIZE) tcmu_dev_set_opt_unmap_gran(dev, RAM_PAGE_SIZE / block_size, true);
    tcmu_dev_set_write_cache_enabled(dev, store->is_file && !store->is_read_only);
    tcmu_dev_set_solid_state_media(dev, true);
}

static int open_store(struct tcmu_device *dev, struct ram_store *store, struct medium_reason *reason) {
    struct ram_request request;
    if (!ram_parse(tcmu_dev_get_cfgstring(dev), &request, reason->text, sizeof(reason->text))) return -EINVAL;
    struct medium_geometry geometry = medium_geometry_of(dev);
    return ram_store_open(store, &request, &geometry, reason);
}

static int start(struct tcmu_device *dev, struct ram_device *ram) {
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
    // A stream of writes must not keep COMPARE AND WRITE waiting for ever.
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&ram->changes, &kind);
    pthread_rwlockattr_destroy(&kind);
    int error = ram_worker_start(&ram->worker, dev);
    if (error != 0) pthread_rwlock_destroy(&ram->changes);
    return -error;
}

static int ram_open(struct tcmu_device *dev, bool reopen) {
    struct medium_reason reason = {""};
    (void)reopen;
    struct ram_device *ram = calloc(1, sizeof(*ram));
    if (ram == NULL) return -ENOMEM;
    int result = open_store(dev, &ram->store, &reason);
    if (result != 0) {
        tcmu_dev_err(dev, "%s\n", reason.text);
        free(ram);
        return result;
    }
    describe(dev, &ram->store);
    tcmur_dev_set_private(dev, ram);
    result = start(dev, ram);
    if (result != 0) {
        ram_log_error(dev, "cannot start a thread", -result);
        ram_store_close(&ram->store);
        free(ram);
    }
    return result;
}

static void ram_close(struct tcmu_device *dev) {
    struct ram_device *ram = tcmur_dev_get_private(dev);
    ram_worker_stop(&ram->worker);
    pthread_rwlock_destroy(&ram->changes);
    ram_store_close(&ram->store);
    free(ram);
}

static int probe(const char *cfgstring, struct martlet_probe *answer) {
    struct ram_request request;
    if (!ram_parse(cfgstring, &request, answer->reason, sizeof(answer->reason))) return -EINVAL;
    if (request.path != NULL) return medium_probe(request.path, &ram_rules, answer);
    answer->byte_count = request.byte_count;
    return 0;
}

static struct tcmur_handler handler = {
    .name = "Memory",
    .subtype = "ram",
    .cfg_desc = "SIZE (with K, M, G or T) for anonymous memory, or the absolute path of a file",
    .check_config = check_config,
    .open = ram_open,
    .close = ram_close,
    .nr_threads = 0,
    .read = ram_read,
    .write = ram_write,
    .flush = ram_flush,
    .unmap = ram_unmap,
    .writesame = ram_write_same,
    .caw = ram_compare_and_write,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof(extension),
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = MARTLET_HANDLER_UNMAPPED_READS_ZERO | MARTLET_HANDLER_NEVER_BLOCKS | MARTLET_HANDLER_VECTORED |
             MARTLET_HANDLER_WRITE_COPIES,
    .probe = probe,
    .block_status = ram_block_status,
    .map_read = ram_map_read,
    .write_zeroes = ram_write_zeroes,
    .health = ram_health,
    .space = ram_space,
};

int handler_init(void) { return tcmur_register_handler(&handler); }

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }
