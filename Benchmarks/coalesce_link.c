// SPDX-License-Identifier: Apache-2.0
//
// A wire with a length: moves Ethernet frames between two TAP devices in two network namespaces, each a given time
// after it came. For kernels without netem. The devices' queueing disciplines shape the rate; segmentation and
// checksums are left to the ends (virtio-net headers go along), as a network card would do them.
//
//     coalesce_link NAMESPACE:DEVICE NAMESPACE:DEVICE DELAY-MICROSECONDS SPIN-MICROSECONDS
//
// It spins for the last SPIN-MICROSECONDS before a frame is due, and sleeps otherwise.
// Says "ready" when both devices are there. Ends on SIGTERM and prints one line of JSON: what it moved, and how late.
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_BYTES = 16 << 20,         // on their way in one direction: 120 ms at 1 Gb/s
    LARGEST_FRAME = 65536 + 64,    // a segmentation offload packet with its headers
    FRAMES_AT_A_TIME = 32,
    LATENESS_BINS = 1000,          // of one microsecond
};

struct frame {
    uint64_t due;
    uint32_t byte_count, stride;   // stride 0: the line goes on at its start
};

struct direction {
    int from, to;
    char *line;
    size_t head, tail, frame_count;
    uint64_t moved, dropped;
};

static volatile sig_atomic_t is_ending;
static uint64_t lateness[LATENESS_BINS], latest;

static void end(int number) {
    (void)number;
    is_ending = 1;
}

static void fail(const char *what) {
    fprintf(stderr, "coalesce_link: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Enters the namespace for good: the next call enters another.
static int open_device(const char *argument) {
    char path[512] = "/run/netns/";
    const char *colon = strchr(argument, ':');
    if (colon == NULL || (size_t)(colon - argument) + 12 > sizeof(path) || strlen(colon + 1) >= IFNAMSIZ) {
        errno = EINVAL;
        fail(argument);
    }
    memcpy(path + 11, argument, (size_t)(colon - argument));
    path[11 + (colon - argument)] = 0;
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) fail(path);
    close(space);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    strcpy(request.ifr_name, colon + 1);
    if (ioctl(device, TUNSETIFF, &request) != 0) fail(argument);
    if (ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0) fail("TUNSETOFFLOAD");
    return device;
}

// Room for the largest frame at the head, or NULL.
static struct frame *room(struct direction *direction) {
    size_t need = sizeof(struct frame) + LARGEST_FRAME;
    if (direction->frame_count == 0) direction->head = direction->tail = 0;
    if (direction->head >= direction->tail) {
        if (direction->head + need + sizeof(struct frame) <= LINE_BYTES) goto found;
        if (direction->tail <= need) return NULL;
        ((struct frame *)(void *)(direction->line + direction->head))->stride = 0;
        direction->head = 0;
    }
    if (direction->head + need >= direction->tail) return NULL;
found:
    return (struct frame *)(void *)(direction->line + direction->head);
}

// Takes frames that have come. Whether there were any.
static bool take(struct direction *direction, uint64_t delay) {
    for (int count = 0; count < FRAMES_AT_A_TIME; count++) {
        struct frame *frame = room(direction);
        static char waste[LARGEST_FRAME];
        ssize_t got = read(direction->from, frame ? (char *)(frame + 1) : waste, LARGEST_FRAME);
        if (got < 0) return count > 0;
        if (frame == NULL) {
            direction->dropped++;
            continue;
        }
        frame->due = now() + delay;
        frame->byte_count = (uint32_t)got;
        frame->stride = (uint32_t)((sizeof(*frame) + (size_t)got + 15) & ~(size_t)15);
        direction->head += frame->stride;
        direction->frame_count++;
    }
    return true;
}

static struct frame *first(struct direction *direction) {
    if (direction->frame_count == 0) return NULL;
    struct frame *frame = (struct frame *)(void *)(direction->line + direction->tail);
    if (frame->stride == 0) {
        direction->tail = 0;
        frame = (struct frame *)(void *)direction->line;
    }
    return frame;
}

// Gives those frames that are due.
static void give(struct direction *direction) {
    struct frame *frame;
    while ((frame = first(direction)) != NULL) {
        uint64_t time = now();
        if (time < frame->due) return;
        uint64_t late = time - frame->due;
        if (write(direction->to, frame + 1, frame->byte_count) == (ssize_t)frame->byte_count) {
            direction->moved++;
        } else {
            direction->dropped++;
        }
        lateness[late / 1000 < LATENESS_BINS ? late / 1000 : LATENESS_BINS - 1]++;
        if (late > latest) latest = late;
        direction->tail += frame->stride;
        direction->frame_count--;
    }
}

static void wait_for(struct direction *one, struct direction *other, uint64_t spin, const sigset_t *mask) {
    struct pollfd devices[] = {{.fd = one->from, .events = POLLIN}, {.fd = other->from, .events = POLLIN}};
    struct frame *ours = first(one), *theirs = first(other);
    struct timespec timeout = {0, 0}, *limit = NULL;
    if (ours != NULL || theirs != NULL) {
        uint64_t due = ours == NULL || (theirs != NULL && theirs->due < ours->due) ? theirs->due : ours->due;
        uint64_t time = now();
        if (due <= time + spin) return;
        timeout.tv_nsec = (long)(due - time - spin);
        limit = &timeout;
    }
    ppoll(devices, 2, limit, mask);
}

static double quantile(uint64_t total, double share) {
    uint64_t seen = 0;
    for (int bin = 0; bin < LATENESS_BINS; bin++) {
        seen += lateness[bin];
        if ((double)seen >= share * (double)total) return bin + 0.5;
    }
    return LATENESS_BINS;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: coalesce_link NAMESPACE:DEVICE NAMESPACE:DEVICE DELAY-MICROSECONDS "
                        "SPIN-MICROSECONDS\n");
        return 2;
    }
    uint64_t delay = strtoul(argv[3], NULL, 10) * 1000, spin = strtoul(argv[4], NULL, 10) * 1000;
    struct direction there = {.line = malloc(LINE_BYTES)}, back = {.line = malloc(LINE_BYTES)};
    if (there.line == NULL || back.line == NULL) fail("memory");
    there.from = back.to = open_device(argv[1]);
    there.to = back.from = open_device(argv[2]);
    prctl(PR_SET_TIMERSLACK, 1);
    // The signal is taken only while the link sleeps or looks, so that it cannot be missed between the two.
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    puts("ready");
    fflush(stdout);
    unsigned round = 0;
    while (!is_ending) {
        bool any = take(&there, delay);
        any = take(&back, delay) || any;
        give(&there);
        give(&back);
        // A busy link looks for the signal now and then, too.
        if (!any) wait_for(&there, &back, spin, &mask);
        if (++round % 4096 == 0) {
            sigset_t pending;
            sigpending(&pending);
            if (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT)) break;
        }
    }
    uint64_t total = 0;
    for (int bin = 0; bin < LATENESS_BINS; bin++) total += lateness[bin];
    printf("{\"frames\": %llu, \"dropped\": %llu, \"late_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
           "\"max\": %.1f}}\n",
           (unsigned long long)(there.moved + back.moved), (unsigned long long)(there.dropped + back.dropped),
           quantile(total, 0.5), quantile(total, 0.9), quantile(total, 0.99), (double)latest / 1000);
    return 0;
}
