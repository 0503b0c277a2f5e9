// SPDX-License-Identifier: Apache-2.0
// How much memory a medium has, and how much more it could have.

#include <errno.h>
#include <stdio.h>

#include "device.h"
#include "store.h"

static uint64_t smaller(uint64_t left, uint64_t right) { return left < right ? left : right; }

// Bytes that the kernel could give without swapping, by its own estimate; 0 when it does not say.
static uint64_t memory_available(void) {
    unsigned long long kibibytes = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "MemAvailable: %llu kB", &kibibytes) == 1) break;
    }
    fclose(file);
    return (uint64_t)kibibytes * 1024;
}

int ram_space(struct tcmu_device *dev, struct martlet_space *answer) {
    const struct ram_device *ram = tcmur_dev_get_private(dev);
    const struct ram_store *store = &ram->store;
    if (store->is_file) return medium_space(store->descriptor, store->byte_count, answer);
    uint64_t used = smaller(page_map_count(&store->written) * RAM_PAGE_SIZE, store->byte_count);
    uint64_t available = memory_available();
    if (available == 0) return -ENODATA;
    answer->used_byte_count = used;
    answer->available_byte_count = smaller(available, store->byte_count - used);
    return 0;
}
