// SPDX-License-Identifier: Apache-2.0
#include "text_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_next(const uint8_t *segment, size_t length, size_t *position, struct text_key *key)
{
    if (*position >= length)
        return false;
    const uint8_t *pair = segment + *position;
    const uint8_t *end = memchr(pair, 0, length - *position);
    const uint8_t *equals = end ? memchr(pair, '=', (size_t)(end - pair)) : NULL;
    if (!equals)
        return false;
    size_t name_length = (size_t)(equals - pair), value_length = (size_t)(end - equals - 1);
    if (name_length >= LONGEST_KEY || value_length >= LONGEST_VALUE)
        return false;
    memcpy(key->name, pair, name_length);
    key->name[name_length] = 0;
    memcpy(key->value, equals + 1, value_length + 1);
    *position += name_length + value_length + 2;
    return true;
}

void text_put(struct text_writer *writer, const char *name, const char *value)
{
    size_t room = writer->capacity - writer->length;
    int written = snprintf((char *)writer->bytes + writer->length, room, "%s=%s", name, value);
    if (writer->overflow || written < 0 || (size_t)written >= room)
        writer->overflow = true;
    else
        writer->length += (size_t)written + 1;
}

void text_put_number(struct text_writer *writer, const char *name, uint32_t value)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%u", value);
    text_put(writer, name, digits);
}

uint32_t text_number(const char *value, uint32_t limit)
{
    char *end;
    unsigned long long number = strtoull(value, &end, 0);
    return end == value || *end || number > limit ? limit : (uint32_t)number;
}
