// SPDX-License-Identifier: Apache-2.0
// Sense data in fixed format, SPC-5 4.4.3.

#include "device.h"

#include <string.h>

enum {
    response_code_byte = 0,
    response_code_current_fixed = 0x70,
    valid = 0x80,
    sense_key_byte = 2,
    sense_key_mask = 0x0f,
    information_byte = 3,
    additional_length_byte = 7,
    additional_sense_code_byte = 12,
    additional_sense_code_qualifier_byte = 13,
    sense_key_specific_byte = 15,
    sense_key_specific_valid = 0x80,
    // Fixed format without vendor's bytes.
    fixed_length = 18,
};

static void begin(uint8_t *sense_buf, size_t length) {
    memset(sense_buf, 0, length);
    sense_buf[response_code_byte] = response_code_current_fixed;
    sense_buf[additional_length_byte] = fixed_length - (additional_length_byte + 1);
}

void __tcmu_sense_set_data(uint8_t *sense_buf, uint8_t key, uint16_t asc_ascq) {
    begin(sense_buf, SENSE_BUFFERSIZE);
    sense_buf[sense_key_byte] = key & sense_key_mask;
    sense_buf[additional_sense_code_byte] = (uint8_t)(asc_ascq >> 8);
    sense_buf[additional_sense_code_qualifier_byte] = (uint8_t)asc_ascq;
}

int tcmu_sense_set_data(uint8_t *sense_buf, uint8_t key, uint16_t asc_ascq) {
    __tcmu_sense_set_data(sense_buf, key, asc_ascq);
    return TCMU_STS_PASSTHROUGH_ERR;
}

void tcmu_sense_set_info(uint8_t *sense_buf, uint32_t info) {
    begin(sense_buf, fixed_length);
    sense_buf[response_code_byte] |= valid;
    for (int index = 0; index < 4; index++) sense_buf[information_byte + index] = (uint8_t)(info >> (24 - 8 * index));
}

void tcmu_sense_set_key_specific_info(uint8_t *sense_buf, uint16_t info) {
    begin(sense_buf, fixed_length);
    sense_buf[sense_key_specific_byte] = sense_key_specific_valid;
    sense_buf[sense_key_specific_byte + 1] = (uint8_t)(info >> 8);
    sense_buf[sense_key_specific_byte + 2] = (uint8_t)info;
}
