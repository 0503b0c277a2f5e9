// SPDX-License-Identifier: Apache-2.0

/// io_uring without a library: the kernel's three system calls, its records laid out flat, and the constants that are
/// used, also those newer than this system's headers. Uring.c compares all with linux/io_uring.h where it has them.
/// Included by CLinux.h.

#ifndef CLINUX_URING_H
#define CLINUX_URING_H

#include <stdint.h>
#include <sys/mman.h>

/// One submission. The kernel's unions under the names that are used here.
struct clinux_uring_submission {
    uint8_t opcode;
    /// IOSQE_*.
    uint8_t flags;
    /// Of receives: IORING_RECVSEND_*.
    uint16_t ioprio;
    int32_t fd;
    uint64_t off;
    uint64_t addr;
    uint32_t len;
    /// msg_flags, poll32_events, cancel_flags.
    uint32_t operation_flags;
    uint64_t user_data;
    uint16_t buf_group;
    uint16_t personality;
    int32_t file_index;
    uint64_t addr3;
    uint64_t padding;
};

/// One completion.
struct clinux_uring_completion {
    uint64_t user_data;
    /// Not negative, or an errno value negated.
    int32_t res;
    uint32_t flags;
};

/// One entry of a ring of provided buffers. The ring's tail lies in `reserved` of the first.
struct clinux_uring_buffer {
    uint64_t addr;
    uint32_t len;
    uint16_t bid;
    uint16_t reserved;
};

/// Where the rings lie in the memory that is shared with the kernel: offsets in bytes, but for the counts.
struct clinux_uring_layout {
    uint32_t submission_entry_count;
    uint32_t completion_entry_count;
    /// IORING_FEAT_*.
    uint32_t features;
    uint32_t submission_head;
    uint32_t submission_tail;
    uint32_t submission_mask;
    uint32_t submission_flags;
    uint32_t submission_array;
    uint32_t completion_head;
    uint32_t completion_tail;
    uint32_t completion_mask;
    uint32_t completion_records;
    /// Bytes to map for both rings, and for the submission records.
    uint64_t rings_byte_count;
    uint64_t submissions_byte_count;
};

/// io_uring_setup(2), closed on exec. A descriptor, or -1 with errno.
int clinux_uring_setup(
    uint32_t submission_count, uint32_t completion_count, uint32_t flags, struct clinux_uring_layout *_Nonnull layout);

/// The rings (`is_submissions` false) or the submission records of `descriptor`; null with errno.
void *_Nullable clinux_uring_map(int descriptor, int is_submissions, uint64_t byte_count);

/// io_uring_enter(2) with a relative timeout in nanoseconds; negative: none. Submissions taken, or -1 with errno.
int clinux_uring_enter(
    int descriptor, uint32_t submit_count, uint32_t minimum_complete, uint32_t flags, int64_t timeout_nanoseconds);

/// Registers the ring's descriptor with the calling thread: its number for IORING_ENTER_REGISTERED_RING, or -1.
int clinux_uring_register_ring(int descriptor);

/// Makes `ring`, page-aligned and of a power of two of entries, group `group` of provided buffers. 0, or -1 with errno.
int clinux_uring_register_buffers(
    int descriptor, struct clinux_uring_buffer *_Nonnull ring, uint32_t entry_count, uint16_t group);

// The indices that the kernel reads and writes on its side.
static inline uint32_t clinux_uring_load_acquire(const uint32_t *_Nonnull pointer) {
    return __atomic_load_n(pointer, __ATOMIC_ACQUIRE);
}
static inline void clinux_uring_store_release(uint32_t *_Nonnull pointer, uint32_t value) {
    __atomic_store_n(pointer, value, __ATOMIC_RELEASE);
}
static inline void clinux_uring_publish_buffers(struct clinux_uring_buffer *_Nonnull ring, uint16_t tail) {
    __atomic_store_n(&ring->reserved, tail, __ATOMIC_RELEASE);
}

enum {
    clinux_uring_op_nop = 0,
    clinux_uring_op_poll_add = 6,
    clinux_uring_op_async_cancel = 14,
    clinux_uring_op_recv = 27,
};

enum {
    /// IOSQE_*.
    clinux_uring_buffer_select = 1 << 5,
    clinux_uring_skip_success = 1 << 6,
};

enum {
    /// IORING_RECVSEND_POLL_FIRST.
    clinux_uring_poll_first = 1 << 0,
    /// IORING_POLL_ADD_MULTI.
    clinux_uring_poll_multiple = 1 << 0,
    /// IORING_ASYNC_CANCEL_*.
    clinux_uring_cancel_all = 1 << 0,
    clinux_uring_cancel_descriptor = 1 << 1,
    clinux_uring_cancel_any = 1 << 2,
};

enum {
    /// IORING_CQE_F_*, and the shift of a buffer's number.
    clinux_uring_has_buffer = 1 << 0,
    clinux_uring_has_more = 1 << 1,
    clinux_uring_socket_has_more = 1 << 2,
    clinux_uring_buffer_shift = 16,
};

enum {
    /// IORING_ENTER_*.
    clinux_uring_enter_get_events = 1 << 0,
    clinux_uring_enter_registered_ring = 1 << 4,
    /// IORING_SQ_*.
    clinux_uring_is_overflown = 1 << 1,
    clinux_uring_has_task_work = 1 << 2,
};

enum {
    /// IORING_SETUP_*.
    clinux_uring_setup_completion_size = 1 << 3,
    clinux_uring_setup_clamp = 1 << 4,
    clinux_uring_setup_submit_all = 1 << 7,
    clinux_uring_setup_task_work_flag = 1 << 9,
    clinux_uring_setup_single_issuer = 1 << 12,
    clinux_uring_setup_defer_task_work = 1 << 13,
};

enum {
    /// IORING_FEAT_*.
    clinux_uring_feature_single_map = 1 << 0,
    clinux_uring_feature_no_drop = 1 << 1,
    clinux_uring_feature_poll_32_bits = 1 << 6,
    clinux_uring_feature_extended_argument = 1 << 8,
    clinux_uring_feature_skip_success = 1 << 11,
};

/// mmap(2) of memory that counts only where it is used.
enum { clinux_map_anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

/// poll(2)'s events; POLLRDHUP is beyond POSIX.
enum {
    clinux_pollin = 0x001,
    clinux_pollout = 0x004,
    clinux_pollerr = 0x008,
    clinux_pollhup = 0x010,
    clinux_pollrdhup = 0x2000,
};

#endif
