// SPDX-License-Identifier: Apache-2.0

// POLLRDHUP is beyond POSIX.
#define _GNU_SOURCE 1

#include "CLinuxUring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The kernel's interface does not change; these find our own slips.
_Static_assert(sizeof(struct clinux_uring_submission) == sizeof(struct io_uring_sqe), "submission");
_Static_assert(offsetof(struct clinux_uring_submission, ioprio) == offsetof(struct io_uring_sqe, ioprio), "ioprio");
_Static_assert(offsetof(struct clinux_uring_submission, fd) == offsetof(struct io_uring_sqe, fd), "fd");
_Static_assert(offsetof(struct clinux_uring_submission, addr) == offsetof(struct io_uring_sqe, addr), "addr");
_Static_assert(offsetof(struct clinux_uring_submission, len) == offsetof(struct io_uring_sqe, len), "len");
_Static_assert(
    offsetof(struct clinux_uring_submission, operation_flags) == offsetof(struct io_uring_sqe, msg_flags), "flags");
_Static_assert(
    offsetof(struct clinux_uring_submission, user_data) == offsetof(struct io_uring_sqe, user_data), "user_data");
_Static_assert(
    offsetof(struct clinux_uring_submission, buf_group) == offsetof(struct io_uring_sqe, buf_group), "buf_group");
_Static_assert(sizeof(struct clinux_uring_completion) == sizeof(struct io_uring_cqe), "completion");
_Static_assert(offsetof(struct clinux_uring_completion, res) == offsetof(struct io_uring_cqe, res), "res");
_Static_assert(offsetof(struct clinux_uring_completion, flags) == offsetof(struct io_uring_cqe, flags), "flags");
_Static_assert(sizeof(struct clinux_uring_buffer) == sizeof(struct io_uring_buf), "buffer");
_Static_assert(offsetof(struct clinux_uring_buffer, bid) == offsetof(struct io_uring_buf, bid), "bid");
_Static_assert(offsetof(struct clinux_uring_buffer, reserved) == offsetof(struct io_uring_buf_ring, tail), "tail");
_Static_assert((int)clinux_uring_op_poll_add == (int)IORING_OP_POLL_ADD, "operation");
_Static_assert((int)clinux_uring_op_async_cancel == (int)IORING_OP_ASYNC_CANCEL, "operation");
_Static_assert((int)clinux_uring_op_recv == (int)IORING_OP_RECV, "operation");
_Static_assert(clinux_uring_buffer_select == IOSQE_BUFFER_SELECT, "flag");
_Static_assert(clinux_uring_skip_success == IOSQE_CQE_SKIP_SUCCESS, "flag");
_Static_assert(clinux_uring_poll_first == IORING_RECVSEND_POLL_FIRST, "flag");
_Static_assert(clinux_uring_poll_multiple == IORING_POLL_ADD_MULTI, "flag");
_Static_assert(clinux_uring_cancel_all == IORING_ASYNC_CANCEL_ALL, "flag");
_Static_assert(clinux_uring_cancel_descriptor == IORING_ASYNC_CANCEL_FD, "flag");
_Static_assert(clinux_uring_cancel_any == IORING_ASYNC_CANCEL_ANY, "flag");
_Static_assert(clinux_uring_has_buffer == IORING_CQE_F_BUFFER, "flag");
_Static_assert(clinux_uring_has_more == IORING_CQE_F_MORE, "flag");
_Static_assert(clinux_uring_socket_has_more == IORING_CQE_F_SOCK_NONEMPTY, "flag");
_Static_assert((int)clinux_uring_buffer_shift == (int)IORING_CQE_BUFFER_SHIFT, "shift");
_Static_assert(clinux_uring_enter_get_events == IORING_ENTER_GETEVENTS, "flag");
_Static_assert(clinux_uring_enter_registered_ring == IORING_ENTER_REGISTERED_RING, "flag");
_Static_assert(clinux_uring_is_overflown == IORING_SQ_CQ_OVERFLOW, "flag");
_Static_assert(clinux_uring_has_task_work == IORING_SQ_TASKRUN, "flag");
_Static_assert(clinux_uring_setup_completion_size == IORING_SETUP_CQSIZE, "flag");
_Static_assert(clinux_uring_setup_clamp == IORING_SETUP_CLAMP, "flag");
_Static_assert(clinux_uring_setup_submit_all == IORING_SETUP_SUBMIT_ALL, "flag");
_Static_assert(clinux_uring_setup_task_work_flag == IORING_SETUP_TASKRUN_FLAG, "flag");
_Static_assert(clinux_uring_setup_single_issuer == IORING_SETUP_SINGLE_ISSUER, "flag");
_Static_assert(clinux_uring_setup_defer_task_work == IORING_SETUP_DEFER_TASKRUN, "flag");
_Static_assert(clinux_uring_feature_single_map == IORING_FEAT_SINGLE_MMAP, "feature");
_Static_assert(clinux_uring_feature_no_drop == IORING_FEAT_NODROP, "feature");
_Static_assert(clinux_uring_feature_poll_32_bits == IORING_FEAT_POLL_32BITS, "feature");
_Static_assert(clinux_uring_feature_extended_argument == IORING_FEAT_EXT_ARG, "feature");
_Static_assert(clinux_uring_feature_skip_success == IORING_FEAT_CQE_SKIP, "feature");
_Static_assert(clinux_pollin == POLLIN && clinux_pollout == POLLOUT && clinux_pollrdhup == POLLRDHUP, "event");
_Static_assert(clinux_pollerr == POLLERR && clinux_pollhup == POLLHUP, "event");

