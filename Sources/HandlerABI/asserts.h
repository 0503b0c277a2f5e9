/* SPDX-License-Identifier: Apache-2.0 */
/* For the layouts that are frozen: where a field stands, and how long a structure is, in bytes. */
#ifndef MARTLET_ASSERTS_H
#define MARTLET_ASSERTS_H

#include <stddef.h>

#define AT(type, field, offset) \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field " is not at " #offset)
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " is not " #size " bytes long")

#endif
