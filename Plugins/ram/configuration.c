// SPDX-License-Identifier: Apache-2.0
// "ram/1G" and "ram//srv/ram.img".

#include <stdio.h>
#include <string.h>

#include "store.h"

// Reads digits and an optional K, M, G or T (powers of 1024). False for anything else, 0 and what does not fit.
static bool parse_size(const char *text, uint64_t *size) {
    static const char units[] = "KMGT";
    uint64_t value = 0;
    const char *next = text;
    for (; *next >= '0' && *next <= '9'; next++) {
        if (__builtin_mul_overflow(value, 10u, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(*next - '0'), &value)) return false;
    }
    if (next == text) return false;
    if (*next != '\0') {
        char upper = *next >= 'a' && *next <= 'z' ? (char)(*next - 'a' + 'A') : *next;
        const char *unit = strchr(units, upper);
        if (unit == NULL || next[1] != '\0') return false;
        unsigned shift = 10u * (unsigned)(unit - units + 1);
        if (__builtin_mul_overflow(value, (uint64_t)1 << shift, &value)) return false;
    }
    *size = value;
    return value > 0 && value <= INT64_MAX;
}

bool ram_parse(const char *cfgstring, struct ram_request *request, char *reason, size_t reason_size) {
    const char *slash = strchr(cfgstring, '/');
    const char *rest = slash != NULL ? slash + 1 : "";
    *request = (struct ram_request){0};
    if (rest[0] == '/' && rest[1] != '\0') {
        request->path = rest;
        return true;
    }
    if (parse_size(rest, &request->byte_count)) return true;
    snprintf(
        reason, reason_size, "\"%s\" names neither a size, as in ram/1G, nor a file, as in ram//srv/ram.img",
        cfgstring);
    return false;
}
