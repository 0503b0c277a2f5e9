// SPDX-License-Identifier: Apache-2.0

/// The executable started again as a child of its own, for what may end or hang a process. Included by CLinux.h.

#ifndef CLINUX_CHILDREN_H
#define CLINUX_CHILDREN_H

#include <sys/types.h>
#include <sys/wait.h>

/// The descriptor at which such a child finds the pipe for its report.
#define CLINUX_REPORT_DESCRIPTOR 3

/// Starts this executable with `arguments` (argv, ended by NULL): in a process group of its own, with no signal blocked
/// or ignored, nothing to read, and standard output thrown away. `report` is the writing end of a pipe.
/// The child, or a negative errno value.
pid_t clinux_start_again(char *_Nullable const *_Nonnull arguments, int report);

/// Called by the child, first of all: it goes when its parent does, and leaves no core file.
void clinux_begin_child(void);

/// A descriptor that is readable once the child has ended, or a negative errno value.
int clinux_open_child(pid_t child);

/// pipe2(2) with O_CLOEXEC. 0, or -1 with errno.
int clinux_pipe(int descriptors[_Nonnull 2]);

static const int clinux_wait_no_hang = WNOHANG;
static inline bool clinux_has_exited(int status) { return WIFEXITED(status); }
static inline int clinux_exit_status(int status) { return WEXITSTATUS(status); }
static inline int clinux_ending_signal(int status) { return WTERMSIG(status); }

#endif
