// SPDX-License-Identifier: Apache-2.0
// The fields of a CDB that stand where its length says. A handler may ask about any CDB: none is fatal.

#include "device.h"

#include <errno.h>
#include <stdio.h>

enum {
    variable_length_opcode = 0x7f,
    // Bytes of a variable-length CDB before and with its ADDITIONAL CDB LENGTH field, SPC-5 4.2.3.
    variable_length_header = 8,
    variable_length_byte = 7,
};

static uint64_t big_endian(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t index = 0; index < count; index++) value = value << 8 | bytes[index];
    return value;
}

int tcmu_cdb_get_length(uint8_t *cdb) {
    if (cdb[0] == variable_length_opcode) return variable_length_header + cdb[variable_length_byte];
    // The group code, SPC-5 4.2.5.1.
    switch (cdb[0] >> 5) {
    case 0: return 6;
    case 1:
    case 2: return 10;
    case 4: return 16;
    case 5: return 12;
    default: return -EINVAL;
    }
}

uint64_t tcmu_cdb_get_lba(uint8_t *cdb) {
    int length = tcmu_cdb_get_length(cdb);
    if (cdb[0] == variable_length_opcode) return length == 32 ? big_endian(cdb + 12, 8) : 0;
    switch (length) {
    case 6: return big_endian(cdb + 1, 3) & 0x1fffff;
    case 10:
    case 12: return big_endian(cdb + 2, 4);
    case 16: return big_endian(cdb + 2, 8);
    default: return 0;
    }
}

uint32_t tcmu_cdb_get_xfer_length(uint8_t *cdb) {
    int length = tcmu_cdb_get_length(cdb);
    if (cdb[0] == variable_length_opcode) return length == 32 ? (uint32_t)big_endian(cdb + 28, 4) : 0;
    switch (length) {
    case 6: return cdb[4];
    case 10: return (uint32_t)big_endian(cdb + 7, 2);
    case 12: return (uint32_t)big_endian(cdb + 6, 4);
    case 16: return (uint32_t)big_endian(cdb + 10, 4);
    default: return 0;
    }
}

uint64_t tcmu_cdb_to_byte(struct tcmu_device *dev, uint8_t *cdb) {
    return tcmu_lba_to_byte(dev, tcmu_cdb_get_lba(cdb));
}

void tcmu_cdb_print_info(struct tcmu_device *dev, const struct tcmulib_cmd *cmd, const char *info) {
    // Two digits and a space for each byte of the longest CDB that the host passes on.
    enum { byte_limit = 32, width = 3 };
    char text[byte_limit * width + 1] = "";
    int length = tcmu_cdb_get_length(cmd->cdb);
    if (length < 0) length = 1;
    for (int index = 0; index < length && index < byte_limit; index++) {
        snprintf(text + index * width, width + 1, "%02x ", cmd->cdb[index]);
    }
    tcmu_dbg_scsi_cmd_message(dev, __func__, __LINE__, "CDB %s%s", text, info != NULL ? info : "");
}
