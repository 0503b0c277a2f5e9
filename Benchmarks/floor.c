// SPDX-License-Identifier: Apache-2.0
//
// floor [--port N] [--size BYTES] [--loops N] [--poller epoll|io_uring] [--batch-only]
//
// Serves one LUN of memory on 127.0.0.1 and prints its URL. See floor.h for what it leaves out.
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"
#include "sizes.h"

enum { MOST_LOOPS = 64, LISTEN_BACKLOG = 64, DEFAULT_STORE_BYTES = 256 * 1024 * 1024 };

void floor_die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
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
        floor_die("cannot listen on 127.0.0.1");
    *port = ntohs(address.sin_port);
    return listener;
}

/// Connections go to the loops in turn.
static void accept_forever(
    int listener, uint16_t port, const struct floor_store *store, const struct floor_poller *poller, const int *loops,
    int loop_count)
{
    for (int turn = 0;;) {
        // io_uring waits by itself, and would take a descriptor that does not block at its word.
        int mode = poller == &floor_epoll ? SOCK_NONBLOCK | SOCK_CLOEXEC : SOCK_CLOEXEC;
        int yes = 1, fd = accept4(listener, NULL, NULL, mode);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            floor_die("accept");
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct floor_connection *connection = floor_connection_create(fd, store, port);
        if (!connection)
            floor_die("a connection");
        if (!poller->adopt(loops[turn], connection))
            floor_die("cannot hand a connection to its loop");
        turn = (turn + 1) % loop_count;
    }
}

/// Memory that is there before the first command, in huge pages where the system has them.
static void create_store(struct floor_store *store)
{
    store->bytes = mmap(NULL, store->byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (store->bytes == MAP_FAILED)
        floor_die("cannot map the store");
    madvise(store->bytes, store->byte_count, MADV_HUGEPAGE);
    memset(store->bytes, 0, store->byte_count);
}

static void usage(void)
{
    fprintf(stderr, "usage: floor [--port N] [--size BYTES[K|M|G]] [--loops N]\n"
                    "             [--poller epoll|io_uring] [--batch-only]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 's'},
        {"loops", required_argument, NULL, 'l'},
        {"poller", required_argument, NULL, 'e'},
        {"batch-only", no_argument, NULL, 'b'},
        {0},
    };
    struct floor_store store = {.byte_count = DEFAULT_STORE_BYTES, .place = true};
    const struct floor_poller *poller = &floor_epoll;
    uint64_t port = 0, loop_count = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = option == 'p' ? parse_size(optarg, &port) && port <= UINT16_MAX
            : option == 's' ? parse_size(optarg, &store.byte_count)
            : option == 'l' ? parse_size(optarg, &loop_count) && loop_count <= MOST_LOOPS
            : option == 'e' ? strcmp(optarg, "epoll") == 0 || strcmp(optarg, "io_uring") == 0
            : option == 'b';
        if (!good)
            usage();
        if (option == 'e')
            poller = strcmp(optarg, "epoll") == 0 ? &floor_epoll : &floor_uring;
        if (option == 'b')
            store.place = false;
    }
    store.byte_count -= store.byte_count % SCSI_BLOCK_BYTES;
    if (optind < argc || store.byte_count == 0 || loop_count == 0)
        usage();

    create_store(&store);
    int loops[MOST_LOOPS];
    for (uint64_t i = 0; i < loop_count; i++) {
        loops[i] = poller->start_loop();
        if (loops[i] < 0) {
            fprintf(stderr, "floor: cannot start a loop on %s: %s\n", poller->name, strerror(errno));
            return 1;
        }
    }
    uint16_t bound = (uint16_t)port;
    int listener = listen_on_loopback(&bound);
    printf("iscsi://127.0.0.1:%u/%s/0\n", bound, FLOOR_TARGET_NAME);
    fflush(stdout);
    accept_forever(listener, bound, &store, poller, loops, (int)loop_count);
}
