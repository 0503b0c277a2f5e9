// SPDX-License-Identifier: Apache-2.0
#ifndef MARTLET_CRC32C_INTERNAL_H
#define MARTLET_CRC32C_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The raw state of a CRC is the register before the final inversion.

/// Advances a raw state over `byte_count` bytes by tables.
uint32_t crc32c_raw_by_tables(uint32_t state, const uint8_t *bytes, size_t byte_count);

/// Whether this processor has CRC32C instructions.
bool crc32c_has_instructions(void);

/// Advances a raw state by the processor's instructions. Only where `crc32c_has_instructions` is true, and after
/// `crc32c_prepare_streams`.
uint32_t crc32c_raw_by_instructions(uint32_t state, const uint8_t *bytes, size_t byte_count);

/// Fills what `crc32c_raw_by_instructions` needs to join its streams; the tables must stand.
void crc32c_prepare_streams(void);

#endif
