// SPDX-License-Identifier: Apache-2.0
// A cluster in memory, in the place of librados and librbd under the plugin "rbd": one pool "rbd", one image "image".
// Two threads do what is queued, in any order. Faults stand in a file "faults" beside the shared object, NAME=VALUE on
// each line; calls are written to a file "log" there.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <rbd/librbd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "martlet-handler.h"

const struct martlet_handler_extension *martlet_handler_extension(void);

enum { image_size = 2 << 20, object_size = 1 << 16, owner_size = 32 };

static const char *const names[] = {
    "NO_LOCK", // the image has no feature exclusive-lock
    "OTHER_OWNER", // another client has the lock at first
    "FENCED_AFTER", // the second connection (the first is the probe's) is blocklisted after so many operations
    "TAKEN_OVER", // and another client has the lock then
    "TIMEOUT_FROM", // operations time out from this byte on
    "OLD_MISMATCH", // a difference is told from where the object begins
    "GROWN", // the image is so large after the first write
};
enum { NO_LOCK, OTHER_OWNER, FENCED_AFTER, TAKEN_OVER, TIMEOUT_FROM, OLD_MISMATCH, GROWN, COUNT };
// -1: there is no such fault.
static long faults[COUNT];
static int logged;

struct connection {
    char address[owner_size];
    bool is_fenced;
};

struct handle {
    struct connection *connection;
    rbd_update_callback_t changed;
    void *changed_argument;
};

struct operation {
    struct operation *next;
    struct handle *handle;
    int (*perform)(struct operation *operation);
    bool is_change;
    uint64_t offset;
    size_t length;
    const struct iovec *vector;
    int count;
    struct iovec one;
    const char *compared;
    uint64_t *mismatch;
    struct completion *completion;
};

struct completion {
    rbd_callback_t callback;
    void *argument;
    ssize_t result;
    struct operation operation;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queued = PTHREAD_COND_INITIALIZER;
static struct operation *operations;
static unsigned waiting, generator = 1, operation_count, connection_count;
static uint64_t size = image_size;
static char owner[owner_size];
// Room for what GROWN asks for.
static char medium[2 * image_size];

static void note(const char *format, ...) {
    char line[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(logged, line, (size_t)length) != length) abort();
}

static bool has(int fault) { return faults[fault] >= 0; }

// Under the lock: one of those that wait, whichever.
static struct operation *take(void) {
    struct operation **place = &operations;
    generator = generator * 1103515245 + 12345;
    for (unsigned skipped = (generator >> 16) % waiting; skipped > 0; skipped--) place = &(*place)->next;
    struct operation *operation = *place;
    *place = operation->next;
    waiting--;
    return operation;
}

static void fence(struct connection *connection) {
    connection->is_fenced = true;
    if (has(TAKEN_OVER)) strcpy(owner, "other");
}

// Under the lock.
static ssize_t result_of(struct operation *operation) {
    struct connection *connection = operation->handle->connection;
    bool is_second = strcmp(connection->address, "client2") == 0;
    if (has(FENCED_AFTER) && is_second && operation_count++ == faults[FENCED_AFTER]) fence(connection);
    if (connection->is_fenced) return -ESHUTDOWN;
    if (has(TIMEOUT_FROM) && operation->offset >= (uint64_t)faults[TIMEOUT_FROM]) return -ETIMEDOUT;
    // Without the feature anybody may write.
    if (operation->is_change && !has(NO_LOCK) && strcmp(owner, connection->address) != 0) return -EROFS;
    return operation->perform(operation);
}

static void *work(void *nothing) {
    pthread_mutex_lock(&lock);
    while (true) {
        while (operations == NULL) pthread_cond_wait(&queued, &lock);
        struct operation *operation = take();
        struct completion *completion = operation->completion;
        struct handle *handle = operation->handle;
        completion->result = result_of(operation);
        bool grows = operation->is_change && has(GROWN) && size == image_size;
        if (grows) size = (uint64_t)faults[GROWN];
        pthread_mutex_unlock(&lock);
        if (grows) handle->changed(handle->changed_argument);
        completion->callback(completion, completion->argument);
        pthread_mutex_lock(&lock);
    }
    return nothing;
}

__attribute__((constructor)) static void start(void) {
    char path[PATH_MAX], name[64];
    Dl_info here;
    pthread_t thread;
    long value;
    dladdr((void *)martlet_handler_extension, &here);
    int length = (int)(strrchr(here.dli_fname, '/') - here.dli_fname);
    snprintf(path, sizeof path, "%.*s/log", length, here.dli_fname);
    logged = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
    snprintf(path, sizeof path, "%.*s/faults", length, here.dli_fname);
    FILE *file = fopen(path, "re");
    for (int index = 0; index < COUNT; index++) faults[index] = -1;
    while (file != NULL && fscanf(file, "%63[^=]=%ld\n", name, &value) == 2) {
        int index = 0;
        while (index < COUNT && strcmp(names[index], name) != 0) index++;
        if (index == COUNT) abort();
        faults[index] = value;
    }
    if (file != NULL) fclose(file);
    if (has(OTHER_OWNER)) strcpy(owner, "other");
    for (int index = 0; index < 2; index++) pthread_create(&thread, NULL, work, NULL);
}

// Operations.

static int enqueue(rbd_completion_t completion, struct operation operation) {
    struct completion *mine = completion;
    mine->operation = operation;
    mine->operation.completion = mine;
    pthread_mutex_lock(&lock);
    mine->operation.next = operations;
    operations = &mine->operation;
    waiting++;
    pthread_cond_signal(&queued);
    pthread_mutex_unlock(&lock);
    return 0;
}

static int perform_read(struct operation *operation) {
    char *from = medium + operation->offset;
    const struct iovec *vector = operation->vector != NULL ? operation->vector : &operation->one;
    for (int index = 0; index < operation->count; from += vector[index++].iov_len) {
        memcpy(vector[index].iov_base, from, vector[index].iov_len);
    }
    return (int)(from - medium - operation->offset);
}

static int perform_write(struct operation *operation) {
    char *to = medium + operation->offset;
    const struct iovec *vector = operation->vector != NULL ? operation->vector : &operation->one;
    for (int index = 0; index < operation->count; to += vector[index++].iov_len) {
        memcpy(to, vector[index].iov_base, vector[index].iov_len);
    }
    return 0;
}

static int perform_zero(struct operation *operation) {
    memset(medium + operation->offset, 0, operation->length);
    return 0;
}

static int perform_same(struct operation *operation) {
    for (size_t done = 0; done < operation->length; done += operation->one.iov_len) {
        memcpy(medium + operation->offset + done, operation->one.iov_base, operation->one.iov_len);
    }
    return 0;
}

static int perform_compare(struct operation *operation) {
    const char *there = medium + operation->offset;
    for (size_t index = 0; index < operation->length; index++) {
        if (there[index] == operation->compared[index]) continue;
        uint64_t from = operation->offset;
        if (has(OLD_MISMATCH)) from -= from % object_size;
        *operation->mismatch = from + index;
        return -EILSEQ;
    }
    return perform_write(operation);
}

int rbd_aio_readv(rbd_image_t image, const struct iovec *vector, int count, uint64_t offset, rbd_completion_t end) {
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_read, .offset = offset, .vector = vector, .count = count});
}

