// SPDX-License-Identifier: Apache-2.0
// Which pages of anonymous memory have been written: the kernel does not tell a page that was only read, and is all
// zeroes, from one that holds data.
#ifndef RAM_PAGE_MAP_H
#define RAM_PAGE_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

// Bytes that one bit stands for.
#define RAM_PAGE_SIZE 4096u

struct page_map {
    // One bit for each page, lowest first; its memory is there as far as bits have been set.
    _Atomic uint64_t *words;
    uint64_t page_count;
};

// 0 or an errno.
int page_map_create(struct page_map *map, uint64_t byte_count);
void page_map_destroy(struct page_map *map);

// Marks every page that the bytes touch. Called after the bytes were written: then, whatever discards meanwhile, a
// page that holds data is marked when the command ends.
void page_map_mark(struct page_map *map, uint64_t offset, uint64_t length);
// Called before the pages are given back, for the same reason.
void page_map_clear(struct page_map *map, uint64_t first_page, uint64_t page_count);
bool page_map_has(const struct page_map *map, uint64_t page);

// The first page from page on, below end, whose mark is not as that of page; end when there is none.
uint64_t page_map_run_end(const struct page_map *map, uint64_t page, uint64_t end);

// Pages that are marked.
uint64_t page_map_count(const struct page_map *map);

#pragma GCC visibility pop

#endif
