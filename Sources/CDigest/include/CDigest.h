// SPDX-License-Identifier: Apache-2.0
#ifndef MARTLET_CDIGEST_H
#define MARTLET_CDIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli polynomial 1EDC6F41h, reflected, initial value and final inversion all ones).
/// `crc` is the CRC of the bytes before `bytes`, 0 when there are none: a long run may be given in pieces.
/// Uses the processor's CRC instructions where it has them. `bytes` may have any alignment, and may be null when
/// `byte_count` is 0.
uint32_t martlet_crc32c(uint32_t crc, const void *bytes, size_t byte_count);

/// The same by tables alone: what `martlet_crc32c` falls back on.
uint32_t martlet_crc32c_software(uint32_t crc, const void *bytes, size_t byte_count);

/// Whether `martlet_crc32c` uses instructions of the processor.
bool martlet_crc32c_is_accelerated(void);

#endif
