// SPDX-License-Identifier: Apache-2.0

#include "page_map.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

enum { word_bits = 64 };

static uint64_t map_bytes(const struct page_map *map) {
    return (map->page_count + word_bits - 1) / word_bits * sizeof(uint64_t);
}

int page_map_create(struct page_map *map, uint64_t byte_count) {
    map->page_count = byte_count / RAM_PAGE_SIZE + (byte_count % RAM_PAGE_SIZE != 0);
    void *words = mmap(
        NULL, map_bytes(map), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    map->words = words != MAP_FAILED ? words : NULL;
    return words != MAP_FAILED ? 0 : errno;
}

void page_map_destroy(struct page_map *map) {
    if (map->words != NULL) munmap((void *)map->words, map_bytes(map));
    map->words = NULL;
}

// The bits of one word that lie in [first, end), both counted from the map's start.
static uint64_t mask(uint64_t word, uint64_t first, uint64_t end) {
    uint64_t bits = ~(uint64_t)0;
    if (word == first / word_bits) bits &= ~(uint64_t)0 << first % word_bits;
    if (word == end / word_bits) bits &= ~(~(uint64_t)0 << end % word_bits);
    return bits;
}

void page_map_mark(struct page_map *map, uint64_t offset, uint64_t length) {
    if (length == 0) return;
    uint64_t first = offset / RAM_PAGE_SIZE, end = (offset + length - 1) / RAM_PAGE_SIZE + 1;
    for (uint64_t word = first / word_bits; word <= (end - 1) / word_bits; word++) {
        uint64_t bits = mask(word, first, end);
        // Most writes go to pages that are marked already: do not take the cache line from other threads.
        if ((atomic_load_explicit(&map->words[word], memory_order_relaxed) & bits) == bits) continue;
        atomic_fetch_or(&map->words[word], bits);
    }
}

void page_map_clear(struct page_map *map, uint64_t first, uint64_t page_count) {
    uint64_t end = first + page_count;
    if (page_count == 0) return;
    for (uint64_t word = first / word_bits; word <= (end - 1) / word_bits; word++) {
        uint64_t bits = mask(word, first, end);
        if ((atomic_load(&map->words[word]) & bits) != 0) atomic_fetch_and(&map->words[word], ~bits);
    }
}

bool page_map_has(const struct page_map *map, uint64_t page) {
    return (atomic_load_explicit(&map->words[page / word_bits], memory_order_relaxed) >> page % word_bits & 1) != 0;
}

uint64_t page_map_run_end(const struct page_map *map, uint64_t page, uint64_t end) {
    // Inverted when the run is of marked pages: then a set bit ends it either way.
    uint64_t flip = page_map_has(map, page) ? ~(uint64_t)0 : 0;
    for (uint64_t word = page / word_bits; word <= (end - 1) / word_bits; word++) {
        uint64_t marks = atomic_load_explicit(&map->words[word], memory_order_relaxed);
        uint64_t different = (marks ^ flip) & mask(word, page, end);
        if (different != 0) return word * word_bits + (uint64_t)__builtin_ctzll(different);
    }
    return end;
}

uint64_t page_map_count(const struct page_map *map) {
    uint64_t count = 0, word_count = (map->page_count + word_bits - 1) / word_bits;
    for (uint64_t word = 0; word < word_count; word++)
        count += (uint64_t)__builtin_popcountll(atomic_load_explicit(&map->words[word], memory_order_relaxed));
    return count;
}
