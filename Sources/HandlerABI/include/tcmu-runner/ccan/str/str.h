/* SPDX-License-Identifier: Apache-2.0 */
/* Small questions about strings and characters. */
#ifndef CCAN_STR_H
#define CCAN_STR_H

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "str_debug.h"

#define streq(a, b) (strcmp((a), (b)) == 0)
#define strstarts(str, prefix) (strncmp((str), (prefix), strlen(prefix)) == 0)

static inline bool strends(const char *str, const char *postfix)
{
    size_t length = strlen(str);
    size_t end = strlen(postfix);
    return length >= end && memcmp(str + (length - end), postfix, end) == 0;
}

/* The source text of an expression, macros expanded. */
#define stringify_(expr) #expr
#define stringify(expr) stringify_(expr)

/* Room for any integer of the type in decimal, with its sign and the NUL: a byte is less than 2.5 digits. */
#define STR_MAX_CHARS(type_or_expr) ((sizeof(type_or_expr) * CHAR_BIT + 8) / 9 * 3 + 2)

/* The questions of ctype.h, safe for characters below zero. */
#define MARTLET_CHARACTER_QUESTION(name) \
    static inline bool c##name(char c) { return name((unsigned char)c) != 0; }
MARTLET_CHARACTER_QUESTION(isalnum)
MARTLET_CHARACTER_QUESTION(isalpha)
MARTLET_CHARACTER_QUESTION(isblank)
MARTLET_CHARACTER_QUESTION(iscntrl)
MARTLET_CHARACTER_QUESTION(isdigit)
MARTLET_CHARACTER_QUESTION(isgraph)
MARTLET_CHARACTER_QUESTION(islower)
MARTLET_CHARACTER_QUESTION(isprint)
MARTLET_CHARACTER_QUESTION(ispunct)
MARTLET_CHARACTER_QUESTION(isspace)
MARTLET_CHARACTER_QUESTION(isupper)
MARTLET_CHARACTER_QUESTION(isxdigit)
#undef MARTLET_CHARACTER_QUESTION

static inline bool cisascii(char c) { return (unsigned char)c < 0x80; }

#endif
