// SPDX-License-Identifier: Apache-2.0
// How faulty.c ends commands: with THREADS 0 by tcmur_cmd_complete, otherwise by what its callouts return. And what
// its threads do later than they should.
#ifndef FAULTY_WORKER_H
#define FAULTY_WORKER_H

#ifndef THREADS
#define THREADS 4
#endif

static int finish(struct tcmu_device *dev, struct tcmur_cmd *cmd, int status, bool twice) {
    if (THREADS > 0) return status;
    tcmur_cmd_complete(dev, cmd, status);
    if (twice) tcmur_cmd_complete(dev, cmd, status);
    return TCMU_STS_OK;
}

// The command has no end: with threads of the host's, its callout does not return.
static int lose(void) {
    while (THREADS > 0) pause();
    return TCMU_STS_OK;
}

struct later {
    struct tcmu_device *dev;
    struct tcmur_cmd *cmd;
    // A byte that is cleared.
    char *byte;
    int descriptor;
    void *data;
    size_t length;
    off_t offset;
};

static pthread_mutex_t writes_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t writes_done = PTHREAD_COND_INITIALIZER;
static int writes_to_come;

static void count_writes(int change) {
    pthread_mutex_lock(&writes_lock);
    writes_to_come += change;
    if (writes_to_come == 0) pthread_cond_broadcast(&writes_done);
    pthread_mutex_unlock(&writes_lock);
}

static void *do_later(void *argument) {
    struct later *later = argument;
    // Late is behind whatever the host does next, and nothing tells a handler that it has done so: a time alone can
    // stand for it.
    usleep(50000);
    if (later->cmd != NULL) tcmur_cmd_complete(later->dev, later->cmd, TCMU_STS_OK);
    if (later->byte != NULL) *later->byte = 0;
    if (later->data != NULL) {
        if (pwrite(later->descriptor, later->data, later->length, later->offset) < 0) perror("pwrite");
        free(later->data);
        count_writes(-1);
    }
    free(later);
    return NULL;
}

static void start(struct later fields) {
    pthread_t thread;
    struct later *later = malloc(sizeof(*later));
    *later = fields;
    if (pthread_create(&thread, NULL, do_later, later) == 0) pthread_detach(thread);
}

__attribute__((unused)) static void complete_later(struct tcmu_device *dev, struct tcmur_cmd *cmd) {
    start((struct later){.dev = dev, .cmd = cmd});
}

__attribute__((unused)) static void write_later(int descriptor, void *data, size_t length, off_t offset) {
    count_writes(1);
    start((struct later){.descriptor = descriptor, .data = data, .length = length, .offset = offset});
}

__attribute__((unused)) static void clear_later(char *byte) { start((struct later){.byte = byte}); }

static void wait_for_writes(void) {
    pthread_mutex_lock(&writes_lock);
    while (writes_to_come > 0) pthread_cond_wait(&writes_done, &writes_lock);
    pthread_mutex_unlock(&writes_lock);
}

#endif
