// SPDX-License-Identifier: Apache-2.0
// An open image.
#ifndef RBD_IMAGE_H
#define RBD_IMAGE_H

#include <rbd/librbd.h>
#include <stdint.h>

#include "cluster.h"
#include "martlet-handler.h"

#pragma GCC visibility push(hidden)

// Which image it is, whatever it was called by.
struct image_identity {
    char cluster[37];
    int64_t pool;
    char image[DISK_NAME_SIZE];
};

struct image {
    // Of those that this process may write to.
    struct image *next_writable;
    struct image_identity identity;
    struct cluster *cluster;
    rados_ioctx_t pool;
    rbd_image_t handle;
    // As it was opened.
    uint64_t byte_count;
    uint64_t object_size;
    // Consecutive bytes of the image are consecutive bytes of one object.
    bool is_plain;
    bool has_exclusive_lock;
    bool is_read_only;
};

// Connects and opens. May block. 0, or -errno and a sentence in reason.
int image_open(
    struct image *image, const struct disk_request *request, bool is_read_only, struct disk_reason *reason);
void image_close(struct image *image);
// Makes an open image this device's to write to, until it is closed. Two devices of a process never write to one image:
// they are one client to the cluster, or two that fence each other. 0, or -errno and a sentence in reason.
int image_claim(struct image *image, struct disk_reason *reason);
// As the probe of the extension. Changes nothing, and sets no watch.
int image_probe(const struct disk_request *request, struct martlet_probe *answer);

#pragma GCC visibility pop

#endif
