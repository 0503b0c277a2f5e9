// SPDX-License-Identifier: Apache-2.0

/// What socket servers need: accepting, and as many descriptors as there can be. Included by CLinux.h.

#ifndef CLINUX_TRANSPORT_H
#define CLINUX_TRANSPORT_H

/// The next connection, non-blocking and closed on exec, or -1 with errno.
int clinux_accept_next(int listener);

/// Lets the process have as many descriptors as it may. 0, or -1 with errno.
int clinux_raise_descriptor_limit(void);

#endif
