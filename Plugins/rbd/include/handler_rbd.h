// SPDX-License-Identifier: Apache-2.0
// The two symbols that the plugin exports.
#ifndef HANDLER_RBD_H
#define HANDLER_RBD_H

#include "martlet-handler.h"

int handler_init(void);
const struct martlet_handler_extension *martlet_handler_extension(void);

#endif
