// SPDX-License-Identifier: Apache-2.0
// The handler "rbd": an image of a Ceph cluster, through librbd.
//
//     rbd/POOL/IMAGE                           as client.admin of the cluster of /etc/ceph/ceph.conf
//     rbd/POOL/NAMESPACE/IMAGE
//     rbd/POOL/IMAGE@SNAPSHOT                  read only
//     ...;conf=/srv/ceph.conf                  another cluster
//     ...;id=tcmu                              another user
//     ...;osd_op_timeout=30                    seconds after which a command without an answer ends with BUSY
//     ...;lock=auto                            the lock of the image goes to whoever writes (ownership.c)
//     ...;quarantine=75                        seconds for which a server that was displaced refuses commands
//
// The strings are those of tcmu-runner's handler of this name, which has no namespaces, snapshots, lock, quarantine.
//
// librbd's asynchronous calls only queue, so event loops make them. Completions come from librbd's threads. Its other
// way, an eventfd that the loops poll, was measured beside it: no faster, and more context switches for each write.

#include "handler_rbd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

enum {
    // Objects that one UNMAP takes away: they go at the same time.
    unmap_object_count = 64,
};

static bool check_config(const char *cfgstring, char **reason) {
    struct disk_request request;
    struct disk_reason why = {""};
    if (disk_parse(cfgstring, &request, why.text, sizeof(why.text))) return true;
    if (reason != NULL) *reason = strdup(why.text);
    return false;
}

// Whether the image fits the device: its size, and the lock that is asked for. 0 or -errno.
static int check_image(const struct disk *disk, bool reopen, struct disk_reason *reason) {
    int ignored;
    uint64_t configured = tcmu_cfgfs_dev_get_info_u64(disk->dev, "Size", &ignored);
    uint32_t block = tcmu_dev_get_block_size(disk->dev);
    uint64_t found = disk->image.byte_count;
    if (found == 0 || found % block != 0) {
        disk_say(
            reason->text, sizeof(reason->text), "the image has %" PRIu64 " bytes, no multiple of the block size, %u",
            found, block);
        return -EINVAL;
    }
    // It may have been resized since.
    if (!reopen && configured != 0 && configured != found) {
        disk_say(
            reason->text, sizeof(reason->text),
            "the image has %" PRIu64 " bytes, but %" PRIu64 " are configured: leave the size out, or name another "
            "image",
            found, configured);
        return -EINVAL;
    }
    if (disk->request.lock == DISK_LOCK_EXCLUSIVE && !disk->image.has_exclusive_lock && !disk->image.is_read_only) {
        disk_say(
            reason->text, sizeof(reason->text),
            "the image has no lock: run \"rbd feature enable %s/%s exclusive-lock\", or leave lock=exclusive out",
            disk->request.pool, disk->request.image);
        return -EINVAL;
    }
    return 0;
}

// What initiators are told.
static void describe(const struct disk *disk) {
    struct tcmu_device *dev = disk->dev;
    uint32_t block = tcmu_dev_get_block_size(dev);
    uint64_t granularity = cluster_number(disk->image.cluster, "rbd_discard_granularity_bytes", 64 << 10);
    uint64_t longest = unmap_object_count * disk->image.object_size / block;
    tcmu_dev_set_num_lbas(dev, disk->image.byte_count / block);
    // Without rbd's cache a write that ended is on the disks of the cluster.
    tcmu_dev_set_write_cache_enabled(dev, false);
    tcmu_dev_set_max_unmap_len(dev, longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX);
    // Below it storage is zeroed instead of given back.
    if (granularity % block != 0 || granularity / block > UINT32_MAX) granularity = block;
    tcmu_dev_set_opt_unmap_gran(dev, (uint32_t)(granularity / block), false);
    tcmu_dev_set_unmap_gran_align(dev, 0);
}

static void choose_ownership(struct disk *disk) {
    bool takes_lock = !disk->image.is_read_only && disk->image.has_exclusive_lock &&
                      disk->request.lock != DISK_LOCK_AUTOMATIC;
    disk->owns_freely = !takes_lock;
    disk->ownership = takes_lock ? DISK_OWNS_NOT : DISK_OWNS_FREELY;
    if (disk->image.is_read_only || takes_lock) return;
    tcmu_dev_warn(
        disk->dev, "%s: serve the image from one server only\n",
        disk->image.has_exclusive_lock ? "lock=auto does not fence a server that was slow" : "the image has no lock");
}

