// SPDX-License-Identifier: Apache-2.0
// Lists, growing arrays and their small relatives against what they promise. Ends with the number of the line that
// does not hold, or 0.
#include <stdio.h>

#include "ccan/build_assert/build_assert.h"
#include "ccan/check_type/check_type.h"
#include "ccan/container_of/container_of.h"
#include "ccan/list/list.h"
#include "ccan/str/str.h"
#include "darray.h"
#include "tcmu-runner.h"

#define HOLDS(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            return __LINE__; \
        } \
    } while (0)

struct item {
    int value;
    struct list_node entry;
};

/* The values of a list, forwards or backwards, as one number: 1, 2, 3 is 123. */
static int forwards(struct list_head *list)
{
    struct item *i;
    int sum = 0;
    list_for_each(list, i, entry) sum = sum * 10 + i->value;
    return sum;
}

static int backwards(struct list_head *list)
{
    struct item *i;
    int sum = 0;
    list_for_each_rev_off(list, i, offsetof(struct item, entry)) sum = sum * 10 + i->value;
    return sum;
}

static int lists(void)
{
    LIST_HEAD(list);
    struct list_head other;
    struct item items[5] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 }, { .value = 5 } };
    struct item *i, *next;

    list_head_init(&other);
    HOLDS(list_empty(&list) && list_empty(&other) && forwards(&list) == 0);
    HOLDS(list_top(&list, struct item, entry) == NULL && list_tail(&list, struct item, entry) == NULL);
    HOLDS(list_pop(&list, struct item, entry) == NULL);
    list_add_tail(&list, &items[1].entry);
    list_add(&list, &items[0].entry);
    list_add_tail(&list, &items[2].entry);
    HOLDS(forwards(&list) == 123 && backwards(&list) == 321);
    HOLDS(list_top(&list, struct item, entry) == &items[0] && list_tail(&list, struct item, entry) == &items[2]);
    HOLDS(list_next(&list, &items[0], entry) == &items[1] && list_next(&list, &items[2], entry) == NULL);
    HOLDS(list_prev(&list, &items[0], entry) == NULL && list_prev(&list, &items[2], entry) == &items[1]);
    HOLDS(list_entry(&items[1].entry, struct item, entry) == &items[1]);
    HOLDS(list_first_entry(&list, struct item, entry) == &items[0]);
    list_add_before(&list, &items[1].entry, &items[3].entry);
    list_add_after(&list, &items[1].entry, &items[4].entry);
    HOLDS(forwards(&list) == 14253);
    list_for_each_safe(&list, i, next, entry)
        if (i->value > 3) list_del_from(&list, &i->entry);
    HOLDS(forwards(&list) == 123 && backwards(&list) == 321);
    list_swap(&items[1].entry, &items[3].entry);
    HOLDS(forwards(&list) == 143 && backwards(&list) == 341);
    list_add_tail(&other, &items[4].entry);
    list_append_list(&list, &other);
    HOLDS(forwards(&list) == 1435 && backwards(&list) == 5341 && list_empty(&other));
    list_prepend_list(&other, &list);
    list_append_list(&other, &list);
    HOLDS(forwards(&other) == 1435 && list_empty(&list));
    HOLDS(list_pop(&other, struct item, entry) == &items[0] && forwards(&other) == 435);
    list_del_init(&items[3].entry);
    list_del_init(&items[3].entry);
    HOLDS(forwards(&other) == 35 && backwards(&other) == 53);
    list_for_each_rev_safe(&other, i, next, entry) list_del(&i->entry);
    HOLDS(list_empty(&other));
    return 0;
}

static int arrays(void)
{
    darray(int) numbers = darray_new();
    darray(char) text = darray_new();
    int some[] = { 7, 8, 9 };
    int *i, sum = 0;

    HOLDS(darray_empty(numbers));
    darray_foreach(i, numbers) sum++;
    darray_foreach_reverse(i, numbers) sum++;
    HOLDS(sum == 0);
    for (int n = 0; n < 1000; n++) darray_append(numbers, n);
    HOLDS(darray_size(numbers) == 1000 && darray_item(numbers, 999) == 999 && darray_alloc(numbers) >= 1000);
    darray_remove(numbers, 0);
    HOLDS(darray_size(numbers) == 999 && darray_item(numbers, 0) == 1 && darray_item(numbers, 998) == 999);
    darray_remove(numbers, 998);
    HOLDS(darray_pop(numbers) == 998 && *darray_pop_check(numbers) == 997);
    darray_foreach(i, numbers) sum += *i;
    HOLDS(sum == 996 * 997 / 2);
    darray_from_c(numbers, some);
    darray_prepend(numbers, 6);
    darray_appends(numbers, 10, 11);
    darray_prepends(numbers, 4, 5);
    HOLDS(darray_size(numbers) == 8);
    sum = 0;
    darray_foreach_reverse(i, numbers) HOLDS(*i == 11 - sum++);
    HOLDS(sum == 8);
    darray_resize(numbers, 0);
    HOLDS(darray_pop_check(numbers) == NULL && darray_make_room(numbers, 50) == numbers.item);
    darray_free(numbers);

    darray_from_string(text, "middle");
    darray_append_lit(text, " end");
    darray_prepend_string(text, "start ");
    HOLDS(streq(text.item, "start middle end") && darray_size(text) == 16);
    darray_free(text);
    return 0;
}

static int words(void)
{
    int calls = 0;
    struct item item = { .value = 1 }, *of = &item;
    struct list_node *none = NULL;

    BUILD_ASSERT(sizeof(int) == 4);
    HOLDS(BUILD_ASSERT_OR_ZERO(sizeof(int) == 4) == 0 && check_type(item.value, int) == 0);
    HOLDS(container_of(&item.entry, struct item, entry) == &item);
    HOLDS(container_of_var(&item.entry, of, entry) == &item && container_off_var(of, entry) == 8);
    HOLDS(container_of_or_null(none, struct item, entry) == NULL);
    HOLDS(container_of_or_null(&item.entry, struct item, entry) == &item);
    HOLDS(strstarts("qcow/x", "qcow/") && !strstarts("qc", "qcow") && strends("a.img", ".img") && !strends("g", "ng"));
    HOLDS(streq(stringify(SENSE_BUFFERSIZE), "96") && STR_MAX_CHARS(uint64_t) >= 21 && STR_MAX_CHARS(char) >= 5);
    HOLDS(cisdigit('7') && !cisdigit((char)0xB7) && cisspace(' ') && !cisascii((char)0x80) && cisxdigit('f'));
    // Each argument once.
    HOLDS(max(++calls, -1) == 1 && min(++calls, 99) == 2 && calls == 2);
    HOLDS(max(min(5, 3), max(1, 2)) == 3);
    HOLDS(round_up(4097, 4096) == 8192 && round_up(4096, 4096) == 4096 && round_down(4097, 4096) == 4096);
    HOLDS(round_up((uint64_t)1 << 40, 512) == (uint64_t)1 << 40 && ARRAY_SIZE(((char[7]){ 0 })) == 7);
    return 0;
}

int main(void)
{
    int line = lists();
    if (line == 0) line = arrays();
    if (line == 0) line = words();
    return line == 0 ? 0 : 1;
}
