// SPDX-License-Identifier: Apache-2.0
// One writer at a time in a piece of a medium: of two writes to a block at the same time one is what the block holds,
// as on a disk. Held over a copy within one piece, a few microseconds, so waiting is spinning.
#ifndef RAM_STRIPES_H
#define RAM_STRIPES_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    // Bytes of a piece; whole blocks, whatever their size.
    RAM_PIECE_SIZE = 65536,
    // Pieces that lie so many apart share a lock.
    ram_stripe_count = 64,
    // Looks before the processor is offered to others: the holder may wait for a page of a file.
    ram_stripe_looks = 1000,
};

// A cache line each. All zero: nobody writes.
struct ram_stripe {
    atomic_bool is_taken;
    uint8_t padding[63];
};

struct ram_stripes {
    struct ram_stripe stripes[ram_stripe_count];
};

static inline struct ram_stripe *ram_stripe_take(struct ram_stripes *all, uint64_t offset) {
    struct ram_stripe *stripe = &all->stripes[offset / RAM_PIECE_SIZE % ram_stripe_count];
    for (int looks = 1; atomic_exchange_explicit(&stripe->is_taken, true, memory_order_acquire); looks++) {
        if (looks % ram_stripe_looks == 0) sched_yield();
    }
    return stripe;
}

static inline void ram_stripe_give_back(struct ram_stripe *stripe) {
    atomic_store_explicit(&stripe->is_taken, false, memory_order_release);
}

// Bytes from offset to the end of its piece, no more than length.
static inline uint64_t ram_piece_length(uint64_t offset, uint64_t length) {
    uint64_t room = RAM_PIECE_SIZE - offset % RAM_PIECE_SIZE;
    return length < room ? length : room;
}

#endif
