// SPDX-License-Identifier: Apache-2.0
//
// costs [ROUNDS]
//
// What this machine asks for the things that every server does: a system call, a wake-up, a copy, a send and a receive
// over loopback. Nanoseconds, as one line of JSON. All socket work is done by one thread, so nothing is hidden on
// another processor, and nothing is paid for the other processor's cache.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 48,
    BLOCK_BYTES = 4096,
    AREA_BYTES = 256 << 20,      // as the servers' area: most of it is in no cache
    ONE_RECEIVE_BYTES = 256 << 10,
    MOST_PDUS = 128,
    MOST_REPETITIONS = 10000,    // of a batch
    SLEEP_ENOUGH_NS = 20000,     // until a waiter surely sleeps
};

static unsigned rounds = 2000;
static uint8_t *area;

static void die(const char *what)
{
    fprintf(stderr, "costs: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint8_t *random_block(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return area + (state >> 33) % (AREA_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/// The median of a few repetitions, so that what else runs on the machine matters less.
static double typical(double (*measure)(void))
{
    double found[9];
    for (int i = 0; i < 9; i++)
        found[i] = measure();
    qsort(found, 9, sizeof found[0], by_value);
    return found[4];
}

static double clock_reading(void)
{
    uint64_t begin = now(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < rounds; i++)
        now(CLOCK_MONOTONIC);
    return (double)(now(CLOCK_MONOTONIC) - begin) / rounds;
}

static double null_call(void)
{
    uint64_t begin = now(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < rounds; i++)
        syscall(SYS_getppid);
    return (double)(now(CLOCK_MONOTONIC) - begin) / rounds;
}

/// A block, to or from somewhere in the area, or from one place that is in the cache to another.
static double copy_of_block(bool from_area, bool to_area)
{
    static uint8_t here[BLOCK_BYTES], there[BLOCK_BYTES];
    uint64_t begin = now(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t *to = to_area ? random_block() : there;
        memcpy(to, from_area ? random_block() : here, BLOCK_BYTES);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return (double)(now(CLOCK_MONOTONIC) - begin) / rounds;
}

static double copy_out_of_area(void) { return copy_of_block(true, false); }
static double copy_into_area(void) { return copy_of_block(false, true); }
static double copy_within_cache(void) { return copy_of_block(false, false); }

// MARK: wake-up

struct waiter {
    int epoll, event;
    atomic_uint taken;
    unsigned count;
    uint64_t cpu_ns;
};

static void wait_once(const struct waiter *waiter)
{
    struct epoll_event event;
    uint64_t value;
    if (epoll_wait(waiter->epoll, &event, 1, -1) != 1 || read(waiter->event, &value, sizeof value) != sizeof value)
        die("waiting");
}

static void notify(const struct waiter *waiter)
{
    uint64_t one = 1;
    if (write(waiter->event, &one, sizeof one) != sizeof one)
        die("eventfd");
}

static void *run_waiter(void *argument)
{
    struct waiter *waiter = argument;
    uint64_t begin = now(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < waiter->count; i++) {
        wait_once(waiter);
        atomic_store(&waiter->taken, i + 1);
    }
    waiter->cpu_ns = now(CLOCK_THREAD_CPUTIME_ID) - begin;
    return NULL;
}

/// CPU of the one who sleeps and is woken, beyond that of the same calls with the event at hand.
static double wake_up(void)
{
    struct waiter waiter = {.epoll = epoll_create1(0), .event = eventfd(0, 0), .count = rounds / 4};
    struct epoll_event event = {.events = EPOLLIN};
    if (waiter.event < 0 || epoll_ctl(waiter.epoll, EPOLL_CTL_ADD, waiter.event, &event) < 0)
        die("epoll");
    uint64_t at_hand = 0;
    for (unsigned i = 0; i < waiter.count; i++) {
        notify(&waiter);
        uint64_t begin = now(CLOCK_THREAD_CPUTIME_ID);
        wait_once(&waiter);
        at_hand += now(CLOCK_THREAD_CPUTIME_ID) - begin;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_waiter, &waiter) != 0)
        die("a thread");
    for (unsigned i = 0; i < waiter.count; i++) {
        for (uint64_t begin = now(CLOCK_MONOTONIC); now(CLOCK_MONOTONIC) - begin < SLEEP_ENOUGH_NS;)
            ;
        notify(&waiter);
        while (atomic_load(&waiter.taken) != i + 1)
            sched_yield();
    }
    pthread_join(thread, NULL);
    close(waiter.event);
    close(waiter.epoll);
    return ((double)waiter.cpu_ns - (double)at_hand) / waiter.count;
}

// MARK: sockets

static int ends[2];  // of one connection: we send on the first

static void connect_ends(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0
        || getsockname(listener, (struct sockaddr *)&address, &length) < 0
        || connect(ends[0], (struct sockaddr *)&address, length) < 0 || (ends[1] = accept(listener, NULL, NULL)) < 0)
        die("loopback");
    close(listener);
    setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

struct exchange {
    double send_ns, receive_ns;  // of the whole batch, in the fewest calls that the socket allows
};

static void add_iovecs(struct iovec *vectors, size_t *count, unsigned pdus, bool with_data)
{
    static uint8_t header[HEADER_BYTES];
    for (unsigned pdu = 0; pdu < pdus; pdu++) {
        vectors[(*count)++] = (struct iovec){header, HEADER_BYTES};
        if (with_data)
            vectors[(*count)++] = (struct iovec){random_block(), BLOCK_BYTES};
    }
}

/// How many of the vectors have gone, when `left` more bytes have; the first of the others loses what it had sent.
static size_t advance(struct iovec *vectors, size_t first, size_t left)
{
    while (left > 0) {
        size_t part = left < vectors[first].iov_len ? left : vectors[first].iov_len;
        vectors[first].iov_base = (uint8_t *)vectors[first].iov_base + part;
        vectors[first].iov_len -= part;
        left -= part;
        first += vectors[first].iov_len == 0;
    }
    return first;
}

/// A batch of PDUs, headers alone or with a block of the area each, once from one end to the other.
static struct exchange exchange_once(unsigned pdus, bool with_data)
{
    static uint8_t received[ONE_RECEIVE_BYTES];
    static struct iovec vectors[2 * MOST_PDUS];
    struct exchange spent = {0};
    size_t count = 0, first = 0, total = (size_t)pdus * (HEADER_BYTES + (with_data ? BLOCK_BYTES : 0));
    add_iovecs(vectors, &count, pdus, with_data);
    for (size_t arrived = 0; arrived < total;) {
        struct msghdr message = {.msg_iov = vectors + first, .msg_iovlen = count - first};
        if (first < count) {
            uint64_t begin = now(CLOCK_MONOTONIC);
            ssize_t step = sendmsg(ends[0], &message, MSG_DONTWAIT);
            spent.send_ns += (double)(now(CLOCK_MONOTONIC) - begin);
            first = advance(vectors, first, step > 0 ? (size_t)step : 0);
        }
        uint64_t begin = now(CLOCK_MONOTONIC);
        ssize_t step = recv(ends[1], received, sizeof received, MSG_DONTWAIT);
        spent.receive_ns += (double)(now(CLOCK_MONOTONIC) - begin);
        arrived += step > 0 ? (size_t)step : 0;
    }
    return spent;
}

/// The medians of many, since a thread that is put aside in the middle of a call says nothing about the call.
static struct exchange exchange(unsigned pdus, bool with_data)
{
    static double send[MOST_REPETITIONS], receive[MOST_REPETITIONS];
    unsigned count = rounds * 4 / (pdus + 3) + 10;
    if (count > MOST_REPETITIONS)
        count = MOST_REPETITIONS;
    for (unsigned i = 0; i < count; i++) {
        struct exchange spent = exchange_once(pdus, with_data);
        send[i] = spent.send_ns;
        receive[i] = spent.receive_ns;
    }
    qsort(send, count, sizeof send[0], by_value);
    qsort(receive, count, sizeof receive[0], by_value);
    return (struct exchange){send[count / 2], receive[count / 2]};
}

static void print_exchanges(const char *name, bool with_data)
{
    static const unsigned batches[] = {1, 2, 4, 8, 16, 32, 64, 128};
    printf(", \"%s\": [", name);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        struct exchange found = exchange(batches[i], with_data);
        printf("%s{\"pdus\": %u, \"send_ns\": %.0f, \"receive_ns\": %.0f}", i ? ", " : "", batches[i], found.send_ns,
               found.receive_ns);
    }
    printf("]");
}

int main(int argc, char **argv)
{
    if (argc > 1 && (rounds = (unsigned)strtoul(argv[1], NULL, 10)) < 100) {
        fprintf(stderr, "usage: costs [ROUNDS], at least 100\n");
        return 2;
    }
    area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        die("memory");
    madvise(area, AREA_BYTES, MADV_HUGEPAGE);
    memset(area, 1, AREA_BYTES);
    connect_ends();
    printf("{\"clock_ns\": %.1f, \"null_call_ns\": %.1f, \"wake_up_ns\": %.0f", typical(clock_reading),
           typical(null_call), typical(wake_up));
    printf(", \"copy_out_ns\": %.1f, \"copy_in_ns\": %.1f, \"copy_cached_ns\": %.1f", typical(copy_out_of_area),
           typical(copy_into_area), typical(copy_within_cache));
    print_exchanges("headers", false);
    print_exchanges("blocks", true);
    printf("}\n");
    return 0;
}
