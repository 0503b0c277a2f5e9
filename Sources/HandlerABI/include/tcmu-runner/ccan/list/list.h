/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A doubly linked ring: the head is a node, too, and an empty list is a head that points to itself. Links stand in the
 * structures that are listed, so that entering and leaving cost no memory. Names and layout are those of ccan's list.
 *
 * Where a parameter is named member, it is the struct list_node in the listed structure; off is its offset in bytes.
 */
#ifndef CCAN_LIST_H
#define CCAN_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "../check_type/check_type.h"
#include "../container_of/container_of.h"
#include "../str/str.h"

struct list_node {
    struct list_node *next, *prev;
};

struct list_head {
    struct list_node n;
};

#define LIST_HEAD_INIT(name) { { &(name).n, &(name).n } }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void list_node_init(struct list_node *n) { n->next = n->prev = n; }

static inline void list_head_init(struct list_head *h) { list_node_init(&h->n); }

static inline bool list_empty(const struct list_head *h) { return h->n.next == &h->n; }
static inline bool list_empty_nodebug(const struct list_head *h) { return list_empty(h); }
static inline bool list_empty_nocheck(const struct list_head *h) { return list_empty(h); }

/* Entering. */

static inline void martlet_list_insert(struct list_node *prev, struct list_node *n, struct list_node *next)
{
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}

/* Beside p, a node of the list h or its head. */
static inline void list_add_after(struct list_head *h, struct list_node *p, struct list_node *n)
{
    (void)h;
    martlet_list_insert(p, n, p->next);
}

static inline void list_add_before(struct list_head *h, struct list_node *p, struct list_node *n)
{
    (void)h;
    martlet_list_insert(p->prev, n, p);
}

/* First, and last. */
static inline void list_add(struct list_head *h, struct list_node *n) { list_add_after(h, &h->n, n); }
static inline void list_add_tail(struct list_head *h, struct list_node *n) { list_add_before(h, &h->n, n); }

/* Leaving. The node's own links are stale afterwards, but for list_del_init, which makes it a list of its own. */

static inline void list_del(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
}

static inline void list_del_init(struct list_node *n)
{
    list_del(n);
    list_node_init(n);
}

/* The list is known not to be empty. */
static inline void list_del_from(struct list_head *h, struct list_node *n)
{
    assert(!list_empty(h));
    list_del(n);
}

/* n takes the place of o, which is stale afterwards. */
static inline void list_swap(struct list_node *o, struct list_node *n)
{
    *n = *o;
    n->prev->next = n;
    n->next->prev = n;
}

/* Whole lists: all of from goes to one end of to, and from is empty. */

static inline void martlet_list_splice(struct list_node *prev, struct list_head *from, struct list_node *next)
{
    struct list_node *first = from->n.next, *last = from->n.prev;
    if (list_empty(from)) return;
    first->prev = prev;
    prev->next = first;
    last->next = next;
    next->prev = last;
    list_head_init(from);
}

static inline void list_append_list(struct list_head *to, struct list_head *from)
{
    martlet_list_splice(to->n.prev, from, &to->n);
}

static inline void list_prepend_list(struct list_head *to, struct list_head *from)
{
    martlet_list_splice(&to->n, from, to->n.next);
}

/* From nodes to what holds them. */

static inline struct list_node *list_node_from_off_(void *ptr, size_t off)
{
    return (struct list_node *)(void *)((char *)ptr + off);
}

static inline void *list_node_to_off_(struct list_node *node, size_t off) { return (char *)node - off; }

static inline void *martlet_list_first(const struct list_head *h, size_t off)
{
    return list_empty(h) ? NULL : list_node_to_off_(h->n.next, off);
}

static inline void *martlet_list_last(const struct list_head *h, size_t off)
{
    return list_empty(h) ? NULL : list_node_to_off_(h->n.prev, off);
}

