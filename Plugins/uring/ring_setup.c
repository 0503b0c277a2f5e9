// SPDX-License-Identifier: Apache-2.0
// Making a ring, trying it, and the words for why there is none.
//
// Neither SINGLE_ISSUER nor DEFER_TASKRUN nor COOP_TASKRUN is asked for: several loops submit, and whoever takes the
// completions is seldom who submitted. Without them the kernel finishes a request, posts its completion and signals
// the event descriptor even when the thread that submitted it sits in a long computation or a wait; with COOP_TASKRUN
// it would leave that until the thread enters the kernel by itself or is interrupted, by the clock's next tick at last.

#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Below this a ring is not worth having.
static const unsigned smallest_entry_count = 8;

static int refuse(int error, struct medium_reason *reason, const char *what) {
    const char *words = strerror(error);
    char number = '0';
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    if (file != NULL) {
        number = (char)fgetc(file);
        fclose(file);
    }
    if (error == ENOSYS) words = "this kernel has no io_uring";
    if (error == EPERM) {
        words = number == '1' || number == '2' ? "kernel.io_uring_disabled forbids it"
                                               : "it is forbidden, as by a container's seccomp filter";
    }
    if (error == ENOMEM) words = "there is no memory for it; is RLIMIT_MEMLOCK too low?";
    snprintf(reason->text, sizeof(reason->text), "%s: %s", what, words);
    return error;
}

// Asks for fewer entries when there is no memory for as many. A descriptor, or -errno.
static int create(unsigned entry_count, struct io_uring_params *parameters) {
    for (;;) {
        *parameters = (struct io_uring_params){.flags = IORING_SETUP_CLAMP};
        long descriptor = syscall(__NR_io_uring_setup, entry_count, parameters);
        if (descriptor >= 0) return (int)descriptor;
        if (errno != ENOMEM || entry_count <= smallest_entry_count) return -errno;
        entry_count /= 2;
    }
}

static void *map(const struct uring_ring *ring, size_t byte_count, off_t offset) {
    void *memory = mmap(
        NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor, offset);
    return memory == MAP_FAILED ? NULL : memory;
}

static unsigned *word(const struct uring_ring *ring, unsigned offset) {
    // The kernel aligns them.
    return (unsigned *)(void *)((uint8_t *)ring->rings + offset);
}

// 0 or an errno.
static int map_rings(struct uring_ring *ring, const struct io_uring_params *parameters) {
    const struct io_sqring_offsets *submission = &parameters->sq_off;
    const struct io_cqring_offsets *completion = &parameters->cq_off;
    size_t submissions_end = submission->array + parameters->sq_entries * sizeof(unsigned);
    size_t completions_end = completion->cqes + parameters->cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_byte_count = max(submissions_end, completions_end);
    ring->rings = map(ring, ring->rings_byte_count, IORING_OFF_SQ_RING);
    if (ring->rings == NULL) return errno;
    ring->submissions_byte_count = parameters->sq_entries * sizeof(struct io_uring_sqe);
    ring->submissions = map(ring, ring->submissions_byte_count, IORING_OFF_SQES);
    if (ring->submissions == NULL) return errno;
    ring->entry_count = parameters->sq_entries;
    ring->submission_head = word(ring, submission->head);
    ring->submission_tail = word(ring, submission->tail);
    ring->submission_mask = *word(ring, submission->ring_mask);
    ring->completion_head = word(ring, completion->head);
    ring->completion_tail = word(ring, completion->tail);
    ring->completion_mask = *word(ring, completion->ring_mask);
    ring->completions = (struct io_uring_cqe *)(void *)((uint8_t *)ring->rings + completion->cqes);
    // Entries are used in their order.
    for (unsigned index = 0; index < ring->entry_count; index++) word(ring, submission->array)[index] = index;
    return 0;
}

static int enroll(const struct uring_ring *ring, unsigned what, const void *argument, unsigned count) {
    return syscall(__NR_io_uring_register, ring->descriptor, what, argument, count) >= 0 ? 0 : errno;
}

