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

/// From somewhere in the area to the same buffer, as a read is copied.
static double copy_of_block(void)
{
    static uint8_t buffer[BLOCK_BYTES];
    uint64_t begin = now(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(buffer, random_block(), BLOCK_BYTES);
        __asm__ volatile("" : : "r"(buffer) : "memory");
    }
    return (double)(now(CLOCK_MONOTONIC) - begin) / rounds;
}

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

/// A batch of PDUs, headers alone or with a block of the area each, from one end to the other.
static struct exchange exchange(unsigned pdus, bool with_data)
{
    static uint8_t header[HEADER_BYTES], received[ONE_RECEIVE_BYTES];
    static struct iovec vectors[2 * MOST_PDUS];
    unsigned repetitions = rounds * 4 / (pdus + 3) + 10;
    uint64_t send_ns = 0, receive_ns = 0;
    for (unsigned i = 0; i < repetitions; i++) {
        size_t count = 0, total = 0, sent = 0, arrived = 0, first = 0;
        for (unsigned pdu = 0; pdu < pdus; pdu++) {
            vectors[count++] = (struct iovec){header, HEADER_BYTES};
            if (with_data)
                vectors[count++] = (struct iovec){random_block(), BLOCK_BYTES};
        }
        for (size_t j = 0; j < count; j++)
            total += vectors[j].iov_len;
        while (arrived < total) {
            struct msghdr message = {.msg_iov = vectors + first, .msg_iovlen = count - first};
            uint64_t begin = now(CLOCK_MONOTONIC);
            ssize_t step = sent < total ? sendmsg(ends[0], &message, MSG_DONTWAIT) : 0;
            uint64_t between = now(CLOCK_MONOTONIC);
            send_ns += sent < total ? between - begin : 0;
            for (size_t left = step > 0 ? (size_t)step : 0; left > 0;) {
                size_t part = left < vectors[first].iov_len ? left : vectors[first].iov_len;
                vectors[first].iov_base = (uint8_t *)vectors[first].iov_base + part;
                vectors[first].iov_len -= part;
                left -= part;
                sent += part;
                first += vectors[first].iov_len == 0;
            }
            begin = now(CLOCK_MONOTONIC);
            step = recv(ends[1], received, sizeof received, MSG_DONTWAIT);
            receive_ns += now(CLOCK_MONOTONIC) - begin;
            if (step > 0)
                arrived += (size_t)step;
        }
    }
    return (struct exchange){(double)send_ns / repetitions, (double)receive_ns / repetitions};
}

static void print_exchanges(const char *name, bool with_data)
{
    static const unsigned batches[] = {1, 2, 4, 8, 16, 32, 64, 128};
    printf(", \"%s\": [", name);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        double send[5], receive[5];
        for (int j = 0; j < 5; j++) {
            struct exchange found = exchange(batches[i], with_data);
            send[j] = found.send_ns;
            receive[j] = found.receive_ns;
        }
        qsort(send, 5, sizeof send[0], by_value);
        qsort(receive, 5, sizeof receive[0], by_value);
        printf("%s{\"pdus\": %u, \"send_ns\": %.0f, \"receive_ns\": %.0f}", i ? ", " : "", batches[i], send[2],
               receive[2]);
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
    printf("{\"clock_ns\": %.1f, \"null_call_ns\": %.1f, \"copy_4k_ns\": %.1f, \"wake_up_ns\": %.0f",
           typical(clock_reading), typical(null_call), typical(copy_of_block), typical(wake_up));
    print_exchanges("headers", false);
    print_exchanges("blocks", true);
    printf("}\n");
    return 0;
}