static int open_disk(struct disk *disk, bool reopen, struct disk_reason *reason) {
    if (!disk_parse(tcmu_dev_get_cfgstring(disk->dev), &disk->request, reason->text, sizeof(reason->text))) {
        return -EINVAL;
    }
    int result = image_open(&disk->image, &disk->request, martlet_device_is_write_protected(disk->dev), reason);
    if (result != 0) return result;
    result = check_image(disk, reopen, reason);
    if (result == 0 && !disk->image.is_read_only) result = image_claim(&disk->image, reason);
    if (result == 0) {
        atomic_store(&disk->byte_count, disk->image.byte_count);
        describe(disk);
        choose_ownership(disk);
        result = disk_commands_open(disk) ? -disk_care_start(disk) : -ENOMEM;
        if (result == 0) return 0;
        disk_commands_close(disk);
        disk_say(reason->text, sizeof(reason->text), "cannot start: %s", strerror(-result));
    }
    image_close(&disk->image);
    return result;
}

static int disk_open(struct tcmu_device *dev, bool reopen) {
    struct disk_reason reason = {""};
    struct disk *disk = calloc(1, sizeof(*disk));
    if (disk == NULL) return -ENOMEM;
    disk->dev = dev;
    int result = open_disk(disk, reopen, &reason);
    if (result != 0) {
        tcmu_dev_err(dev, "%s\n", reason.text);
        free(disk);
        return result;
    }
    tcmur_dev_set_private(dev, disk);
    return 0;
}

static void disk_close(struct tcmu_device *dev) {
    struct disk *disk = tcmur_dev_get_private(dev);
    disk_care_stop(disk);
    image_close(&disk->image);
    disk_commands_close(disk);
    free(disk);
}

// A new size for the image: initiators hear of it as of any other change.
static int reconfigure(struct tcmu_device *dev, struct tcmulib_cfg_info *change) {
    struct disk *disk = tcmur_dev_get_private(dev);
    if (change->type != TCMULIB_CFG_DEV_SIZE) return -EOPNOTSUPP;
    uint64_t wanted = change->data.dev_size, found = 0;
    int result = rbd_get_size(disk->image.handle, &found);
    if (result != 0 || wanted == found) return result;
    if (wanted < found) {
        tcmu_dev_err(dev, "does not make the image smaller: that is for the rbd command, which asks\n");
        return -EINVAL;
    }
    result = rbd_resize(disk->image.handle, wanted);
    if (result == 0) atomic_store(&disk->byte_count, wanted);
    return result;
}

static int probe(const char *cfgstring, struct martlet_probe *answer) {
    struct disk_request request;
    if (!disk_parse(cfgstring, &request, answer->reason, sizeof(answer->reason))) return -EINVAL;
    return image_probe(&request, answer);
}

static int health(struct tcmu_device *dev, struct martlet_health *answer) {
    struct disk *disk = tcmur_dev_get_private(dev);
    pthread_mutex_lock(&disk->lock);
    bool is_fenced = disk->ownership == DISK_IS_FENCED;
    pthread_mutex_unlock(&disk->lock);
    if (is_fenced) {
        answer->state = MARTLET_HEALTH_FAILED;
        disk_say(answer->reason, sizeof(answer->reason), "the cluster refuses this server: it was fenced");
    }
    return 0;
}

static struct tcmur_handler handler = {
    .name = "Ceph RBD",
    .subtype = "rbd",
    .cfg_desc = "POOL/IMAGE or POOL/NAMESPACE/IMAGE, perhaps @SNAPSHOT, then perhaps ;conf=PATH, ;id=USER, "
                ";osd_op_timeout=SECONDS, ;lock=auto and ;quarantine=SECONDS",
    .check_config = check_config,
    .reconfig = reconfigure,
    .open = disk_open,
    .close = disk_close,
    .nr_threads = 0,
    .read = disk_read,
    .write = disk_write,
    .flush = disk_flush,
    .unmap = disk_unmap,
    .writesame = disk_write_same,
    .caw = disk_compare_and_write,
};

static const struct martlet_handler_extension extension = {
    .size = sizeof(extension),
    .version = MARTLET_HANDLER_EXTENSION_VERSION,
    .flags = MARTLET_HANDLER_UNMAPPED_READS_ZERO | MARTLET_HANDLER_NEVER_BLOCKS | MARTLET_HANDLER_VECTORED |
             MARTLET_HANDLER_ZEROING_UNMAPS,
    .probe = probe,
    .write_zeroes = disk_write_zeroes,
    .health = health,
};

int handler_init(void) { return tcmur_register_handler(&handler); }

const struct martlet_handler_extension *martlet_handler_extension(void) { return &extension; }
