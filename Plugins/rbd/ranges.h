// SPDX-License-Identifier: Apache-2.0
// Which changes of the medium are under way, so that a COMPARE AND WRITE has its range to itself.
//
// A change is admitted at once unless it meets an exclusive one that is under way, or one that waits already; an
// exclusive one, unless it meets any change. Who must wait is admitted, oldest first, when what it waits for has ended.
// Reads are no business of this.
#ifndef RBD_RANGES_H
#define RBD_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

// A part of the command that changes the medium.
struct range {
    struct range *next;
    struct range *previous;
    // Of those that ranges_end hands out.
    struct range *admitted;
    uint64_t offset;
    uint64_t length;
    bool is_exclusive;
};

// Oldest first, with a head that is no range of its own.
struct range_list {
    struct range head;
};

struct ranges {
    struct range_list shared;
    struct range_list exclusive;
    struct range_list waiting;
};

void ranges_init(struct ranges *ranges);
// True: the range is under way. False: it waits, and ranges_end will hand it out.
bool ranges_begin(struct ranges *ranges, struct range *range);
// A range that was under way has ended. Returns those that are under way from now on, linked by admitted; or NULL.
struct range *ranges_end(struct ranges *ranges, struct range *range);

#pragma GCC visibility pop

#endif
