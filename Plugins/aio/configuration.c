// SPDX-License-Identifier: Apache-2.0
// "aio//srv/disk.img;direct=off;queue-depth=64"

#include "configuration.h"

#include <stdio.h>
#include <string.h>

#include "medium_file.h"

// A piece of the configuration string.
struct piece {
    const char *start;
    size_t length;
};

static bool equals(struct piece piece, const char *word) {
    return strlen(word) == piece.length && memcmp(piece.start, word, piece.length) == 0;
}

// Digits for 1 to AIO_MAXIMUM_QUEUE_DEPTH.
static bool parse_depth(struct piece value, unsigned *depth) {
    unsigned number = 0;
    for (size_t index = 0; index < value.length; index++) {
        char digit = value.start[index];
        if (digit < '0' || digit > '9') return false;
        number = number * 10 + (unsigned)(digit - '0');
        if (number > AIO_MAXIMUM_QUEUE_DEPTH) return false;
    }
    *depth = number;
    return number > 0;
}

static bool parse_switch(struct piece value, bool *is_on) {
    *is_on = equals(value, "on");
    return *is_on || equals(value, "off");
}

static bool parse_option(struct piece option, struct aio_request *request, char *reason, size_t reason_size) {
    const char *equal = memchr(option.start, '=', option.length);
    struct piece key = {option.start, equal != NULL ? (size_t)(equal - option.start) : option.length};
    struct piece value = {option.start + option.length, 0};
    if (equal != NULL) value = (struct piece){equal + 1, option.length - key.length - 1};
    const char *expectation = NULL;
    if (equals(key, "direct")) {
        if (!parse_switch(value, &request->wants_direct)) expectation = "write on or off";
    } else if (equals(key, "queue-depth")) {
        if (!parse_depth(value, &request->queue_depth)) expectation = "write a number from 1 to 4096";
    } else {
        medium_say(
            reason, reason_size, "there is no option \"%.*s\": direct=on, direct=off and queue-depth=NUMBER are known",
            (int)key.length, key.start);
        return false;
    }
    if (expectation == NULL) return true;
    medium_say(
        reason, reason_size, "%.*s cannot be \"%.*s\": %s", (int)key.length, key.start, (int)value.length, value.start,
        expectation);
    return false;
}

bool aio_parse(const char *cfgstring, struct aio_request *request, char *reason, size_t reason_size) {
    const char *slash = strchr(cfgstring, '/');
    const char *rest = slash != NULL ? slash + 1 : "";
    size_t path_length = strcspn(rest, ";");
    *request = (struct aio_request){.wants_direct = true, .queue_depth = AIO_DEFAULT_QUEUE_DEPTH};
    if (rest[0] != '/' || path_length < 2 || path_length >= sizeof(request->path)) {
        medium_say(
            reason, reason_size, "\"%s\" names no absolute path: write aio//srv/disk.img for /srv/disk.img", cfgstring);
        return false;
    }
    memcpy(request->path, rest, path_length);
    for (const char *next = rest + path_length; *next == ';';) {
        struct piece option = {next + 1, strcspn(next + 1, ";")};
        if (!parse_option(option, request, reason, reason_size)) return false;
        next = option.start + option.length;
    }
    return true;
}
