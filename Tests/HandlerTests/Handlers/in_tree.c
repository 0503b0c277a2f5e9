// SPDX-License-Identifier: Apache-2.0
// A handler in the shape of tcmu-runner's own: the same headers in the same order, lists, growing arrays, the macros
// and the log functions. It keeps its blocks in the file behind the subtype and, at close, writes what it was asked for
// to that file's name with ".journal" behind it:
//
//     writes N bytes longest L shortest S rounded R extents [offset+length ...]
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <scsi/scsi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "darray.h"
#include "scsi_defs.h"
#include "libtcmu.h"
#include "tcmu-runner.h"
#include "tcmur_device.h"
#include "tcmur_cmd_handler.h"
#include "ccan/build_assert/build_assert.h"
#include "ccan/str/str.h"
#include "be_byteshift.h"
#include "version.h"

struct extent {
    off_t offset;
    size_t length;
    struct list_node entry;
};

struct state {
    int fd;
    char *path;
    pthread_mutex_t lock;
    struct list_head extents;
    darray(size_t) lengths;
    // What container_of comes back from.
    struct tcmur_cmd *last;
};

static const char *const suffixes[] = { ".journal" };

static bool tree_check_config(const char *cfgstring, char **reason)
{
    const char *path = strchr(cfgstring, '/');
    if (path != NULL && strlen(path + 1) > 0) return true;
    if (asprintf(reason, "%s names no file", cfgstring) == -1) *reason = NULL;
    return false;
}

static int tree_open(struct tcmu_device *dev, bool reopen)
{
    const char *config = tcmu_dev_get_cfgstring(dev);
    struct state *state = calloc(1, sizeof(*state));
    BUILD_ASSERT(sizeof(state->extents) == 2 * sizeof(void *));

    if (state == NULL) return -ENOMEM;
    tcmur_dev_set_private(dev, state);
    tcmu_dev_set_write_cache_enabled(dev, true);
    list_head_init(&state->extents);
    darray_init(state->lengths);
    pthread_mutex_init(&state->lock, NULL);
    state->path = strdup(strchr(config, '/') + 1);
    state->fd = open(state->path, O_RDWR | O_CREAT, S_IRUSR | S_IWUSR);
    if (state->fd == -1) {
        tcmu_dev_err(dev, "could not open %s (reopen %d): %m\n", state->path, reopen);
        free(state->path);
        free(state);
        return -EIO;
    }
    tcmu_dev_dbg(dev, "config %s, as of %s\n", config, TCMUR_VERSION);
    return 0;
}

static void tree_journal(struct state *state, FILE *journal)
{
    struct extent *extent, *next;
    size_t *length, longest = 0, shortest = SIZE_MAX, total = 0;

    darray_foreach(length, state->lengths) {
        longest = max(longest, *length);
        shortest = min(shortest, *length);
        total += *length;
    }
    fprintf(journal, "writes %zu bytes %zu longest %zu shortest %zu rounded %zu extents", darray_size(state->lengths),
            total, longest, shortest, round_up(total, (size_t)4096));
    list_for_each_safe(&state->extents, extent, next, entry) {
        fprintf(journal, " %lld+%zu", (long long)extent->offset, extent->length);
        list_del(&extent->entry);
        free(extent);
    }
    fprintf(journal, "\n");
}

static void tree_close(struct tcmu_device *dev)
{
    struct state *state = tcmur_dev_get_private(dev);
    char *name = NULL;
    size_t index;

    for (index = 0; index < ARRAY_SIZE(suffixes); index++) {
        FILE *journal;
        if (asprintf(&name, "%s%s", state->path, suffixes[index]) == -1) break;
        journal = strends(name, ".journal") ? fopen(name, "w") : NULL;
        if (journal != NULL) {
            tree_journal(state, journal);
            fclose(journal);
        }
        free(name);
    }
    if (!list_empty(&state->extents)) tcmu_dev_crit(dev, "extents are left over\n");
    darray_free(state->lengths);
    pthread_mutex_destroy(&state->lock);
    close(state->fd);
    free(state->path);
    free(state);
}

static int tree_read(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t iov_cnt, size_t length, off_t offset)
{
    struct state *state = tcmur_dev_get_private(dev);
    size_t remaining = length;

    while (remaining > 0) {
        ssize_t count = preadv(state->fd, iov, iov_cnt, offset);
        if (count < 0) {
            tcmu_dev_err(dev, "read failed: %m\n");
            return tcmu_sense_set_data(cmd->lib_cmd->sense_buf, MEDIUM_ERROR, 0x1100);
        }
        if (count == 0) {
            tcmu_iovec_zero(iov, iov_cnt);
            break;
        }
        tcmu_iovec_seek(iov, count);
        offset += count;
        remaining -= count;
    }
    return TCMU_STS_OK;
}

static int tree_write(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t iov_cnt, size_t length, off_t offset)
{
    struct state *state = tcmur_dev_get_private(dev);
    struct extent *extent = malloc(sizeof(*extent));
    size_t remaining = length;

    if (extent == NULL) return TCMU_STS_NO_RESOURCE;
    extent->offset = offset;
    extent->length = length;
    pthread_mutex_lock(&state->lock);
    state->last = cmd;
    list_add_tail(&state->extents, &extent->entry);
    darray_append(state->lengths, length);
    if (container_of(&state->last, struct state, last) != state
        || list_tail(&state->extents, struct extent, entry) != extent)
        tcmu_dev_crit(dev, "the way back leads elsewhere\n");
    pthread_mutex_unlock(&state->lock);
    while (remaining > 0) {
        ssize_t count = pwritev(state->fd, iov, iov_cnt, offset);
        if (count < 0) return TCMU_STS_WR_ERR;
        tcmu_iovec_seek(iov, count);
        offset += count;
        remaining -= count;
    }
    return TCMU_STS_OK;
}

static int tree_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd)
{
    struct state *state = tcmur_dev_get_private(dev);
    (void)cmd;
    return fsync(state->fd) == 0 ? TCMU_STS_OK : TCMU_STS_WR_ERR;
}

static int tree_reconfig(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg)
{
    (void)dev;
    switch (cfg->type) {
    case TCMULIB_CFG_DEV_SIZE:
        return 0;
    case TCMULIB_CFG_DEV_CFGSTR:
    case TCMULIB_CFG_WRITE_CACHE:
    default:
        return -EOPNOTSUPP;
    }
}

struct tcmur_handler tree_handler = {
    .name = "In the shape of tcmu-runner's own",
    .subtype = "tree",
    .cfg_desc = "a path",
    .check_config = tree_check_config,
    .reconfig = tree_reconfig,
    .open = tree_open,
    .close = tree_close,
    .read = tree_read,
    .write = tree_write,
    .flush = tree_flush,
    .nr_threads = 2,
};


int handler_init(void)
{
    uint8_t bytes[8];
    put_unaligned_be32(0x12345678, bytes + 1);
    put_unaligned_be16(0xFFFE, bytes + 5);
    if (get_unaligned_be32(bytes + 1) != 0x12345678 || get_unaligned_be16(bytes + 5) != 0xFFFE) return -EINVAL;
    return tcmur_register_handler(&tree_handler);
}
