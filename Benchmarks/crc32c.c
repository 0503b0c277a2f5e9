// SPDX-License-Identifier: Apache-2.0
#include "crc32c.h"

#include <stdbool.h>
#include <string.h>

#define CRC32C_POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t add_by_table(uint32_t crc, const uint8_t *bytes, size_t count)
{
    static uint32_t table[256];
    static bool ready;
    if (!ready) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++)
                value = value >> 1 ^ (value & 1 ? CRC32C_POLYNOMIAL_REFLECTED : 0);
            table[i] = value;
        }
        ready = true;
    }
    for (size_t i = 0; i < count; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t add_by_instruction(uint32_t crc, const uint8_t *bytes, size_t count)
{
    uint64_t wide = crc;
    for (; count >= 8; count -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; count > 0; count--, bytes++)
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    return crc;
}
#endif

uint32_t crc32c_add(uint32_t crc, const uint8_t *bytes, size_t count)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return add_by_instruction(crc, bytes, count);
#endif
    return add_by_table(crc, bytes, count);
}
