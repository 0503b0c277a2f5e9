// SPDX-License-Identifier: Apache-2.0

/// errno, descriptors and files: shims for what Swift cannot call. Included by CLinux.h.

#ifndef CLINUX_FILES_H
#define CLINUX_FILES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/// The calling thread's errno. Read it straight after the call that failed.
static inline int clinux_errno(void) { return errno; }
static inline void clinux_set_errno(int value) { errno = value; }

/// The words for an errno value, written to `buffer` where the C library has no constant string for it.
const char *_Nonnull clinux_error_text(int error, char *_Nonnull buffer, size_t byte_count);

/// A descriptor, or -1 with errno. `mode` counts only with O_CREAT or O_TMPFILE.
static inline int clinux_open(const char *_Nonnull path, int flags, mode_t mode) { return open(path, flags, mode); }

static inline int clinux_fcntl_get(int descriptor, int command) { return fcntl(descriptor, command); }
static inline int clinux_fcntl_set(int descriptor, int command, int value) {
    return fcntl(descriptor, command, value);
}

/// 0, or -1 with errno.
static inline int clinux_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

/// Has `descriptor` stand for what `other` stands for; what it stood for before is closed. -1 with errno.
int clinux_replace_descriptor(int descriptor, int other);

static inline int clinux_ioctl_pointer(int descriptor, unsigned long request, void *_Nullable argument) {
    return ioctl(descriptor, request, argument);
}

static inline int clinux_ioctl_int(int descriptor, unsigned long request, int argument) {
    return ioctl(descriptor, request, argument);
}

/// Bytes of a block device, or -1 with errno.
static inline int64_t clinux_block_device_size(int descriptor) {
    uint64_t byte_count = 0;
    if (ioctl(descriptor, BLKGETSIZE64, &byte_count) != 0) { return -1; }
    return byte_count > INT64_MAX ? INT64_MAX : (int64_t)byte_count;
}

/// open(2) flags and lseek(2) origins beyond POSIX.
extern const int clinux_o_direct;
extern const int clinux_o_path;
extern const int clinux_seek_data;
extern const int clinux_seek_hole;

/// Nanoseconds since 1970 of the last change of content.
static inline int64_t clinux_modified_nanoseconds(const struct stat *_Nonnull record) {
    return (int64_t)record->st_mtim.tv_sec * 1000000000 + record->st_mtim.tv_nsec;
}

static inline bool clinux_is_regular_file(mode_t mode) { return S_ISREG(mode); }
static inline bool clinux_is_directory(mode_t mode) { return S_ISDIR(mode); }
static inline bool clinux_is_block_device(mode_t mode) { return S_ISBLK(mode); }
static inline bool clinux_is_socket(mode_t mode) { return S_ISSOCK(mode); }

/// The entry's name, valid until the next readdir; Swift sees the field as a tuple.
static inline const char *_Nonnull clinux_directory_entry_name(const struct dirent *_Nonnull entry) {
    return entry->d_name;
}

/// An epoll_event with 64 bits of the caller's; Swift imports the union without its use.
static inline struct epoll_event clinux_epoll_event(uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return event;
}
static inline uint64_t clinux_epoll_data(const struct epoll_event *_Nonnull event) { return event->data.u64; }

/// epoll_wait(2) with a timeout in nanoseconds; -1: without end. Kernels before 5.11 round it up to milliseconds.
int clinux_epoll_wait(int descriptor, struct epoll_event *_Nonnull events, int capacity, int64_t timeout_nanoseconds);

enum {
    clinux_epollin = EPOLLIN,
    clinux_epollout = EPOLLOUT,
    clinux_epollrdhup = EPOLLRDHUP,
    clinux_epollerr = EPOLLERR,
    clinux_epollhup = EPOLLHUP,
};
static const uint32_t clinux_epollet = 1u << 31;
static const uint32_t clinux_epollexclusive = 1u << 28;
static const int clinux_epoll_cloexec = EPOLL_CLOEXEC;

#endif
