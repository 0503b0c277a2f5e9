// SPDX-License-Identifier: Apache-2.0
// "uring//srv/disk.img;direct=off;queue-depth=128;engine=threads". The path ends at the first semicolon.

#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool refuse(struct medium_reason *reason, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason->text, sizeof(reason->text), format, arguments);
    va_end(arguments);
    return false;
}

// One option's text, which ends at a semicolon or with the string.
struct word {
    const char *start;
    size_t length;
};

static bool is(struct word word, const char *text) {
    return word.length == strlen(text) && memcmp(word.start, text, word.length) == 0;
}

// Digits only. A number that is too long for 64 bits is as good as the largest.
static bool parse_number(struct word word, uint64_t *number) {
    uint64_t value = 0;
    if (word.length == 0) return false;
    for (size_t index = 0; index < word.length; index++) {
        char digit = word.start[index];
        if (digit < '0' || digit > '9') return false;
        if (__builtin_mul_overflow(value, 10u, &value)) value = UINT64_MAX;
        if (__builtin_add_overflow(value, (uint64_t)(digit - '0'), &value)) value = UINT64_MAX;
    }
    *number = value;
    return true;
}

// One of two words.
static bool parse_choice(struct word word, const char *yes, const char *no, bool *choice) {
    *choice = is(word, yes);
    return *choice || is(word, no);
}

static bool parse_value(
    struct word name, struct word value, struct uring_options *options, const char **expected) {
    if (is(name, "direct")) {
        *expected = "on or off";
        return parse_choice(value, "on", "off", &options->is_direct);
    }
    if (is(name, "engine")) {
        *expected = "ring or threads";
        return parse_choice(value, "threads", "ring", &options->wants_threads);
    }
    if (is(name, "queue-depth")) {
        *expected = "a number from 1 to 4096";
        return parse_number(value, &options->queue_depth) && options->queue_depth > 0;
    }
    return false;
}

static bool parse_option(struct word word, struct uring_options *options, struct medium_reason *reason) {
    const char *expected = NULL;
    const char *sign = memchr(word.start, '=', word.length);
    if (sign == NULL) return refuse(reason, "\"%.*s\" is no option: write NAME=VALUE", (int)word.length, word.start);
    struct word name = {word.start, (size_t)(sign - word.start)};
    struct word value = {sign + 1, word.length - name.length - 1};
    if (parse_value(name, value, options, &expected)) return true;
    if (expected != NULL) {
        return refuse(reason, "%.*s: %s is expected", (int)word.length, word.start, expected);
    }
    return refuse(
        reason, "\"%.*s\" is no option of uring: direct, queue-depth and engine are", (int)name.length, name.start);
}

bool uring_options_parse(const char *cfgstring, struct uring_options *options, struct medium_reason *reason) {
    const char *slash = strchr(cfgstring, '/');
    const char *path = slash != NULL ? slash + 1 : "";
    size_t length = strcspn(path, ";");
    *options = (struct uring_options){.is_direct = true, .queue_depth = URING_QUEUE_DEPTH_DEFAULT};
    if (path[0] != '/' || length < 2) {
        return refuse(
            reason, "\"%.*s\" is not an absolute path: write uring//srv/disk.img for /srv/disk.img", (int)length, path);
    }
    if (length >= sizeof(options->path)) return refuse(reason, "the path is longer than the system allows");
    memcpy(options->path, path, length);
    for (const char *next = path + length; *next == ';'; next += length) {
        next++;
        length = strcspn(next, ";");
        if (!parse_option((struct word){next, length}, options, reason)) return false;
    }
    return true;
}
