/* SPDX-License-Identifier: Apache-2.0 */
/* From a pointer to a member back to the structure that holds it. */
#ifndef CCAN_CONTAINER_OF_H
#define CCAN_CONTAINER_OF_H

#include <stddef.h>

#include "../check_type/check_type.h"

/* Bytes from the beginning of the structure to its member. */
#define container_off(containing_type, member) offsetof(containing_type, member)
#define container_off_var(var, member) offsetof(__typeof__(*(var)), member)

#define container_of(member_ptr, containing_type, member) \
    ((containing_type *)(void *)((char *)(member_ptr) - container_off(containing_type, member)) \
        + check_types_match(*(member_ptr), ((containing_type *)0)->member))

/* The same, where the pointer may be NULL: then the answer is. */
#define container_of_or_null(member_ptr, containing_type, member) \
    ((containing_type *)container_of_or_null_((void *)(member_ptr), container_off(containing_type, member)) \
        + check_types_match(*(member_ptr), ((containing_type *)0)->member))

/* The structure's type is that of what container_var points to. */
#define container_of_var(member_ptr, container_var, member) \
    container_of(member_ptr, __typeof__(*(container_var)), member)

static inline void *container_of_or_null_(void *member_ptr, size_t offset)
{
    return member_ptr == NULL ? NULL : (char *)member_ptr - offset;
}

#endif