int rbd_aio_read(rbd_image_t image, uint64_t offset, size_t length, char *memory, rbd_completion_t end) {
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_read, .offset = offset, .one = {memory, length}, .count = 1});
}

int rbd_aio_writev(rbd_image_t image, const struct iovec *vector, int count, uint64_t offset, rbd_completion_t end) {
    note("write %llu\n", (unsigned long long)offset);
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_write, .is_change = true, .offset = offset, .vector = vector,
                 .count = count});
}

int rbd_aio_write(rbd_image_t image, uint64_t offset, size_t length, const char *memory, rbd_completion_t end) {
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_write, .is_change = true, .offset = offset,
                 .one = {(char *)memory, length}, .count = 1});
}

int rbd_aio_write_zeroes(
    rbd_image_t image, uint64_t offset, size_t length, rbd_completion_t end, int zero_flags, int flags) {
    note("zero %llu %zu %s\n", (unsigned long long)offset, length, zero_flags == 0 ? "thin" : "thick");
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_zero, .is_change = true, .offset = offset, .length = length});
}

int rbd_aio_writesame(
    rbd_image_t image, uint64_t offset, size_t length, const char *memory, size_t block, rbd_completion_t end,
    int flags) {
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_same, .is_change = true, .offset = offset, .length = length,
                 .one = {(char *)memory, block}});
}

ssize_t rbd_aio_compare_and_write(
    rbd_image_t image, uint64_t offset, size_t length, const char *compared, const char *memory, rbd_completion_t end,
    uint64_t *mismatch, int flags) {
    // Releases before 17 take no more.
    if (length > 512 || offset % 512 != 0) return -EINVAL;
    return enqueue(
        end, (struct operation){
                 .handle = image, .perform = perform_compare, .is_change = true, .offset = offset, .length = length,
                 .one = {(char *)memory, length}, .count = 1, .compared = compared, .mismatch = mismatch});
}

static int perform_nothing(struct operation *operation) { return operation->count; }

int rbd_aio_flush(rbd_image_t image, rbd_completion_t end) {
    return enqueue(end, (struct operation){.handle = image, .perform = perform_nothing});
}

int rbd_aio_create_completion(void *argument, rbd_callback_t callback, rbd_completion_t *completion) {
    struct completion *made = calloc(1, sizeof *made);
    made->callback = callback;
    made->argument = argument;
    *completion = made;
    return 0;
}

ssize_t rbd_aio_get_return_value(rbd_completion_t completion) { return ((struct completion *)completion)->result; }
void rbd_aio_release(rbd_completion_t completion) { free(completion); }

// Images.

int rbd_open(rados_ioctx_t pool, const char *name, rbd_image_t *image, const char *snapshot) {
    if (strcmp(name, "image") != 0 || snapshot != NULL) return -ENOENT;
    struct handle *handle = calloc(1, sizeof *handle);
    handle->connection = pool;
    *image = handle;
    return 0;
}