// Whether the kernel knows every operation that is used. 0 or an errno.
static int check_operations(const struct uring_ring *ring) {
    static const uint8_t used[] = {
        IORING_OP_NOP,   IORING_OP_READ,  IORING_OP_WRITE,    IORING_OP_READV,
        IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
    };
    struct io_uring_probe *probe = calloc(1, sizeof(*probe) + IORING_OP_LAST * sizeof(probe->ops[0]));
    if (probe == NULL) return ENOMEM;
    int error = enroll(ring, IORING_REGISTER_PROBE, probe, IORING_OP_LAST);
    for (size_t index = 0; error == 0 && index < sizeof(used); index++) {
        bool is_known = used[index] <= probe->last_op && (probe->ops[used[index]].flags & IO_URING_OP_SUPPORTED) != 0;
        if (!is_known) error = ENOSYS;
    }
    free(probe);
    return error;
}

// One operation that does nothing: filters may allow a ring to be made and forbid its use. 0 or an errno.
static int try(struct uring_ring *ring) {
    static const struct uring_request nothing;
    struct uring_completion completion;
    uring_ring_put(ring, &nothing);
    ring->submissions[0].opcode = IORING_OP_NOP;
    ring->submissions[0].flags = 0;
    int count = uring_ring_enter(ring, 1);
    if (count != 1) return count < 0 ? -count : EIO;
    // It has been done before the call returned.
    return uring_ring_take(ring, &completion, 1) == 1 ? 0 : EIO;
}

static int set_up(struct uring_ring *ring, unsigned queue_depth, int file, struct medium_reason *reason) {
    struct io_uring_params parameters;
    ring->descriptor = create(queue_depth, &parameters);
    if (ring->descriptor < 0) return refuse(-ring->descriptor, reason, "io_uring_setup");
    // All in one area, nothing dropped, vectors copied: together since Linux 5.5.
    uint32_t wanted = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    if ((parameters.features & wanted) != wanted) return refuse(ENOSYS, reason, "io_uring_setup");
    int error = map_rings(ring, &parameters);
    if (error != 0) return refuse(error, reason, "mapping the ring");
    error = check_operations(ring);
    if (error != 0) return refuse(error, reason, "io_uring_register");
    ring->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ring->event < 0) return refuse(errno, reason, "eventfd");
    error = enroll(ring, IORING_REGISTER_EVENTFD, &ring->event, 1);
    if (error != 0) return refuse(error, reason, "io_uring_register");
    // Spares the kernel the search for the file, for each request. It works without.
    ring->is_registered = enroll(ring, IORING_REGISTER_FILES, &file, 1) == 0;
    ring->file = ring->is_registered ? 0 : file;
    error = try(ring);
    if (error != 0) return refuse(error, reason, "io_uring_enter");
    uring_ring_clear_event(ring);
    return 0;
}

int uring_ring_open(struct uring_ring *ring, unsigned queue_depth, int file, struct medium_reason *reason) {
    *ring = (struct uring_ring){.descriptor = -1, .event = -1};
    int error = set_up(ring, queue_depth, file, reason);
    if (error != 0) uring_ring_close(ring);
    return error;
}

void uring_ring_close(struct uring_ring *ring) {
    // A ring is taken apart some time after its descriptor is closed. The file must not wait for that: it is locked, and
    // may be opened again at once.
    if (ring->is_registered) enroll(ring, IORING_UNREGISTER_FILES, NULL, 0);
    if (ring->submissions != NULL) munmap(ring->submissions, ring->submissions_byte_count);
    if (ring->rings != NULL) munmap(ring->rings, ring->rings_byte_count);
    if (ring->descriptor >= 0) close(ring->descriptor);
    if (ring->event >= 0) close(ring->event);
    *ring = (struct uring_ring){.descriptor = -1, .event = -1};
}
