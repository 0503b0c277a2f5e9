/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions that the compiler checks, as statements and inside expressions. */
#ifndef CCAN_BUILD_ASSERT_H
#define CCAN_BUILD_ASSERT_H

#define BUILD_ASSERT(cond) ((void)BUILD_ASSERT_OR_ZERO(cond))

/* 0, or no program: an array cannot be of negative length. */
#define BUILD_ASSERT_OR_ZERO(cond) (sizeof(char[(cond) ? 1 : -1]) - 1)

#endif
