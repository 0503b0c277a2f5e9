// SPDX-License-Identifier: Apache-2.0
// The handler "uring": a regular file or a block device, through the kernel's io_uring.
//
//     uring//srv/disk.img                  created when it is missing and the device has a size
//     uring//dev/sdb;queue-depth=1024      commands that the kernel has at once, 1 to 4096; 256 when not said
//     uring//srv/disk.img;direct=off       through the page cache; else around it, where the file system lets
//     uring//srv/disk.img;engine=threads   without io_uring, as where the kernel has none or forbids it
//
// No callout waits: nr_threads is 0. A host that knows the extension's batches submits and takes completions in its
// own loops; for others the device has a thread that does. Where there is no io_uring a few threads do the I/O.

#include "handler_uring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static bool check_config(const char *cfgstring, char **reason) {
    struct uring_options options;
    struct medium_reason why = {""};
    if (uring_options_parse(cfgstring, &options, &why)) return true;
    if (reason != NULL) *reason = strdup(why.text);
    return false;
}

static int open_store(
    struct tcmu_device *dev, struct uring_store *store, const struct uring_options *options) {
    struct medium_reason reason = {""};
    struct medium_geometry geometry = medium_geometry_of(dev);
    int result = uring_store_open(store, options->path, &geometry, &reason);
    if (result != 0) {
        tcmu_dev_err(dev, "%s\n", reason.text);
    } else if (options->is_direct && !uring_store_go_direct(store, geometry.block_size, &reason)) {
        tcmu_dev_warn(dev, "%s goes through the page cache: %s\n", options->path, reason.text);
    }
    return result;
}

// What initiators are told.
static void describe(struct tcmu_device *dev, const struct uring_store *store) {
    uint32_t block_size = tcmu_dev_get_block_size(dev);
    uint32_t granularity = store->allocation_byte_count / block_size;
    tcmu_dev_set_num_lbas(dev, store->byte_count / block_size);
    if (granularity > 1) tcmu_dev_set_opt_unmap_gran(dev, granularity, true);
    // With direct I/O, too, disks have caches.
    tcmu_dev_set_write_cache_enabled(dev, !store->is_read_only);
    if (store->is_solid_state) tcmu_dev_set_solid_state_media(dev, true);
    if (!store->can_deallocate) tcmu_dev_set_unmap_enabled(dev, false);
}

static unsigned choose_depth(struct tcmu_device *dev, const struct uring_options *options) {
    if (options->queue_depth <= URING_QUEUE_DEPTH_LIMIT) return (unsigned)options->queue_depth;
    tcmu_dev_warn(dev, "a queue depth of %u is the most, and is taken\n", URING_QUEUE_DEPTH_LIMIT);
    return URING_QUEUE_DEPTH_LIMIT;
}

// A ring, or threads where there can be none. 0 or an errno.
static int start_engine(struct uring_device *device, const struct uring_options *options) {
    struct medium_reason reason = {"engine=threads asks for it"};
    unsigned depth = choose_depth(device->dev, options);
    device->has_ring = !options->wants_threads && ring_engine_start(device, depth, &reason) == 0;
    if (!device->has_ring) {
        device->has_fallen_back = !options->wants_threads;
        tcmu_dev_warn(
            device->dev, "%s is served by %u threads, without io_uring: %s\n", options->path, URING_THREAD_COUNT,
            reason.text);
        return thread_engine_start(device);
    }
    if (device->ring.depth < depth) {
        tcmu_dev_warn(device->dev, "the kernel gives a queue depth of %u instead of %u\n", device->ring.depth, depth);
    }
    return 0;
}

static void stop_engine(struct uring_device *device) {
    if (device->has_ring) {
        ring_engine_stop(device);
    } else {
        thread_engine_stop(device);
    }
}

static void destroy(struct uring_device *device) {
    pthread_mutex_destroy(&device->lock);
    uring_pool_destroy(&device->pool);
    uring_store_close(&device->store);
    free(device);
}

// The store is open. 0 or an errno.
static int start(struct uring_device *device, const struct uring_options *options) {
    int error = start_engine(device, options);
    if (error != 0) {
        uring_log_error(device->dev, "cannot start a thread", error);
        return error;
    }
    error = uring_pool_grow(&device->pool, device->has_ring ? device->ring.depth : URING_QUEUE_DEPTH_DEFAULT);
    if (error == 0) return 0;
    uring_log_error(device->dev, "cannot hold as many commands", error);
    stop_engine(device);
    return error;
}

static int uring_open(struct tcmu_device *dev, bool reopen) {
    struct uring_options options;
    struct medium_reason reason = {""};
    (void)reopen;
    if (!uring_options_parse(tcmu_dev_get_cfgstring(dev), &options, &reason)) {
        tcmu_dev_err(dev, "%s\n", reason.text);
        return -EINVAL;
    }
    struct uring_device *device = calloc(1, sizeof(*device));
    if (device == NULL) return -ENOMEM;
    device->dev = dev;
    pthread_mutex_init(&device->lock, NULL);
    int result = open_store(dev, &device->store, &options);
    if (result == 0) {
        describe(dev, &device->store);
        result = -start(device, &options);
    }
    if (result == 0) {
        tcmur_dev_set_private(dev, device);
    } else {
        destroy(device);
    }
    return result;
}

static void uring_close(struct tcmu_device *dev) {
    struct uring_device *device = tcmur_dev_get_private(dev);
    stop_engine(device);
    destroy(device);
}

static int probe(const char *cfgstring, struct martlet_probe *answer) {
    struct uring_options options;
    struct medium_reason reason = {""};
    if (uring_options_parse(cfgstring, &options, &reason)) return medium_probe(options.path, &uring_rules, answer);
    memcpy(answer->reason, reason.text, sizeof(answer->reason));
    return -EINVAL;
}

static struct tcmur_handler handler = {
    .name = "io_uring",
    .subtype = "uring",
    .cfg_desc = "the absolute path of a regular file or a block device, "
                "and any of ;direct=on|off ;queue-depth=1..4096 ;engine=ring|threads",
    .check_config = check_config,
    .open = uring_open,
    .close = uring_close,
    .nr_threads = 0,
    .read = uring_read,
    .write = uring_write,
    .flush = uring_flush,
    .unmap = uring_unmap,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof(extension),
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = MARTLET_HANDLER_UNMAPPED_READS_ZERO | MARTLET_HANDLER_NEVER_BLOCKS | MARTLET_HANDLER_VECTORED,
    .probe = probe,
    .block_status = uring_block_status,
    .completion_descriptor = uring_completion_descriptor,
    .submit = uring_submit,
    .reap = uring_reap,
    .write_zeroes = uring_write_zeroes,
    .cancel = uring_cancel,
    .health = uring_health,
    .space = uring_space,
};

int handler_init(void) { return tcmur_register_handler(&handler); }

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }
