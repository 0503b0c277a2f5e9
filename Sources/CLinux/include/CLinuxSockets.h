// SPDX-License-Identifier: Apache-2.0

/// Sockets: constants that Swift sees as enumerations, and the macros for control messages and addresses.
/// Included by CLinux.h.

#ifndef CLINUX_SOCKETS_H
#define CLINUX_SOCKETS_H

#include <errno.h>
#include <linux/errqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>

static const int clinux_sock_stream = SOCK_STREAM;
static const int clinux_sock_dgram = SOCK_DGRAM;
static const int clinux_sock_nonblock = SOCK_NONBLOCK;
static const int clinux_sock_cloexec = SOCK_CLOEXEC;
static const int clinux_msg_nosignal = MSG_NOSIGNAL;
static const int clinux_msg_dontwait = MSG_DONTWAIT;
static const int clinux_msg_more = MSG_MORE;
static const int clinux_msg_waitall = MSG_WAITALL;
static const int clinux_msg_peek = MSG_PEEK;
static const int clinux_msg_trunc = MSG_TRUNC;
static const int clinux_msg_zerocopy = MSG_ZEROCOPY;
static const int clinux_msg_errqueue = MSG_ERRQUEUE;
static const int clinux_shut_rd = SHUT_RD;
static const int clinux_shut_wr = SHUT_WR;
static const int clinux_shut_rdwr = SHUT_RDWR;
static const int clinux_ipproto_tcp = IPPROTO_TCP;
static const int clinux_ipproto_ip = IPPROTO_IP;
static const int clinux_ipproto_ipv6 = IPPROTO_IPV6;
static const int clinux_efd_nonblock = EFD_NONBLOCK;
static const int clinux_efd_cloexec = EFD_CLOEXEC;
static const int clinux_tfd_timer_abstime = TFD_TIMER_ABSTIME;
static const int clinux_tfd_nonblock = TFD_NONBLOCK;
static const int clinux_tfd_cloexec = TFD_CLOEXEC;

/// 0, or -1 with errno.
static inline int clinux_set_option(int descriptor, int level, int name, int value) {
    return setsockopt(descriptor, level, name, &value, sizeof value);
}

/// The option's value, or -1 with errno.
static inline int clinux_get_option(int descriptor, int level, int name) {
    int value = 0;
    socklen_t byte_count = sizeof value;
    return getsockopt(descriptor, level, name, &value, &byte_count) != 0 ? -1 : value;
}

/// A local (UNIX) socket's address; its length in `byte_count`. -1 with ENAMETOOLONG when the path does not fit.
static inline int clinux_unix_address(
    const char *_Nonnull path, struct sockaddr_un *_Nonnull address, socklen_t *_Nonnull byte_count
) {
    size_t length = strlen(path);
    if (length >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    *byte_count = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

// CMSG_*: sizes and steps of control messages.
static inline size_t clinux_cmsg_space(size_t byte_count) { return CMSG_SPACE(byte_count); }
static inline size_t clinux_cmsg_len(size_t byte_count) { return CMSG_LEN(byte_count); }
static inline struct cmsghdr *_Nullable clinux_cmsg_first(struct msghdr *_Nonnull message) {
    return CMSG_FIRSTHDR(message);
}
static inline struct cmsghdr *_Nullable clinux_cmsg_next(
    struct msghdr *_Nonnull message, struct cmsghdr *_Nonnull header
) {
    return CMSG_NXTHDR(message, header);
}
static inline unsigned char *_Nonnull clinux_cmsg_data(struct cmsghdr *_Nonnull header) { return CMSG_DATA(header); }

#endif
