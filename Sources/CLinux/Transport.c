// SPDX-License-Identifier: Apache-2.0

// accept4 needs a declaration beyond POSIX.
#define _GNU_SOURCE 1

#include "CLinuxTransport.h"

#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>

int clinux_accept_next(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int clinux_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) { return -1; }
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit);
}
