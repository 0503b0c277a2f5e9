// SPDX-License-Identifier: Apache-2.0

public import CLinux

/// A connected stream socket whose bytes the loop moves. Belongs to the loop's thread.
///
/// There are two: one that is told of readiness and then calls `recvmsg`, and one whose receives the kernel ends by
/// itself (io_uring). Whoever uses one cannot tell them apart.
public protocol ByteStream: AnyObject {
    /// Whether bytes are taken from the socket. While false the peer fills the kernel's buffers and then waits; that
    /// the other side has gone is still told, by `hungUp`.
    var isReceiving: Bool { get set }

    /// Sends `vectors`, in order, as far as the socket takes them now.
    func send(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SendResult

    /// The owner's place is about to move or to go: from the return on the kernel does not write there. Returns the
    /// number of bytes that had come into its beginning and have not been told of; they count as told now.
    func revokePlace() -> Int

    /// Nothing is told any more, and the kernel touches no memory of the owner's. The descriptor stays the owner's
    /// to close, after this.
    func close()
}

public enum SendResult: Equatable, Sendable {
    /// So many bytes, at least one, have been taken.
    case sent(Int)
    /// The socket takes nothing now: `canSend` will be called.
    case blocked
    /// The socket is of no use any more; an errno value.
    case failed(CInt)
}

/// Who uses a byte stream. All calls come in the loop's thread, from within the stream's turn.
public protocol ByteStreamOwner: AnyObject {
    /// Where the next bytes of the stream belong, if that is known: the rest of a long data segment, in its command's
    /// buffer. Otherwise empty. It stays until bytes for it have been told, or until `revokePlace` or `close`.
    var place: UnsafeMutableRawBufferPointer { get }

    /// `placedByteCount` bytes have come into the beginning of `place`, and those in `batch` after them. `batch` is the
    /// loop's memory, valid during the call only: what is not worked off must be copied.
    func received(placedByteCount: Int, batch: UnsafeRawBufferPointer)

    /// Nothing more will come: 0 for an orderly end, otherwise an errno value.
    func receiveEnded(_ code: CInt)

    /// After `.blocked`: the socket has room again.
    func canSend()

    /// While nothing is received: the other side has gone.
    func hungUp()
}
