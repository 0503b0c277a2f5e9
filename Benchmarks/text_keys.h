// SPDX-License-Identifier: Apache-2.0
//
// Text keys (RFC 7143 6.1): `key=value` pairs, each ended by a zero byte.
#ifndef BENCHMARKS_TEXT_KEYS_H
#define BENCHMARKS_TEXT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LONGEST_KEY = 64, LONGEST_VALUE = 256 };

struct text_key {
    char name[LONGEST_KEY];
    char value[LONGEST_VALUE];
};

/// Takes the pair at `*position` of the segment and moves on.
/// False at the end, and for a pair that is malformed or longer than our limits.
bool text_next(const uint8_t *segment, size_t length, size_t *position, struct text_key *key);

struct text_writer {
    uint8_t *bytes;
    size_t capacity;
    size_t length;  // stays at the last whole pair once `overflow` is set
    bool overflow;
};

void text_put(struct text_writer *writer, const char *name, const char *value);
void text_put_number(struct text_writer *writer, const char *name, uint32_t value);

/// The number in a value, at most `limit`; `limit` for anything that is no number.
uint32_t text_number(const char *value, uint32_t limit);

#endif
