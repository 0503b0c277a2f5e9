// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
import Testing
import Transport

@Suite("ResponseCoalescer")
struct ResponseCoalescerTests {
    @Test("what gathered in a turn leaves in one send, in order")
    func oneSend() throws {
        let pair = try SocketPair()
        let coalescer = ResponseCoalescer(pool: BufferPool())
        var expected: [UInt8] = []
        for number in 0..<20 { expected += append(number, to: coalescer, data: nil) }
        #expect(pair.flush(coalescer) == .drained)
        #expect(coalescer.sendCount == 1)
        #expect(coalescer.sentPDUCount == 20)
        #expect(pair.receiveAll() == expected)
        #expect(coalescer.isEmpty)
    }

    @Test("a full socket loses and repeats nothing, and every owner is told once, when its bytes are gone")
    func partialSends() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix(state: seed)
        let pair = try SocketPair(sendBufferByteCount: 4096)
        let coalescer = ResponseCoalescer(pool: BufferPool())
        var expected: [UInt8] = []
        var received: [UInt8] = []
        var owners: [Owner] = []
        var number = 0
        while number < 2_000 {
            while coalescer.hasRoom && number < 2_000 {
                let owner = Owner(
                    byteCount: Int(generator.next() % 3_000) + 1, filling: UInt8(truncatingIfNeeded: number))
                owners.append(owner)
                expected += append(number, to: coalescer, data: owner)
                number += 1
            }
            while pair.flush(coalescer) == .blocked { received += pair.receiveSome(generator.next() % 20_000 + 1) }
        }
        while pair.flush(coalescer) == .blocked { received += pair.receiveSome(65_536) }
        received += pair.receiveAll()
        #expect(received == expected, "seed \(seed)")
        #expect(owners.allSatisfy { $0.doneCount == 1 }, "seed \(seed)")
        #expect(coalescer.queuedByteCount == 0)
    }

    @Test("an owner's memory is not given back while the kernel has not taken it")
    func ownersWait() throws {
        let pair = try SocketPair(sendBufferByteCount: 4096)
        let coalescer = ResponseCoalescer(pool: BufferPool())
        let owner = Owner(byteCount: 1 << 20, filling: 1)
        _ = append(0, to: coalescer, data: owner)
        #expect(pair.flush(coalescer) == .blocked)
        #expect(owner.doneCount == 0)
        while pair.flush(coalescer) == .blocked { _ = pair.receiveSome(1 << 16) }
        #expect(owner.doneCount == 1)
    }

    @Test("discarding tells every owner once and leaves nothing")
    func discard() throws {
        let pair = try SocketPair(sendBufferByteCount: 4096)
        let coalescer = ResponseCoalescer(pool: BufferPool())
        let owners = (0..<200).map { Owner(byteCount: 1_000, filling: UInt8($0)) }
        for (number, owner) in owners.enumerated() { _ = append(number, to: coalescer, data: owner) }
        #expect(pair.flush(coalescer) == .blocked)
        coalescer.discard()
        #expect(owners.allSatisfy { $0.doneCount == 1 })
        #expect(coalescer.isEmpty)
        #expect(coalescer.queuedByteCount == 0)
    }

    @Test("a closed peer is a failure, not a signal")
    func closedPeer() throws {
        let pair = try SocketPair()
        pair.closePeer()
        let coalescer = ResponseCoalescer(pool: BufferPool())
        _ = append(0, to: coalescer, data: nil)
        #expect(pair.flush(coalescer) == .failed)
    }

    /// Queues one PDU: a lead that names it, data where `data` has them, a tail of up to seven bytes.
    private func append(_ number: Int, to coalescer: ResponseCoalescer, data: Owner?) -> [UInt8] {
        let slot = coalescer.nextSlot()
        let lead = (0..<48).map { UInt8(truncatingIfNeeded: number &* 7 &+ $0) }
        let tail = (0..<(number % 8)).map { UInt8(truncatingIfNeeded: number &* 3 &+ $0) }
        slot.copyBytes(from: lead)
        for (index, byte) in tail.enumerated() { slot[64 + index] = byte }
        coalescer.append(
            leadByteCount: lead.count, data: UnsafeRawBufferPointer(data?.memory ?? .init(start: nil, count: 0)),
            owner: data, tailOffset: 64, tailByteCount: tail.count)
        return lead + Array(data?.memory ?? .init(start: nil, count: 0)) + tail
    }
}

/// Memory that must stay as it is until the kernel has taken it.
private final class Owner: SendOwner {
    let memory: UnsafeMutableRawBufferPointer
    private(set) var doneCount = 0

    init(byteCount: Int, filling byte: UInt8) {
        memory = .allocate(byteCount: byteCount, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: byte)
        super.init()
    }

    deinit { memory.deallocate() }

    override func vectorDone() {
        doneCount += 1
        // From here on it may be used for something else.
        memory.initializeMemory(as: UInt8.self, repeating: 0xEE)
    }
}

private final class SocketPair {
    enum Result { case drained, blocked, failed }

    private let ours: CInt
    private var theirs: CInt

    init(sendBufferByteCount: CInt? = nil) throws {
        var ends: [CInt] = [-1, -1]
        try #require(
            socketpair(AF_UNIX, clinux_sock_stream | clinux_sock_nonblock | clinux_sock_cloexec, 0, &ends) == 0)
        if let sendBufferByteCount { _ = clinux_set_option(ends[0], SOL_SOCKET, SO_SNDBUF, sendBufferByteCount) }
        ours = ends[0]
        theirs = ends[1]
    }

    deinit {
        closePeer()
        close(ours)
    }

    func closePeer() {
        if theirs >= 0 { close(theirs) }
        theirs = -1
    }

    func flush(_ coalescer: ResponseCoalescer) -> Result {
        switch coalescer.flush({ send($0) }) {
        case .drained: .drained
        case .blocked: .blocked
        case .failed: .failed
        }
    }

    private func send(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SendResult {
        var message = msghdr()
        message.msg_iov = vectors.baseAddress
        message.msg_iovlen = vectors.count
        let count = sendmsg(ours, &message, clinux_msg_nosignal)
        if count > 0 { return .sent(count) }
        let code = clinux_errno()
        return code == EAGAIN ? .blocked : .failed(code)
    }

    func receiveSome(_ limit: UInt64) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Int(limit))
        let count = read(theirs, &buffer, buffer.count)
        return count > 0 ? Array(buffer.prefix(count)) : []
    }

    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let some = receiveSome(1 << 16)
            if some.isEmpty { return all }
            all += some
        }
    }
}

/// A small generator, so that a failure can be repeated from its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
