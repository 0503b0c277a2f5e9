/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two links of a doubly linked list, as they stand in struct tcmur_cmd. The link belongs to the host.
 */
#ifndef CCAN_LIST_H
#define CCAN_LIST_H

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

struct list_head {
    struct list_node n;
};

#endif
