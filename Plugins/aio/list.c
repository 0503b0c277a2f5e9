// SPDX-License-Identifier: Apache-2.0
// Lists of commands.

#include "device.h"

void aio_list_clear(struct aio_list *list) {
    list->first = NULL;
    list->last = &list->first;
}

void aio_list_append(struct aio_list *list, struct aio_command *command) {
    command->next = NULL;
    *list->last = command;
    list->last = &command->next;
}

void aio_list_prepend(struct aio_list *list, struct aio_list *more) {
    if (more->first == NULL) return;
    *more->last = list->first;
    if (list->first == NULL) list->last = more->last;
    list->first = more->first;
    aio_list_clear(more);
}

struct aio_command *aio_list_pop(struct aio_list *list) {
    struct aio_command *command = list->first;
    if (command == NULL) return NULL;
    list->first = command->next;
    if (list->first == NULL) list->last = &list->first;
    return command;
}
