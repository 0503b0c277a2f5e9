// SPDX-License-Identifier: Apache-2.0
// CRC32C by tables, eight bytes a step, and the choice between tables and instructions.
#include "CDigest.h"
#include "crc32c_internal.h"

#include <string.h>

/// The Castagnoli polynomial with its bits reflected.
#define POLYNOMIAL 0x82F63B78u
#define STEP_BYTES 8

/// table[k][b]: what byte b does to the state when k more bytes of the same step follow it.
static uint32_t table[STEP_BYTES][256];
static bool is_accelerated;

/// Before main, while there is one thread: later everything here is read only.
__attribute__((constructor)) static void prepare(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t state = byte;
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ ((state & 1) ? POLYNOMIAL : 0);
        table[0][byte] = state;
    }
    for (int following = 1; following < STEP_BYTES; following++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t before = table[following - 1][byte];
            table[following][byte] = (before >> 8) ^ table[0][before & 0xFF];
        }
    is_accelerated = crc32c_has_instructions();
    if (is_accelerated)
        crc32c_prepare_streams();
}

static uint64_t load_little_endian(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t crc32c_raw_by_tables(uint32_t state, const uint8_t *bytes, size_t byte_count) {
    while (byte_count >= STEP_BYTES) {
        uint64_t word = load_little_endian(bytes) ^ state;
        state = 0;
        for (int index = 0; index < STEP_BYTES; index++)
            state ^= table[STEP_BYTES - 1 - index][(word >> (8 * index)) & 0xFF];
        bytes += STEP_BYTES;
        byte_count -= STEP_BYTES;
    }
    while (byte_count > 0) {
        state = (state >> 8) ^ table[0][(state ^ *bytes) & 0xFF];
        bytes++;
        byte_count--;
    }
    return state;
}

uint32_t martlet_crc32c_software(uint32_t crc, const void *bytes, size_t byte_count) {
    return ~crc32c_raw_by_tables(~crc, bytes, byte_count);
}

uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t byte_count) {
    if (!is_accelerated)
        return martlet_crc32c_software(crc, bytes, byte_count);
    return ~crc32c_raw_by_instructions(~crc, bytes, byte_count);
}

bool martlet_crc32c_is_accelerated(void) { return is_accelerated; }
