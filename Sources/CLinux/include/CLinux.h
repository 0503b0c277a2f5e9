// SPDX-License-Identifier: Apache-2.0

/// What the edges of the program need of Linux: the system's headers, and shims for what Swift cannot import
/// (errno, variadic functions, unions, macros with casts). Only EventLoop, Transport, HandlerHost and the layers
/// above them import it.
///
/// Like the other modules of C that Swift code sees, Glibc among them, it is made without _GNU_SOURCE, which changes
/// declarations of the system: what needs it stands in the .c files.

#ifndef CLINUX_H
#define CLINUX_H

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "CLinuxChildren.h"
#include "CLinuxTransport.h"
#include "CLinuxFiles.h"
#include "CLinuxNuma.h"
#include "CLinuxSockets.h"
#include "CLinuxThreads.h"
#include "CLinuxUring.h"

#endif