static inline void *martlet_list_pop(struct list_head *h, size_t off)
{
    struct list_node *first = h->n.next;
    if (list_empty(h)) return NULL;
    list_del(first);
    return list_node_to_off_(first, off);
}

/* What stands at node, or NULL at the head. */
static inline void *martlet_list_at(const struct list_head *h, struct list_node *node, size_t off)
{
    return node == &h->n ? NULL : list_node_to_off_(node, off);
}

/* Checks that member is a node, and is its offset. */
#define list_off_(type, member) \
    (container_off(type, member) + check_type(((type *)0)->member, struct list_node))
#define list_off_var_(var, member) \
    (container_off_var(var, member) + check_type((var)->member, struct list_node))
#define list_typeof(var) __typeof__(var)

#define list_entry(n, type, member) container_of(n, type, member)
/* Of a list that is not empty. */
#define list_first_entry(h, type, member) list_entry((h)->n.next, type, member)
/* The first, the last; the first, taken out: NULL when there is none. */
#define list_top(h, type, member) ((type *)martlet_list_first((h), list_off_(type, member)))
#define list_tail(h, type, member) ((type *)martlet_list_last((h), list_off_(type, member)))
#define list_pop(h, type, member) ((type *)martlet_list_pop((h), list_off_(type, member)))
/* After and before i; NULL at the end. */
#define list_next(h, i, member) \
    ((list_typeof(i))martlet_list_at((h), (i)->member.next, list_off_var_(i, member)))
#define list_prev(h, i, member) \
    ((list_typeof(i))martlet_list_at((h), (i)->member.prev, list_off_var_(i, member)))

/* Loops: i points to each structure in turn. In the safe ones i may leave the list; nxt is the loop's own. */

#define list_for_each(h, i, member) martlet_list_each((h), i, list_off_var_(i, member), next)
#define list_for_each_rev(h, i, member) martlet_list_each((h), i, list_off_var_(i, member), prev)
#define list_for_each_safe(h, i, nxt, member) martlet_list_each_safe((h), i, nxt, list_off_var_(i, member), next)
#define list_for_each_rev_safe(h, i, nxt, member) martlet_list_each_safe((h), i, nxt, list_off_var_(i, member), prev)

#define list_for_each_off(h, i, off) martlet_list_each((h), i, (off), next)
#define list_for_each_rev_off(h, i, off) martlet_list_each((h), i, (off), prev)
#define list_for_each_safe_off(h, i, nxt, off) martlet_list_each_safe((h), i, nxt, (off), next)
#define list_for_each_rev_safe_off(h, i, nxt, off) martlet_list_each_safe((h), i, nxt, (off), prev)

#define martlet_list_each(h, i, off, direction) \
    for (i = (list_typeof(i))list_node_to_off_((h)->n.direction, (off)); \
         list_node_from_off_((void *)i, (off)) != &(h)->n; \
         i = (list_typeof(i))list_node_to_off_(list_node_from_off_((void *)i, (off))->direction, (off)))

#define martlet_list_each_safe(h, i, nxt, off, direction) \
    for (i = (list_typeof(i))list_node_to_off_((h)->n.direction, (off)), \
        nxt = (list_typeof(i))list_node_to_off_(list_node_from_off_((void *)i, (off))->direction, (off)); \
         list_node_from_off_((void *)i, (off)) != &(h)->n; \
         i = nxt, nxt = (list_typeof(i))list_node_to_off_(list_node_from_off_((void *)i, (off))->direction, (off)))

/* The same by offset. */
#define list_entry_off(n, type, off) ((type *)list_node_to_off_((n), (off)))
#define list_head_off(h, type, off) ((type *)martlet_list_first((h), (off)))
#define list_tail_off(h, type, off) ((type *)martlet_list_last((h), (off)))
#define list_add_off(h, n, off) list_add((h), list_node_from_off_((n), (off)))
#define list_del_off(n, off) list_del(list_node_from_off_((n), (off)))
#define list_del_from_off(h, n, off) list_del_from((h), list_node_from_off_((n), (off)))

#endif
