// SPDX-License-Identifier: Apache-2.0
// Registration, completion and the hooks that stand behind them.

#include "device.h"

static struct martlet_host_hooks installed;

// Set once before any handler is loaded, so that handlers' threads, which begin later, read it without a lock.
void martlet_host_install_hooks(const struct martlet_host_hooks *hooks) { installed = *hooks; }

const struct martlet_host_hooks *host_hooks(void) { return &installed; }

int tcmur_register_handler(struct tcmur_handler *handler) {
    if (handler == NULL || installed.register_handler == NULL) return -1;
    return installed.register_handler(handler);
}

bool tcmur_unregister_handler(struct tcmur_handler *handler) {
    if (handler == NULL || installed.unregister_handler == NULL) return false;
    return installed.unregister_handler(handler);
}

void tcmur_cmd_complete(struct tcmu_device *dev, void *cmd, int sts) {
    struct tcmur_cmd *command = cmd;
    if (command == NULL || command->done == NULL) {
        tcmu_dev_err(dev, "handler completed a command that is not under way");
        return;
    }
    command->done(dev, command, sts);
}
