// SPDX-License-Identifier: Apache-2.0
//
// The canned answers of the floor: as much of SPC and SBC as initiators ask before they read and write.
#include "floor.h"

enum {
    DEVICE_TYPE_DISK = 0x00,
    VERSION_SPC_4 = 0x06,
    STANDARD_INQUIRY_BYTES = 36,
    PAGE_SUPPORTED_VPD = 0x00,
    PAGE_SERIAL_NUMBER = 0x80,
    PAGE_DEVICE_IDENTIFICATION = 0x83,
    PAGE_BLOCK_LIMITS = 0xb0,
    PAGE_CACHING = 0x08,
    BLOCK_LIMITS_BYTES = 64,
};

static int vital_product_data(uint8_t page, uint8_t *answer)
{
    static const char serial[] = "martlet-floor";
    static const uint8_t naa[8] = {0x33, 0x33, 0x33, 0x33, 0x46, 0x4c, 0x4f, 0x52};
    answer[0] = DEVICE_TYPE_DISK;
    answer[1] = page;
    switch (page) {
    case PAGE_SUPPORTED_VPD:
        put16(answer + 2, 4);
        answer[4] = PAGE_SUPPORTED_VPD;
        answer[5] = PAGE_SERIAL_NUMBER;
        answer[6] = PAGE_DEVICE_IDENTIFICATION;
        answer[7] = PAGE_BLOCK_LIMITS;
        return 8;
    case PAGE_SERIAL_NUMBER:
        put16(answer + 2, sizeof serial - 1);
        memcpy(answer + 4, serial, sizeof serial - 1);
        return 4 + sizeof serial - 1;
    case PAGE_DEVICE_IDENTIFICATION:
        put16(answer + 2, 12);
        answer[4] = 0x01;  // binary
        answer[5] = 0x03;  // NAA, of the logical unit
        answer[7] = sizeof naa;
        memcpy(answer + 8, naa, sizeof naa);
        return 8 + sizeof naa;
    case PAGE_BLOCK_LIMITS:
        put16(answer + 2, BLOCK_LIMITS_BYTES - 4);
        put32(answer + 8, FLOOR_RESPONSES / 2 * LONGEST_LOGIN_SEGMENT / SCSI_BLOCK_BYTES);
        return BLOCK_LIMITS_BYTES;
    default:
        return -1;
    }
}

static int inquiry(const uint8_t *cdb, uint8_t *answer)
{
    if (cdb[1] & 1)
        return vital_product_data(cdb[2], answer);
    answer[0] = DEVICE_TYPE_DISK;
    answer[2] = VERSION_SPC_4;
    answer[3] = 0x02;  // response data format
    answer[4] = STANDARD_INQUIRY_BYTES - 5;
    answer[7] = 0x02;  // CMDQUE
    memcpy(answer + 8, "MARTLET FLOOR           0001", 28);
    return STANDARD_INQUIRY_BYTES;
}

/// The caching page and nothing else, whichever page is asked for: no write cache, nothing changeable.
static int mode_sense(const uint8_t *cdb, uint8_t *answer)
{
    bool ten = cdb[0] == SCSI_MODE_SENSE_10;
    int header = ten ? 8 : 4;
    uint8_t page = cdb[2] & 0x3f;
    int count = header;
    if (page == PAGE_CACHING || page == 0x3f) {
        answer[header] = PAGE_CACHING;
        answer[header + 1] = 18;
        count += 20;
    }
    if (ten)
        put16(answer, (uint16_t)(count - 2));
    else
        answer[0] = (uint8_t)(count - 1);
    return count;
}

static int at_most(int count, uint32_t allocation_length)
{
    return count > 0 && (uint32_t)count > allocation_length ? (int)allocation_length : count;
}

int floor_canned_answer(const uint8_t *cdb, uint64_t block_count, uint8_t *answer)
{
    switch (cdb[0]) {
    case SCSI_TEST_UNIT_READY:
    case SCSI_START_STOP_UNIT:
    case SCSI_SYNCHRONIZE_CACHE_10:
    case SCSI_SYNCHRONIZE_CACHE_16:
        return 0;
    case SCSI_REQUEST_SENSE:
        answer[0] = 0x70;
        answer[7] = 10;
        return at_most(18, cdb[4]);
    case SCSI_INQUIRY:
        return at_most(inquiry(cdb, answer), get16(cdb + 3));
    case SCSI_MODE_SENSE_6:
        return at_most(mode_sense(cdb, answer), cdb[4]);
    case SCSI_MODE_SENSE_10:
        return at_most(mode_sense(cdb, answer), get16(cdb + 7));
    case SCSI_READ_CAPACITY_10:
        put32(answer, block_count > RESERVED_TAG ? RESERVED_TAG : (uint32_t)(block_count - 1));
        put32(answer + 4, SCSI_BLOCK_BYTES);
        return 8;
    case SCSI_SERVICE_ACTION_IN_16:
        if ((cdb[1] & 0x1f) != SERVICE_ACTION_READ_CAPACITY_16)
            return -1;
        put64(answer, block_count - 1);
        put32(answer + 8, SCSI_BLOCK_BYTES);
        return at_most(32, get32(cdb + 10));
    case SCSI_REPORT_LUNS:
        put32(answer, 8);  // one logical unit, number 0
        return at_most(16, get32(cdb + 6));
    default:
        return -1;
    }
}