int clinux_uring_setup(
    uint32_t submission_count, uint32_t completion_count, uint32_t flags, struct clinux_uring_layout *layout
) {
    struct io_uring_params parameters = {.flags = flags, .cq_entries = completion_count};
    int descriptor = (int)syscall(SYS_io_uring_setup, submission_count, &parameters);
    if (descriptor < 0) return -1;
    size_t submission_end = parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t);
    size_t completion_end = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    *layout = (struct clinux_uring_layout){
        .submission_entry_count = parameters.sq_entries,
        .completion_entry_count = parameters.cq_entries,
        .features = parameters.features,
        .submission_head = parameters.sq_off.head,
        .submission_tail = parameters.sq_off.tail,
        .submission_mask = parameters.sq_off.ring_mask,
        .submission_flags = parameters.sq_off.flags,
        .submission_array = parameters.sq_off.array,
        .completion_head = parameters.cq_off.head,
        .completion_tail = parameters.cq_off.tail,
        .completion_mask = parameters.cq_off.ring_mask,
        .completion_records = parameters.cq_off.cqes,
        .rings_byte_count = submission_end > completion_end ? submission_end : completion_end,
        .submissions_byte_count = parameters.sq_entries * sizeof(struct io_uring_sqe),
    };
    return descriptor;
}

void *clinux_uring_map(int descriptor, int is_submissions, uint64_t byte_count) {
    off_t offset = is_submissions ? (off_t)IORING_OFF_SQES : (off_t)IORING_OFF_SQ_RING;
    void *memory = mmap(NULL, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, offset);
    return memory == MAP_FAILED ? NULL : memory;
}

int clinux_uring_enter(
    int descriptor, uint32_t submit_count, uint32_t minimum_complete, uint32_t flags, int64_t timeout_nanoseconds
) {
    if (timeout_nanoseconds < 0) {
        return (int)syscall(SYS_io_uring_enter, descriptor, submit_count, minimum_complete, flags, NULL, 0);
    }
    struct __kernel_timespec timeout = {timeout_nanoseconds / 1000000000, timeout_nanoseconds % 1000000000};
    struct io_uring_getevents_arg argument = {.ts = (uintptr_t)&timeout};
    return (int)syscall(
        SYS_io_uring_enter, descriptor, submit_count, minimum_complete, flags | IORING_ENTER_EXT_ARG, &argument,
        sizeof argument);
}

int clinux_uring_register_ring(int descriptor) {
    // "Any free number": the kernel writes back which.
    struct io_uring_rsrc_update update = {.offset = UINT32_MAX, .data = (uint64_t)descriptor};
    int count = (int)syscall(SYS_io_uring_register, descriptor, IORING_REGISTER_RING_FDS, &update, 1);
    return count == 1 ? (int)update.offset : -1;
}

int clinux_uring_register_buffers(
    int descriptor, struct clinux_uring_buffer *ring, uint32_t entry_count, uint16_t group
) {
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)ring, .ring_entries = entry_count, .bgid = group};
    return (int)syscall(SYS_io_uring_register, descriptor, IORING_REGISTER_PBUF_RING, &registration, 1);
}
