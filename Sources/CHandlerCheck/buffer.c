// SPDX-License-Identifier: Apache-2.0
// Memory for the data of commands, and what lies around it.

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine.h"

#define PAGE 4096u
// Before and behind the data.
#define ROOM (16u * PAGE)
#define CANARY 0xC5

static size_t whole_pages(size_t byte_count) { return (byte_count + PAGE - 1) / PAGE * PAGE; }

bool check_buffer_make(struct check_buffer *buffer, size_t byte_count, enum check_memory memory) {
    memset(buffer, 0, sizeof(*buffer));
    if (byte_count == 0) return true;
    size_t inside = whole_pages(byte_count);
    size_t behind = memory == CHECK_GUARDED ? PAGE : ROOM;
    uint8_t *mapping = mmap(
        NULL, ROOM + inside + behind, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return false;
    buffer->mapping = mapping;
    buffer->mapping_byte_count = ROOM + inside + behind;
    buffer->data = mapping + ROOM;
    buffer->byte_count = byte_count;
    buffer->memory = memory;
    if (memory == CHECK_WATCHED) {
        memset(mapping, CANARY, ROOM);
        memset(buffer->data + byte_count, CANARY, inside - byte_count + behind);
    }
    if (memory == CHECK_GUARDED) {
        mprotect(mapping + ROOM - PAGE, PAGE, PROT_NONE);
        mprotect(mapping + ROOM + inside, PAGE, PROT_NONE);
    }
    return true;
}

void check_buffer_free(struct check_buffer *buffer) {
    if (buffer->mapping != NULL) munmap(buffer->mapping, buffer->mapping_byte_count);
    free(buffer->source);
    memset(buffer, 0, sizeof(*buffer));
}

void check_buffer_watch_source(struct check_buffer *buffer) {
    if (buffer->memory != CHECK_WATCHED || buffer->source != NULL) return;
    buffer->source = malloc(buffer->byte_count);
    if (buffer->source != NULL) memcpy(buffer->source, buffer->data, buffer->byte_count);
}

long check_buffer_damage(const struct check_buffer *buffer, long *first_offset) {
    long changed = 0;
    *first_offset = 0;
    if (buffer->memory != CHECK_WATCHED) return 0;
    if (buffer->source != NULL && memcmp(buffer->source, buffer->data, buffer->byte_count) != 0) {
        while (buffer->source[*first_offset] == buffer->data[*first_offset]) ++*first_offset;
        return -1;
    }
    const uint8_t *end = buffer->mapping + buffer->mapping_byte_count;
    for (const uint8_t *byte = buffer->mapping; byte < end; byte++) {
        if (byte == buffer->data) byte += buffer->byte_count;
        if (byte < end && *byte != CANARY) {
            if (changed == 0) *first_offset = byte - buffer->data;
            changed++;
        }
    }
    return changed;
}

bool check_buffer_is_guard(const struct check_buffer *buffer, const void *address, long *distance) {
    if (buffer->mapping == NULL || buffer->memory != CHECK_GUARDED) return false;
    const uint8_t *byte = address;
    if (byte < buffer->mapping || byte >= buffer->mapping + buffer->mapping_byte_count) return false;
    *distance = byte < buffer->data ? byte - buffer->data : byte - (buffer->data + buffer->byte_count);
    return true;
}
