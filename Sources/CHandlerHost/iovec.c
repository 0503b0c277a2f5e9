// SPDX-License-Identifier: Apache-2.0
// Vectors of memory. Where a function is told the number of elements it looks at no more than those; where it is not,
// its caller promises that the vector holds as many bytes as it asks for. Not every handler keeps that promise, so the
// host ends its vectors with an element of no address and no length, at which such functions stop.

#include "device.h"

#include <string.h>

static size_t smaller(size_t left, size_t right) { return left < right ? left : right; }

static void consume(struct iovec *element, size_t count) {
    element->iov_base = (uint8_t *)element->iov_base + count;
    element->iov_len -= count;
}

size_t tcmu_iovec_length(struct iovec *iovec, size_t iov_cnt) {
    size_t total = 0;
    for (size_t index = 0; index < iov_cnt; index++) {
        if (__builtin_add_overflow(total, iovec[index].iov_len, &total)) return SIZE_MAX;
    }
    return total;
}

static bool is_end(const struct iovec *element) { return element->iov_base == NULL && element->iov_len == 0; }

size_t tcmu_iovec_seek(struct iovec *iovec, size_t count) {
    size_t used_up = 0;
    while (count > 0 && !is_end(&iovec[used_up])) {
        size_t step = smaller(count, iovec[used_up].iov_len);
        consume(&iovec[used_up], step);
        count -= step;
        if (iovec[used_up].iov_len == 0) used_up++;
    }
    return used_up;
}

off_t tcmu_iovec_compare(void *mem, struct iovec *iovec, size_t size) {
    const uint8_t *expected = mem;
    size_t offset = 0;
    while (offset < size) {
        // Bytes that are not there differ.
        if (is_end(iovec)) return (off_t)offset;
        const uint8_t *found = iovec->iov_base;
        size_t length = smaller(iovec->iov_len, size - offset);
        // Whole elements first: the byte is looked for only where there is a difference.
        if (length > 0 && memcmp(expected + offset, found, length) != 0) {
            size_t index = 0;
            while (expected[offset + index] == found[index]) index++;
            return (off_t)(offset + index);
        }
        offset += length;
        iovec++;
    }
    return -1;
}

void tcmu_iovec_zero(struct iovec *iovec, size_t iov_cnt) {
    for (size_t index = 0; index < iov_cnt; index++) {
        if (iovec[index].iov_len > 0) memset(iovec[index].iov_base, 0, iovec[index].iov_len);
    }
}

bool tcmu_iovec_zeroed(struct iovec *iovec, size_t iov_cnt) {
    for (size_t index = 0; index < iov_cnt; index++) {
        const uint8_t *bytes = iovec[index].iov_base;
        size_t length = iovec[index].iov_len;
        // The first byte is zero and each equals the next: all are zero.
        if (length > 0 && (bytes[0] != 0 || memcmp(bytes, bytes + 1, length - 1) != 0)) return false;
    }
    return true;
}

size_t tcmu_memcpy_into_iovec(struct iovec *iovec, size_t iov_cnt, void *src, size_t len) {
    size_t copied = 0;
    for (size_t index = 0; index < iov_cnt && copied < len; index++) {
        size_t step = smaller(iovec[index].iov_len, len - copied);
        if (step == 0) continue;
        memcpy(iovec[index].iov_base, (uint8_t *)src + copied, step);
        consume(&iovec[index], step);
        copied += step;
    }
    return copied;
}

size_t tcmu_memcpy_from_iovec(void *dest, size_t len, struct iovec *iovec, size_t iov_cnt) {
    size_t copied = 0;
    for (size_t index = 0; index < iov_cnt && copied < len; index++) {
        size_t step = smaller(iovec[index].iov_len, len - copied);
        if (step == 0) continue;
        memcpy((uint8_t *)dest + copied, iovec[index].iov_base, step);
        consume(&iovec[index], step);
        copied += step;
    }
    return copied;
}

void tcmu_cmd_seek(struct tcmulib_cmd *cmd, size_t count) {
    size_t total = tcmu_iovec_length(cmd->iovec, cmd->iov_cnt);
    size_t used_up = tcmu_iovec_seek(cmd->iovec, smaller(count, total));
    cmd->iovec += used_up;
    cmd->iov_cnt -= used_up;
}
