// SPDX-License-Identifier: Apache-2.0

internal import CLinux

extension SendResult {
    /// Sends `vectors`, in order, as far as the non-blocking socket `descriptor` takes them now.
    static func ofSending(_ vectors: UnsafeMutableBufferPointer<iovec>, to descriptor: CInt) -> SendResult {
        var message = unsafe msghdr()
        unsafe message.msg_iov = vectors.baseAddress
        unsafe message.msg_iovlen = vectors.count
        let count = unsafe sendmsg(descriptor, &message, clinux_msg_nosignal)
        return count > 0 ? .sent(count) : ofSendingNothing(count)
    }

    @inline(never)
    private static func ofSendingNothing(_ count: Int) -> SendResult {
        if count == 0 { return .blocked }
        switch clinux_errno() {
        case EAGAIN, EINTR, ENOBUFS: return .blocked
        case let code: return .failed(code)
        }
    }
}