int rbd_open_read_only(rados_ioctx_t pool, const char *name, rbd_image_t *image, const char *snapshot) {
    return rbd_open(pool, name, image, snapshot);
}

int rbd_close(rbd_image_t image) {
    struct handle *handle = image;
    pthread_mutex_lock(&lock);
    if (strcmp(owner, handle->connection->address) == 0 && !handle->connection->is_fenced) owner[0] = '\0';
    pthread_mutex_unlock(&lock);
    free(handle);
    return 0;
}

int rbd_get_size(rbd_image_t image, uint64_t *answer) {
    pthread_mutex_lock(&lock);
    *answer = size;
    pthread_mutex_unlock(&lock);
    return 0;
}

int rbd_stat(rbd_image_t image, rbd_image_info_t *info, size_t info_size) {
    info->obj_size = object_size;
    return rbd_get_size(image, &info->size);
}

int rbd_get_features(rbd_image_t image, uint64_t *features) {
    *features = has(NO_LOCK) ? 0 : RBD_FEATURE_EXCLUSIVE_LOCK;
    return 0;
}

int rbd_get_stripe_unit(rbd_image_t image, uint64_t *unit) {
    *unit = object_size;
    return 0;
}

int rbd_get_stripe_count(rbd_image_t image, uint64_t *count) {
    *count = 1;
    return 0;
}

int rbd_get_id(rbd_image_t image, char *identifier, size_t room) {
    snprintf(identifier, room, "1");
    return 0;
}

int rbd_resize(rbd_image_t image, uint64_t wanted) { return -EPERM; }
int rbd_namespace_exists(rados_ioctx_t pool, const char *name, bool *is_there) {
    *is_there = false;
    return 0;
}

int rbd_update_watch(rbd_image_t image, uint64_t *watch, rbd_update_callback_t changed, void *argument) {
    struct handle *handle = image;
    handle->changed = changed;
    handle->changed_argument = argument;
    return 0;
}

int rbd_update_unwatch(rbd_image_t image, uint64_t watch) { return 0; }

// The lock.

int rbd_is_exclusive_lock_owner(rbd_image_t image, int *is_owner) {
    struct handle *handle = image;
    pthread_mutex_lock(&lock);
    *is_owner = strcmp(owner, handle->connection->address) == 0;
    pthread_mutex_unlock(&lock);
    return 0;
}

int rbd_lock_get_owners(rbd_image_t image, rbd_lock_mode_t *mode, char **owners, size_t *count) {
    pthread_mutex_lock(&lock);
    int result = owner[0] != '\0' ? 0 : -ENOENT;
    owners[0] = strdup(owner);
    *count = 1;
    pthread_mutex_unlock(&lock);
    return result;
}

void rbd_lock_get_owners_cleanup(char **owners, size_t count) { free(owners[0]); }

int rbd_lock_break(rbd_image_t image, rbd_lock_mode_t mode, const char *broken) {
    note("break %s\n", broken);
    pthread_mutex_lock(&lock);
    owner[0] = '\0';
    pthread_mutex_unlock(&lock);
    return 0;
}

int rbd_lock_acquire(rbd_image_t image, rbd_lock_mode_t mode) {
    struct handle *handle = image;
    note("acquire\n");
    pthread_mutex_lock(&lock);
    int result = owner[0] != '\0' ? -EROFS : 0;
    if (result == 0) strcpy(owner, handle->connection->address);
    pthread_mutex_unlock(&lock);
    return result;
}

// Connections.

int rados_create(rados_t *cluster, const char *const id) {
    struct connection *connection = calloc(1, sizeof *connection);
    pthread_mutex_lock(&lock);
    snprintf(connection->address, owner_size, "client%u", ++connection_count);
    pthread_mutex_unlock(&lock);
    note("connect %s\n", id != NULL ? id : "admin");
    *cluster = connection;
    return 0;
}

void rados_shutdown(rados_t cluster) {
    note("disconnect\n");
    free(cluster);
}

int rados_conf_read_file(rados_t cluster, const char *path) {
    return path != NULL && strcmp(path, "/nowhere") == 0 ? -ENOENT : 0;
}

int rados_conf_set(rados_t cluster, const char *name, const char *value) {
    note("%s=%s\n", name, value);
    return 0;
}

int rados_conf_parse_env(rados_t cluster, const char *name) { return 0; }
int rados_conf_get(rados_t cluster, const char *name, char *text, size_t room) { return -ENOENT; }
int rados_connect(rados_t cluster) { return 0; }

int rados_ioctx_create(rados_t cluster, const char *pool, rados_ioctx_t *context) {
    *context = cluster;
    return strcmp(pool, "rbd") == 0 ? 0 : -ENOENT;
}

int64_t rados_ioctx_get_id(rados_ioctx_t context) { return 1; }

int rados_cluster_fsid(rados_t cluster, char *text, size_t room) {
    snprintf(text, room, "one");
    return 3;
}

void rados_ioctx_destroy(rados_ioctx_t context) {}
void rados_ioctx_set_namespace(rados_ioctx_t context, const char *name) {}
