// SPDX-License-Identifier: Apache-2.0
//
// floor [--port N] [--size BYTES] [--loops N] [--batch-only]
//
// Serves one LUN of memory on 127.0.0.1 and prints its URL. See floor.h for what it leaves out.
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"
#include "sizes.h"

enum { EVENTS_PER_WAIT = 64, MOST_LOOPS = 64, LISTEN_BACKLOG = 64, DEFAULT_STORE_BYTES = 256 * 1024 * 1024 };

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int epoll, int operation, struct floor_connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, operation, connection->fd, &event) < 0)
        die("epoll_ctl");
}

/// A loop owns its connections; nothing but the store is shared.
static void *run_loop(void *argument)
{
    int epoll = (int)(intptr_t)argument;
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct floor_connection *connection = events[i].data.ptr;
            bool was_blocked = (events[i].events & EPOLLOUT) != 0;
            enum floor_result result = floor_connection_turn(connection);
            // FLOOR_MORE needs nothing: the readiness is level-triggered.
            if (result == FLOOR_CLOSED)
                floor_connection_destroy(connection);
            else if (result == FLOOR_BLOCKED && !was_blocked)
                watch(epoll, EPOLL_CTL_MOD, connection, EPOLLOUT);
            else if (result != FLOOR_BLOCKED && was_blocked)
                watch(epoll, EPOLL_CTL_MOD, connection, EPOLLIN);
        }
    }
    return NULL;
}

static int listen_on_loopback(uint16_t *port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0
        || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, LISTEN_BACKLOG) < 0
        || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("cannot listen on 127.0.0.1");
    *port = ntohs(address.sin_port);
    return listener;
}

/// Connections go to the loops in turn.
static void accept_forever(
    int listener, uint16_t port, const struct floor_store *store, const int *loops, int loop_count)
{
    for (int turn = 0;;) {
        int yes = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            die("accept");
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct floor_connection *connection = floor_connection_create(fd, store, port);
        if (!connection)
            die("a connection");
        watch(loops[turn], EPOLL_CTL_ADD, connection, EPOLLIN);
        turn = (turn + 1) % loop_count;
    }
}

/// Memory that is there before the first command, in huge pages where the system has them.
static void create_store(struct floor_store *store)
{
    store->bytes = mmap(NULL, store->byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (store->bytes == MAP_FAILED)
        die("cannot map the store");
    madvise(store->bytes, store->byte_count, MADV_HUGEPAGE);
    memset(store->bytes, 0, store->byte_count);
}

static void usage(void)
{
    fprintf(stderr, "usage: floor [--port N] [--size BYTES[K|M|G]] [--loops N] [--batch-only]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"loops", required_argument, NULL, 'l'},
        {"batch-only", no_argument, NULL, 'b'},
        {0},
    };
    struct floor_store store = {.byte_count = DEFAULT_STORE_BYTES, .place = true};
    uint64_t port = 0, loop_count = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = option == 'p' ? parse_size(optarg, &port) && port <= UINT16_MAX
            : option == 's' ? parse_size(optarg, &store.byte_count)
            : option == 'l' ? parse_size(optarg, &loop_count) && loop_count <= MOST_LOOPS
            : option == 'b';
        if (!good)
            usage();
        if (option == 'b')
            store.place = false;
    }
    store.byte_count -= store.byte_count % SCSI_BLOCK_BYTES;
    if (optind < argc || store.byte_count == 0 || loop_count == 0)
        usage();

    create_store(&store);
    int loops[MOST_LOOPS];
    for (uint64_t i = 0; i < loop_count; i++) {
        pthread_t thread;
        loops[i] = epoll_create1(EPOLL_CLOEXEC);
        if (loops[i] < 0 || pthread_create(&thread, NULL, run_loop, (void *)(intptr_t)loops[i]) != 0)
            die("cannot start a loop");
    }
    uint16_t bound = (uint16_t)port;
    int listener = listen_on_loopback(&bound);
    printf("iscsi://127.0.0.1:%u/%s/0\n", bound, FLOOR_TARGET_NAME);
    fflush(stdout);
    accept_forever(listener, bound, &store, loops, (int)loop_count);
}
