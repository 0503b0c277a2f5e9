/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array that grows: darray(TYPE) declares one, its items stand at item[0] to item[size - 1]. A failed allocation
 * ends the process, as handlers that use this expect to be told of none. Names are those of ccan's darray.
 *
 * arr is an lvalue of such a type; it is evaluated more than once.
 */
#ifndef CCAN_DARRAY_H
#define CCAN_DARRAY_H

#include <stdlib.h>
#include <string.h>

#define darray(type) \
    struct { \
        type *item; \
        size_t size; \
        size_t alloc; \
    }

#define darray_new() { 0, 0, 0 }
#define darray_init(arr) ((arr).item = 0, (arr).size = 0, (arr).alloc = 0)
#define darray_free(arr) (free((arr).item))

#define darray_item(arr, i) ((arr).item[i])
#define darray_size(arr) ((arr).size)
#define darray_alloc(arr) ((arr).alloc)
#define darray_empty(arr) ((arr).size == 0)

/* Room. */

/* count items of so many bytes each, moved from where they are. */
static inline void *martlet_darray_room(void *item, size_t count, size_t item_size)
{
    void *moved = count > (size_t)-1 / item_size ? NULL : realloc(item, (count > 0 ? count : 1) * item_size);
    if (moved == NULL) abort();
    return moved;
}

/* The next allocation that holds need items: doubled, so that appending costs the same however long the array is. */
static inline size_t darray_next_alloc(size_t alloc, size_t need)
{
    if (alloc == 0) alloc = 1;
    while (alloc < need) alloc = alloc > (size_t)-1 / 2 ? need : alloc * 2;
    return alloc;
}

/* A function, because a compiler that sees need to be zero objects to asking whether it is more. */
static inline int martlet_darray_lacks(size_t alloc, size_t need) { return need > alloc; }

#define darray_realloc(arr, new_alloc) \
    ((arr).alloc = (new_alloc), \
     (arr).item = (__typeof__((arr).item))martlet_darray_room((arr).item, (arr).alloc, sizeof(*(arr).item)))
#define darray_growalloc(arr, need) \
    ((void)(martlet_darray_lacks((arr).alloc, (need)) \
                ? darray_realloc(arr, darray_next_alloc((arr).alloc, (need))) \
                : (arr).item))
#define darray_resize(arr, new_size) (darray_growalloc(arr, (new_size)), (arr).size = (new_size))
/* Room behind the items for room more of them, where it begins. */
#define darray_make_room(arr, room) (darray_growalloc(arr, (arr).size + (room)), (arr).item + (arr).size)

/* One item in, one out. */

#define darray_append(arr, ...) \
    (darray_resize(arr, (arr).size + 1), (void)((arr).item[(arr).size - 1] = (__VA_ARGS__)))
#define darray_push(arr, ...) darray_append(arr, __VA_ARGS__)
#define darray_prepend(arr, ...) (martlet_darray_open(arr, 1), (void)((arr).item[0] = (__VA_ARGS__)))
#define darray_pop(arr) ((arr).item[--(arr).size])
#define darray_pop_check(arr) ((arr).size > 0 ? &darray_pop(arr) : NULL)
#define darray_remove(arr, i) \
    ((void)memmove( \
         &(arr).item[i], &(arr).item[(i) + 1], ((arr).size - (size_t)(i) - 1) * sizeof(*(arr).item)), \
     (void)(arr).size--)

/* Several. items do not lie in the array. */

#define martlet_darray_open(arr, count) \
    (darray_resize(arr, (arr).size + (count)), \
     (void)memmove((arr).item + (count), (arr).item, ((arr).size - (count)) * sizeof(*(arr).item)))
#define martlet_darray_copy(arr, at, items, count) \
    ((void)memcpy((arr).item + (at), (items), (count) * sizeof(*(arr).item)))

#define darray_append_items(arr, items, count) \
    (darray_resize(arr, (arr).size + (count)), martlet_darray_copy(arr, (arr).size - (count), items, count))
#define darray_prepend_items(arr, items, count) \
    (martlet_darray_open(arr, count), martlet_darray_copy(arr, 0, items, count))
#define darray_from_items(arr, items, count) \
    (darray_resize(arr, (count)), martlet_darray_copy(arr, 0, items, count))
#define darray_from_c(arr, c_array) darray_from_items(arr, c_array, sizeof(c_array) / sizeof(*(c_array)))

#define martlet_darray_items(type, ...) ((const type[]){ __VA_ARGS__ })
#define martlet_darray_count(type, ...) (sizeof(martlet_darray_items(type, __VA_ARGS__)) / sizeof(type))
#define darray_appends_t(arr, type, ...) \
    darray_append_items(arr, martlet_darray_items(type, __VA_ARGS__), martlet_darray_count(type, __VA_ARGS__))
#define darray_prepends_t(arr, type, ...) \
    darray_prepend_items(arr, martlet_darray_items(type, __VA_ARGS__), martlet_darray_count(type, __VA_ARGS__))
#define darray_appends(arr, ...) darray_appends_t(arr, __typeof__(*(arr).item), __VA_ARGS__)
#define darray_prepends(arr, ...) darray_prepends_t(arr, __typeof__(*(arr).item), __VA_ARGS__)

/* Strings: an array of char with a NUL behind its items, which size does not count. */

#define martlet_darray_end(arr) (darray_growalloc(arr, (arr).size + 1), (void)((arr).item[(arr).size] = 0))
#define darray_append_items_nullterminate(arr, items, count) \
    (darray_append_items(arr, items, count), martlet_darray_end(arr))
#define darray_prepend_items_nullterminate(arr, items, count) \
    (darray_prepend_items(arr, items, count), martlet_darray_end(arr))
#define darray_append_string(arr, str) darray_append_items_nullterminate(arr, str, strlen(str))
#define darray_prepend_string(arr, str) darray_prepend_items_nullterminate(arr, str, strlen(str))
#define darray_from_string(arr, str) (darray_from_items(arr, str, strlen(str)), martlet_darray_end(arr))
#define darray_append_lit(arr, literal) darray_append_items_nullterminate(arr, literal, sizeof(literal) - 1)
#define darray_prepend_lit(arr, literal) darray_prepend_items_nullterminate(arr, literal, sizeof(literal) - 1)
#define darray_from_lit(arr, literal) \
    (darray_from_items(arr, literal, sizeof(literal) - 1), martlet_darray_end(arr))

/* Loops: i points to each item in turn. */

#define darray_foreach(i, arr) \
    for ((i) = (arr).size > 0 ? &(arr).item[0] : NULL; (i) != NULL && (i) < &(arr).item[(arr).size]; (i)++)
#define darray_foreach_reverse(i, arr) \
    for ((i) = (arr).size > 0 ? &(arr).item[(arr).size - 1] : NULL; (i) != NULL; \
         (i) = (i) > &(arr).item[0] ? (i) - 1 : NULL)

#endif
