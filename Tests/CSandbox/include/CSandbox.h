// SPDX-License-Identifier: Apache-2.0

/// For tests: a thread, and the processes it starts, with fewer system calls than the kernel has.

#ifndef CSANDBOX_H
#define CSANDBOX_H

/// From now on system call `number` fails with `error` in the calling thread and in what it starts, for good.
/// 0, or -1 with errno.
int csandbox_refuse(long number, int error);

/// The system calls of io_uring.
extern const long csandbox_io_uring_setup;
extern const long csandbox_io_uring_enter;
extern const long csandbox_io_uring_register;

#endif
