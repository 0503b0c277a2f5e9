// SPDX-License-Identifier: Apache-2.0
// "rbd/POOL/NAMESPACE/IMAGE@SNAPSHOT;conf=/etc/ceph/ceph.conf;id=tcmu;osd_op_timeout=30;lock=exclusive"

#include "configuration.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Bytes of a wrong name that a sentence repeats.
enum { shown_byte_count = 80 };

void disk_say(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
}

// A piece of the configuration string.
struct piece {
    const char *start;
    size_t length;
};

static bool equals(struct piece piece, const char *word) {
    return strlen(word) == piece.length && memcmp(piece.start, word, piece.length) == 0;
}

// The piece before the first separator, which is taken off rest; rest becomes empty when there is none.
static struct piece cut(struct piece *rest, char separator) {
    const char *found = memchr(rest->start, separator, rest->length);
    struct piece first = {rest->start, found != NULL ? (size_t)(found - rest->start) : rest->length};
    size_t used = first.length + (found != NULL ? 1 : 0);
    *rest = (struct piece){rest->start + used, rest->length - used};
    return first;
}

static bool copy(struct piece piece, char *text, size_t size) {
    if (piece.length >= size) return false;
    memcpy(text, piece.start, piece.length);
    text[piece.length] = '\0';
    return true;
}

// Digits for 1 to DISK_MAXIMUM_SECONDS.
static bool parse_seconds(struct piece value, unsigned *seconds) {
    unsigned number = 0;
    for (size_t index = 0; index < value.length; index++) {
        char digit = value.start[index];
        if (digit < '0' || digit > '9') return false;
        number = number * 10 + (unsigned)(digit - '0');
        if (number > DISK_MAXIMUM_SECONDS) return false;
    }
    *seconds = number;
    return number > 0;
}

static bool parse_lock(struct piece value, enum disk_lock_mode *lock) {
    if (equals(value, "exclusive")) *lock = DISK_LOCK_EXCLUSIVE;
    else if (equals(value, "auto")) *lock = DISK_LOCK_AUTOMATIC;
    else return false;
    return true;
}

// The user without "client.", which is what Ceph's own tools take after --id.
static bool parse_user(struct piece value, char *user) {
    static const char prefix[] = "client.";
    if (value.length >= sizeof(prefix) - 1 && memcmp(value.start, prefix, sizeof(prefix) - 1) == 0) return false;
    return value.length > 0 && copy(value, user, DISK_NAME_SIZE);
}

// NULL, or what is to be written instead of the value.
static const char *parse_value(struct piece key, struct piece value, struct disk_request *request, bool *is_known) {
    *is_known = true;
    if (equals(key, "conf")) {
        bool is_fine = value.length > 0 && value.start[0] == '/' && copy(value, request->conf, sizeof(request->conf));
        return is_fine ? NULL : "write the absolute path of a ceph.conf";
    }
    if (equals(key, "id")) {
        return parse_user(value, request->user) ? NULL : "write the user's name without \"client.\", such as admin";
    }
    if (equals(key, "osd_op_timeout")) {
        return parse_seconds(value, &request->timeout) ? NULL : "write seconds from 1 to 3600";
    }
    if (equals(key, "quarantine")) {
        return parse_seconds(value, &request->quarantine) ? NULL : "write seconds from 1 to 3600";
    }
    if (equals(key, "lock")) return parse_lock(value, &request->lock) ? NULL : "write exclusive or auto";
    *is_known = false;
    return NULL;
}

static bool parse_option(
    struct piece option, struct disk_request *request, unsigned *seen, char *reason, size_t reason_size) {
    static const char *const keys[] = {"conf", "id", "osd_op_timeout", "lock", "quarantine"};
    struct piece value = option;
    struct piece key = cut(&value, '=');
    bool is_known;
    const char *expectation = parse_value(key, value, request, &is_known);
    if (!is_known) {
        disk_say(
            reason, reason_size,
            "there is no option \"%.*s\": conf=PATH, id=USER, osd_op_timeout=SECONDS, lock=exclusive|auto and "
            "quarantine=SECONDS are known",
            (int)key.length, key.start);
        return false;
    }
    if (expectation != NULL) {
        disk_say(
            reason, reason_size, "%.*s cannot be \"%.*s\": %s", (int)key.length, key.start, (int)value.length,
            value.start, expectation);
        return false;
    }
    for (unsigned index = 0; index < sizeof(keys) / sizeof(*keys); index++) {
        if (!equals(key, keys[index])) continue;
        if ((*seen & (1u << index)) != 0) {
            disk_say(reason, reason_size, "%s stands there twice: leave one of them out", keys[index]);
            return false;
        }
        *seen |= 1u << index;
    }
    return true;
}

// "POOL/IMAGE" or "POOL/NAMESPACE/IMAGE", the image perhaps with "@SNAPSHOT".
static bool parse_names(struct piece names, struct disk_request *request) {
    struct piece rest = names;
    struct piece pool = cut(&rest, '/');
    struct piece name_space = {rest.start, 0};
    if (memchr(rest.start, '/', rest.length) != NULL) {
        name_space = cut(&rest, '/');
        if (name_space.length == 0) return false;
    }
    bool has_snapshot = memchr(rest.start, '@', rest.length) != NULL;
    struct piece image = cut(&rest, '@');
    if (pool.length == 0 || image.length == 0 || has_snapshot != (rest.length > 0)) return false;
    if (memchr(image.start, '/', image.length) != NULL) return false;
    return copy(pool, request->pool, sizeof(request->pool)) &&
           copy(name_space, request->name_space, sizeof(request->name_space)) &&
           copy(image, request->image, sizeof(request->image)) &&
           copy(rest, request->snapshot, sizeof(request->snapshot));
}

bool disk_parse(const char *cfgstring, struct disk_request *request, char *reason, size_t reason_size) {
    struct piece rest = {cfgstring, strlen(cfgstring)};
    unsigned seen = 0;
    *request = (struct disk_request){.quarantine = DISK_DEFAULT_QUARANTINE_SECONDS};
    cut(&rest, '/');
    const char *semicolon = memchr(rest.start, ';', rest.length);
    struct piece names = cut(&rest, ';');
    if (!parse_names(names, request)) {
        disk_say(
            reason, reason_size,
            "\"%.*s\" names no image: write rbd/POOL/IMAGE or rbd/POOL/NAMESPACE/IMAGE, for a snapshot with @SNAPSHOT "
            "behind",
            (int)(names.length < shown_byte_count ? names.length : shown_byte_count), names.start);
        return false;
    }
    while (semicolon != NULL) {
        semicolon = memchr(rest.start, ';', rest.length);
        if (!parse_option(cut(&rest, ';'), request, &seen, reason, reason_size)) return false;
    }
    return true;
}
