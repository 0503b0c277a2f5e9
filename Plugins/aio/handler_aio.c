// SPDX-License-Identifier: Apache-2.0
// The handler "aio": a regular file or a block device, through the kernel's own queues (libaio).
//
//     aio//srv/disk.img                        created when the device has a size
//     aio//dev/sdx;queue-depth=64              commands that the kernel is given at a time: 1 to 4096, as a rule 256
//     aio//srv/disk.img;direct=off             through the page cache
//
// Reads and writes are queued by the callouts, given to the kernel by one io_submit for each batch, and completed in
// batches when an eventfd says so: no thread stands between an event loop and the disk.
//
// The kernel's queues are asynchronous with direct I/O only; through the page cache io_submit does the whole transfer.
// So with direct=off, and where the store cannot do direct I/O in blocks of the device's size, up to four threads of
// the device do pread and pwrite instead. Even with direct I/O io_submit may wait: for blocks of a file that are to be
// allocated, or whose place must be looked up. The kernel is asked to refuse such commands (RWF_NOWAIT), and the
// threads do those that it refuses. Where a file system cannot refuse, io_submit waits, and with it the event loop:
// there a file that has been written in full, or a block device, is the better store.
//
// A server that does not submit batches (tcmu-runner) gets each command started at once, and completed from a thread.

#include "handler_aio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

void aio_log_error(struct aio_device *aio, const char *what, int error) {
    errno = error;
    tcmu_dev_err(aio->dev, "%s: %m\n", what);
}

// A dying disk must not fill the log.
void aio_log_failure(struct aio_device *aio, const char *what, int error) {
    unsigned count = atomic_fetch_add(&aio->failure_count, 1) + 1;
    if ((count & (count - 1)) != 0) return;
    errno = error;
    tcmu_dev_err(aio->dev, "%s: %m (%u failures so far)\n", what, count);
}

static bool check_config(const char *cfgstring, char **reason) {
    struct aio_request request;
    struct medium_reason why = {""};
    if (aio_parse(cfgstring, &request, why.text, sizeof(why.text))) return true;
    if (reason != NULL) *reason = strdup(why.text);
    return false;
}

// What initiators are told.
static void describe(struct tcmu_device *dev, const struct aio_store *store) {
    tcmu_dev_set_num_lbas(dev, store->byte_count / store->block_size);
    // The page cache, or the disk's own.
    tcmu_dev_set_write_cache_enabled(dev, !store->is_read_only);
    if (store->is_solid_state) tcmu_dev_set_solid_state_media(dev, true);
    if (!store->can_unmap) tcmu_dev_set_unmap_enabled(dev, false);
}

static int open_store(struct tcmu_device *dev, struct aio_store *store, struct aio_request *request) {
    struct medium_reason reason = {""};
    struct medium_geometry geometry = medium_geometry_of(dev);
    int result = -EINVAL;
    if (aio_parse(tcmu_dev_get_cfgstring(dev), request, reason.text, sizeof(reason.text))) {
        result = aio_store_open(store, request, &geometry, &reason);
    }
    if (result != 0) tcmu_dev_err(dev, "%s\n", reason.text);
    return result;
}

// The store is open.
static int start(struct aio_device *aio, const struct aio_request *request) {
    struct medium_reason reason = {""};
    atomic_store(&aio->refuses_to_wait, true);
    atomic_store(&aio->is_direct, request->wants_direct);
    atomic_store(&aio->uses_kernel, request->wants_direct && aio_store_go_direct(&aio->store, &reason));
    int result = aio_queue_open(aio, request->queue_depth);
    if (result != 0) return result;
    if (reason.text[0] != '\0') aio_leave_direct(aio, reason.text);
    pthread_mutex_init(&aio->flushing, NULL);
    result = -aio_workers_start(aio);
    if (result == 0) return 0;
    pthread_mutex_destroy(&aio->flushing);
    aio_queue_close(aio);
    return result;
}

static int aio_open(struct tcmu_device *dev, bool reopen) {
    struct aio_request request;
    (void)reopen;
    struct aio_device *aio = calloc(1, sizeof(*aio));
    if (aio == NULL) return -ENOMEM;
    aio->dev = dev;
    int result = open_store(dev, &aio->store, &request);
    if (result == 0) {
        result = start(aio, &request);
        if (result != 0) {
            aio_log_error(aio, "cannot start", -result);
            aio_store_close(&aio->store);
        }
    }
    if (result != 0) {
        free(aio);
        return result;
    }
    describe(dev, &aio->store);
    tcmur_dev_set_private(dev, aio);
    return 0;
}

static void aio_close(struct tcmu_device *dev) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    aio_workers_stop(aio);
    aio_queue_close(aio);
    pthread_mutex_destroy(&aio->flushing);
    aio_store_close(&aio->store);
    free(aio);
}

static int probe(const char *cfgstring, struct martlet_probe *answer) {
    struct aio_request request;
    if (!aio_parse(cfgstring, &request, answer->reason, sizeof(answer->reason))) return -EINVAL;
    return medium_probe(request.path, &aio_rules, answer);
}

static int completion_descriptor(struct tcmu_device *dev) {
    struct aio_device *aio = tcmur_dev_get_private(dev);
    aio->has_batching_host = true;
    return aio->event;
}

static void submit(struct tcmu_device *dev) { aio_submit(tcmur_dev_get_private(dev)); }

static size_t reap(struct tcmu_device *dev) { return aio_reap(tcmur_dev_get_private(dev)); }

static struct tcmur_handler handler = {
    .name = "Kernel AIO",
    .subtype = "aio",
    .cfg_desc = "the absolute path of a file or block device, then perhaps ;direct=off and ;queue-depth=NUMBER",
    .check_config = check_config,
    .open = aio_open,
    .close = aio_close,
    .nr_threads = 0,
    .read = aio_read,
    .write = aio_write,
    .flush = aio_flush,
    .unmap = aio_unmap,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof(extension),
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = MARTLET_HANDLER_UNMAPPED_READS_ZERO | MARTLET_HANDLER_NEVER_BLOCKS | MARTLET_HANDLER_VECTORED,
    .probe = probe,
    .block_status = aio_block_status,
    .completion_descriptor = completion_descriptor,
    .submit = submit,
    .reap = reap,
    .write_zeroes = aio_write_zeroes,
    // No cancel: the kernel's io_cancel refuses reads and writes of files and disks (EINVAL).
    .health = aio_health,
    .space = aio_space,
};

int handler_init(void) { return tcmur_register_handler(&handler); }

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }
