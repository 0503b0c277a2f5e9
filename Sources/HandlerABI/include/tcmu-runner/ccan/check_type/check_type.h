/* SPDX-License-Identifier: Apache-2.0 */
/* 0 where the types agree; where they do not, the compiler speaks of a comparison of distinct pointer types. */
#ifndef CCAN_CHECK_TYPE_H
#define CCAN_CHECK_TYPE_H

#ifdef __cplusplus
/* Pointers of different types do not compare at all. */
#define check_type(expr, type) (sizeof((__typeof__(expr) *)0 == (type *)0) * 0)
#define check_types_match(expr1, expr2) (sizeof((__typeof__(expr1) *)0 == (__typeof__(expr2) *)0) * 0)
#else
#define check_type(expr, type) (0 * sizeof((__typeof__(expr) *)0 != (type *)0))
#define check_types_match(expr1, expr2) (0 * sizeof((__typeof__(expr1) *)0 != (__typeof__(expr2) *)0))
#endif

#endif
