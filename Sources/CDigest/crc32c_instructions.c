// SPDX-License-Identifier: Apache-2.0
// CRC32C by the processor's instructions. One instruction takes eight bytes and has a latency of three cycles but can
// start every cycle, so long runs are worked off as three streams side by side, joined at the end.
#include "crc32c_internal.h"

#if defined(__x86_64__) || defined(__aarch64__)

#include <string.h>

#if defined(__x86_64__)
#define CRC_FUNCTION __attribute__((target("sse4.2")))
#define CRC_BYTE(state, byte) __builtin_ia32_crc32qi((uint32_t)(state), (byte))
#define CRC_WORD(state, word) __builtin_ia32_crc32di((state), (word))

bool crc32c_has_instructions(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2");
}
#else
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define CRC_FUNCTION __attribute__((target("crc")))
#define CRC_BYTE(state, byte) __builtin_arm_crc32cb((uint32_t)(state), (byte))
#define CRC_WORD(state, word) __builtin_arm_crc32cd((uint32_t)(state), (word))

bool crc32c_has_instructions(void) { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#endif

/// Bytes of one of the three streams: whole words, close to a third of a page and of a 512-byte block.
#define LONG_STREAM_BYTES 1360
#define SHORT_STREAM_BYTES 168

/// What a run of zero bytes, as long as one stream, does to each byte of a state.
struct zero_run {
    uint32_t table[4][256];
};

static struct zero_run long_run, short_run;

static uint32_t after_zeroes(const struct zero_run *run, uint64_t state) {
    return run->table[0][state & 0xFF] ^ run->table[1][(state >> 8) & 0xFF] ^ run->table[2][(state >> 16) & 0xFF]
        ^ run->table[3][(state >> 24) & 0xFF];
}

/// The state is linear in its bits: the effect on each of the 32 bits gives that on every byte.
static void prepare_run(struct zero_run *run, size_t byte_count) {
    static const uint8_t zeroes[LONG_STREAM_BYTES];
    for (int position = 0; position < 4; position++) {
        uint32_t of_bit[8];
        for (int bit = 0; bit < 8; bit++)
            of_bit[bit] = crc32c_raw_by_tables(1u << (8 * position + bit), zeroes, byte_count);
        for (int byte = 0; byte < 256; byte++) {
            uint32_t effect = 0;
            for (int bit = 0; bit < 8; bit++)
                if (byte >> bit & 1)
                    effect ^= of_bit[bit];
            run->table[position][byte] = effect;
        }
    }
}

void crc32c_prepare_streams(void) {
    prepare_run(&long_run, LONG_STREAM_BYTES);
    prepare_run(&short_run, SHORT_STREAM_BYTES);
}

static uint64_t load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/// Three streams of `stream_bytes` each, one behind the other in memory.
CRC_FUNCTION static inline uint64_t three_streams(
    uint64_t first, const uint8_t *bytes, size_t stream_bytes, const struct zero_run *run) {
    uint64_t second = 0, third = 0;
    const uint8_t *end = bytes + stream_bytes;
    for (; bytes < end; bytes += sizeof(uint64_t)) {
        first = CRC_WORD(first, load(bytes));
        second = CRC_WORD(second, load(bytes + stream_bytes));
        third = CRC_WORD(third, load(bytes + 2 * stream_bytes));
    }
    second ^= after_zeroes(run, first);
    return third ^ after_zeroes(run, second);
}

CRC_FUNCTION uint32_t crc32c_raw_by_instructions(uint32_t initial, const uint8_t *bytes, size_t byte_count) {
    uint64_t state = initial;
    for (; byte_count >= 3 * LONG_STREAM_BYTES; byte_count -= 3 * LONG_STREAM_BYTES) {
        state = three_streams(state, bytes, LONG_STREAM_BYTES, &long_run);
        bytes += 3 * LONG_STREAM_BYTES;
    }
    for (; byte_count >= 3 * SHORT_STREAM_BYTES; byte_count -= 3 * SHORT_STREAM_BYTES) {
        state = three_streams(state, bytes, SHORT_STREAM_BYTES, &short_run);
        bytes += 3 * SHORT_STREAM_BYTES;
    }
    for (; byte_count >= sizeof(uint64_t); byte_count -= sizeof(uint64_t)) {
        state = CRC_WORD(state, load(bytes));
        bytes += sizeof(uint64_t);
    }
    for (; byte_count > 0; byte_count--)
        state = CRC_BYTE(state, *bytes++);
    return (uint32_t)state;
}

#else

bool crc32c_has_instructions(void) { return false; }

void crc32c_prepare_streams(void) {}

uint32_t crc32c_raw_by_instructions(uint32_t state, const uint8_t *bytes, size_t byte_count) {
    return crc32c_raw_by_tables(state, bytes, byte_count);
}

#endif
