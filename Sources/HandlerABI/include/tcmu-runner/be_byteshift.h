/* SPDX-License-Identifier: Apache-2.0 */
/* Big-endian integers at any address, as CDBs and parameter data have them. */
#ifndef _TCMU_BE_BYTESHIFT_H
#define _TCMU_BE_BYTESHIFT_H

#include <stdint.h>

static inline uint16_t get_unaligned_be16(const void *p)
{
    const uint8_t *byte = (const uint8_t *)p;
    return (uint16_t)(byte[0] << 8 | byte[1]);
}

static inline uint32_t get_unaligned_be32(const void *p)
{
    const uint8_t *byte = (const uint8_t *)p;
    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

static inline void put_unaligned_be16(uint16_t val, void *p)
{
    uint8_t *byte = (uint8_t *)p;
    byte[0] = (uint8_t)(val >> 8);
    byte[1] = (uint8_t)val;
}

static inline void put_unaligned_be32(uint32_t val, void *p)
{
    put_unaligned_be16((uint16_t)(val >> 16), p);
    put_unaligned_be16((uint16_t)val, (uint8_t *)p + 2);
}

#endif
