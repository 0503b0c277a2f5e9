// SPDX-License-Identifier: Apache-2.0
// Opening and closing a store.

#include "store.h"

const struct medium_rules aio_rules = {.takes_block_devices = true};

int aio_store_open(
    struct aio_store *store, const struct aio_request *request, const struct medium_geometry *geometry,
    struct medium_reason *reason) {
    struct medium_file file;
    int result = medium_open(&file, request->path, geometry, &aio_rules, reason);
    *store = (struct aio_store){.descriptor = -1};
    if (result != 0) return result;
    *store = (struct aio_store){
        .descriptor = file.descriptor,
        .byte_count = file.byte_count,
        .block_size = geometry->block_size,
        .is_block_device = file.is_block_device,
        .is_read_only = geometry->is_read_only,
        .is_solid_state = medium_disk_attribute(file.disk, "rotational") == 0,
        .can_unmap = !file.is_block_device || medium_disk_attribute(file.disk, "write_zeroes_max_bytes") > 0,
    };
    return 0;
}

void aio_store_close(struct aio_store *store) {
    medium_close(store->descriptor);
    store->descriptor = -1;
}

bool aio_store_holds(const struct aio_store *store, uint64_t offset, uint64_t length) {
    return offset <= store->byte_count && length <= store->byte_count - offset;
}
