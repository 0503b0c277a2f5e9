// SPDX-License-Identifier: Apache-2.0
//
// CRC32C, the digest of iSCSI (RFC 7143 13.1), as a running value: start, add bytes, finish.
#ifndef BENCHMARKS_CRC32C_H
#define BENCHMARKS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_START 0xffffffffu

uint32_t crc32c_add(uint32_t crc, const uint8_t *bytes, size_t count);

/// Writes the digest as it stands on the wire: least significant byte first.
static inline void crc32c_finish(uint32_t crc, uint8_t digest[4])
{
    crc = ~crc;
    for (int i = 0; i < 4; i++)
        digest[i] = (uint8_t)(crc >> 8 * i);
}

#endif
