// SPDX-License-Identifier: Apache-2.0

#include "image.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct image *writable;

static int refuse(struct disk_reason *reason, int result, const struct image *image, const char *what) {
    const char *advice = result == -EPERM || result == -EACCES ? ": give the user the capabilities of profile rbd" : "";
    disk_say(
        reason->text, sizeof(reason->text), "cannot %s in %s: %s%s", what, cluster_name(image->cluster),
        strerror(-result), advice);
    return result;
}

static int missing(struct disk_reason *reason, const struct image *image, const char *kind, const char *name) {
    disk_say(
        reason->text, sizeof(reason->text), "there is no %s \"%s\" in %s", kind, name, cluster_name(image->cluster));
    return -ENOENT;
}

static int enter_pool(struct image *image, const struct disk_request *request, struct disk_reason *reason) {
    int result = rados_ioctx_create(cluster_handle(image->cluster), request->pool, &image->pool);
    if (result == -ENOENT) return missing(reason, image, "pool", request->pool);
    if (result != 0) return refuse(reason, result, image, "use the pool");
    if (request->name_space[0] == '\0') return 0;
    bool is_there = false;
    result = rbd_namespace_exists(image->pool, request->name_space, &is_there);
    if (result == 0 && is_there) {
        rados_ioctx_set_namespace(image->pool, request->name_space);
        return 0;
    }
    rados_ioctx_destroy(image->pool);
    return result == 0 ? missing(reason, image, "namespace", request->name_space)
                       : refuse(reason, result, image, "look for the namespace");
}

// 0 or -errno.
static int open_handle(struct image *image, const struct disk_request *request, const char *snapshot) {
    return image->is_read_only ? rbd_open_read_only(image->pool, request->image, &image->handle, snapshot)
                               : rbd_open(image->pool, request->image, &image->handle, snapshot);
}

static int open_named(struct image *image, const struct disk_request *request, struct disk_reason *reason) {
    bool wants_snapshot = request->snapshot[0] != '\0';
    int result = open_handle(image, request, wants_snapshot ? request->snapshot : NULL);
    if (result == 0) return 0;
    if (result != -ENOENT) return refuse(reason, result, image, "open the image");
    // Which of the two is not there?
    if (wants_snapshot && open_handle(image, request, NULL) == 0) {
        rbd_close(image->handle);
        return missing(reason, image, "snapshot", request->snapshot);
    }
    return missing(reason, image, "image", request->image);
}

static int look_at(struct image *image, struct disk_reason *reason) {
    rbd_image_info_t info;
    uint64_t features = 0, stripe_unit = 0, stripe_count = 0;
    int result = rbd_stat(image->handle, &info, sizeof(info));
    if (result == 0) result = rbd_get_features(image->handle, &features);
    if (result == 0) result = rbd_get_stripe_unit(image->handle, &stripe_unit);
    if (result == 0) result = rbd_get_stripe_count(image->handle, &stripe_count);
    if (result != 0) return refuse(reason, result, image, "look at the image");
    image->byte_count = info.size;
    image->object_size = info.obj_size;
    image->is_plain = stripe_count <= 1 && (stripe_unit == 0 || stripe_unit == info.obj_size);
    image->has_exclusive_lock = (features & RBD_FEATURE_EXCLUSIVE_LOCK) != 0;
    return 0;
}

static int identify(struct image *image, struct disk_reason *reason) {
    struct image_identity *identity = &image->identity;
    int result = rados_cluster_fsid(cluster_handle(image->cluster), identity->cluster, sizeof(identity->cluster));
    if (result >= 0) result = rbd_get_id(image->handle, identity->image, sizeof(identity->image));
    // Images of the first format have no identifier; they have no lock, either.
    if (result == -EINVAL) result = 0;
    identity->pool = rados_ioctx_get_id(image->pool);
    return result < 0 ? refuse(reason, result, image, "identify the image") : 0;
}

static bool is_same(const struct image_identity *one, const struct image_identity *other) {
    return one->pool == other->pool && strcmp(one->cluster, other->cluster) == 0 &&
           strcmp(one->image, other->image) == 0 && one->image[0] != '\0';
}

int image_claim(struct image *image, struct disk_reason *reason) {
    int result = identify(image, reason);
    if (result != 0) return result;
    pthread_mutex_lock(&lock);
    struct image *each = writable;
    while (each != NULL && !is_same(&each->identity, &image->identity)) each = each->next_writable;
    if (each == NULL) {
        image->next_writable = writable;
        writable = image;
    }
    pthread_mutex_unlock(&lock);
    if (each == NULL) return 0;
    disk_say(reason->text, sizeof(reason->text), "the image is in use by another device of this server");
    return -EBUSY;
}

static void give_up_claim(struct image *image) {
    pthread_mutex_lock(&lock);
    struct image **place = &writable;
    while (*place != NULL && *place != image) place = &(*place)->next_writable;
    if (*place != NULL) *place = image->next_writable;
    pthread_mutex_unlock(&lock);
}

int image_open(
    struct image *image, const struct disk_request *request, bool is_read_only, struct disk_reason *reason) {
    *image = (struct image){.is_read_only = is_read_only || request->snapshot[0] != '\0'};
    int result = cluster_get(request, &image->cluster, reason);
    if (result != 0) return result;
    result = enter_pool(image, request, reason);
    if (result == 0) {
        result = open_named(image, request, reason);
        if (result == 0) {
            result = look_at(image, reason);
            if (result == 0) return 0;
            rbd_close(image->handle);
        }
        rados_ioctx_destroy(image->pool);
    }
    // Blocklisted while others hold it: the next one gets a connection of its own.
    if (result == -ESHUTDOWN) cluster_retire(image->cluster);
    cluster_put(image->cluster);
    return result;
}

void image_close(struct image *image) {
    give_up_claim(image);
    rbd_close(image->handle);
    rados_ioctx_destroy(image->pool);
    cluster_put(image->cluster);
}

int image_probe(const struct disk_request *request, struct martlet_probe *answer) {
    struct image image;
    struct disk_reason reason = {""};
    int result = image_open(&image, request, true, &reason);
    if (result != 0) {
        disk_say(answer->reason, sizeof(answer->reason), "%s", reason.text);
        return result;
    }
    answer->byte_count = image.byte_count;
    if (request->snapshot[0] != '\0') answer->flags |= MARTLET_PROBE_READ_ONLY;
    image_close(&image);
    return 0;
}
