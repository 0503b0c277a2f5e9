// SPDX-License-Identifier: Apache-2.0

#include "ranges.h"

#include <stddef.h>

static void clear(struct range_list *list) { list->head.next = list->head.previous = &list->head; }

static bool is_empty(const struct range_list *list) { return list->head.next == &list->head; }

static void append(struct range_list *list, struct range *range) {
    range->next = &list->head;
    range->previous = list->head.previous;
    range->previous->next = range;
    list->head.previous = range;
}

static void take_out(struct range *range) {
    range->previous->next = range->next;
    range->next->previous = range->previous;
}

// Offsets and lengths lie within the medium, which ends below 2^63.
static bool meet(const struct range *one, const struct range *other) {
    return one->offset < other->offset + other->length && other->offset < one->offset + one->length;
}

// Whether the range meets one of the list before end.
static bool meets_any(const struct range_list *list, const struct range *end, const struct range *range) {
    for (const struct range *each = list->head.next; each != end; each = each->next) {
        // Two plain changes may overlap: their order is the initiator's business.
        if ((each->is_exclusive || range->is_exclusive) && meet(each, range)) return true;
    }
    return false;
}

// Whether the range must wait for what is under way, or for what waits before end.
static bool must_wait(const struct ranges *ranges, const struct range *end, const struct range *range) {
    if (meets_any(&ranges->exclusive, &ranges->exclusive.head, range)) return true;
    if (range->is_exclusive && meets_any(&ranges->shared, &ranges->shared.head, range)) return true;
    return meets_any(&ranges->waiting, end, range);
}

static void admit(struct ranges *ranges, struct range *range) {
    append(range->is_exclusive ? &ranges->exclusive : &ranges->shared, range);
}

void ranges_init(struct ranges *ranges) {
    clear(&ranges->shared);
    clear(&ranges->exclusive);
    clear(&ranges->waiting);
}

bool ranges_begin(struct ranges *ranges, struct range *range) {
    bool waits = must_wait(ranges, &ranges->waiting.head, range);
    if (waits) append(&ranges->waiting, range);
    else admit(ranges, range);
    return !waits;
}

struct range *ranges_end(struct ranges *ranges, struct range *range) {
    take_out(range);
    if (is_empty(&ranges->waiting)) return NULL;
    struct range *chain = NULL, **last = &chain;
    struct range *next;
    for (struct range *each = ranges->waiting.head.next; each != &ranges->waiting.head; each = next) {
        next = each->next;
        if (must_wait(ranges, each, each)) continue;
        take_out(each);
        admit(ranges, each);
        each->admitted = NULL;
        *last = each;
        last = &each->admitted;
    }
    return chain;
}
