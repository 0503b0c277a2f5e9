// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISCSI
internal import TargetCore

/// From the socket to whole PDUs: one receive takes all that the socket holds, then every PDU at hand is worked off.
extension ISCSIConnection {
    /// Room for a turn's batch in the full feature phase, and for the largest PDU that is not received into place.
    private static let inputByteCount = 512 << 10
    /// Room in login: a Login Request is at most 8,192 bytes and its header (RFC 7143 6.1).
    private static let loginInputByteCount = 16 << 10

    func receive() {
        let capacity = phase == .login ? Self.loginInputByteCount : Self.inputByteCount
        input.prepare(byteCount: capacity, pool: context.pool)
        // Two vectors: first what is missing of a data segment, into its place, then whatever follows it.
        let direct = segment?.placeByteCount ?? 0
        var vectors = unsafe (
            iovec(iov_base: segment?.target, iov_len: direct),
            iovec(iov_base: input.space.baseAddress, iov_len: input.space.count)
        )
        let result = unsafe withUnsafeMutablePointer(to: &vectors) { pointer in
            unsafe pointer.withMemoryRebound(to: iovec.self, capacity: 2) { first in
                unsafe socket.receive(
                    into: UnsafeMutableBufferPointer(
                        start: direct > 0 ? first : first + 1, count: direct > 0 ? 2 : 1))
            }
        }
        switch result {
        case .bytes(let count):
            receiveCallCount += 1
            receivedByteCount += UInt64(count)
            lastHeard = context.loop.now
            let placed = min(count, direct)
            if placed > 0 { advanceSegment(placed) }
            input.received(count - placed)
            workOff()
        case .wouldBlock:
            break
        case .closed:
            close(reason: "the peer closed it")
            return
        case .failed(let code):
            close(reason: "receive failed with errno \(code)")
            return
        }
        if input.isEmpty { input.giveBack(to: context.pool) }
    }

    /// Works off all that has been received, up to a PDU that is not whole.
    func workOff() {
        while true {
            switch phase {
            case .login, .fullFeature: break
            case .establishing, .closing, .closed: return
            }
            if segment != nil {
                guard workOffSegment() else { return }
                continue
            }
            guard !isReadPaused, !isReadStopped, !input.isEmpty else { return }
            do throws(PDUError) {
                guard try workOffPDU() else { return }
            } catch {
                close(reason: "protocol error: \(error)", isPeersFault: true)
                return
            }
        }
    }

    /// One PDU from the front of the input. False when more bytes must come first.
    private func workOffPDU() throws(PDUError) -> Bool {
        let bytes = unsafe input.bytes
        switch unsafe try framer.next(bytes.bytes) {
        case .needMore:
            return false
        case .whole(let frame):
            let pdu = unsafe ReceivedPDU(frame: frame, bytes: bytes)
            let digestMatches = framer.dataDigestMatches(frame, in: unsafe bytes.bytes)
            receivedPDUCount += 1
            input.consume(frame.totalByteCount)
            do throws(PDUError) {
                try handle(pdu, dataDigestMatches: digestMatches)
            } catch {
                failed(pdu, error)
            }
            return true
        case .partial(let frame, _):
            // Only data of commands can be taken piece by piece; other PDUs are worked off whole.
            let pdu = unsafe ReceivedPDU(frame: frame, bytes: bytes)
            guard takesDataInPieces(pdu) else { return false }
            receivedPDUCount += 1
            input.consume(frame.dataOffset)
            do throws(PDUError) {
                segment = try beginDataSegment(pdu)
            } catch {
                failed(pdu, error)
                segment = DataSegment(forgetting: pdu.frame)
                deliverHeld()
            }
            return true
        }
    }

    /// Goes on with the data segment that has begun: from the input to its place, then the rest of its PDU.
    /// False when more bytes must come first.
    private func workOffSegment() -> Bool {
        guard var current = segment else { return true }
        let bytes = unsafe input.bytes
        let placed = min(current.placeByteCount, bytes.count)
        if placed > 0, let target = unsafe current.target, let source = bytes.baseAddress {
            // `placeByteCount` bytes from `target` on are inside the task's lease.
            unsafe target.copyMemory(from: source, byteCount: placed)
            advanceSegment(placed)
            input.consume(placed)
            current = segment ?? current
        }
        guard current.placeByteCount == 0 else { return false }
        let discarded = min(current.discardByteCount, input.byteCount)
        if discarded > 0 {
            if current.hasDigest { unsafe current.digest.update(input.bytes.bytes.extracting(first: discarded)) }
            current.discardByteCount -= discarded
            input.consume(discarded)
            segment = current
        }
        guard current.discardByteCount == 0, input.byteCount >= current.trailerByteCount else { return false }
        var matches = true
        if current.hasDigest {
            unsafe current.digest.update(input.bytes.bytes.extracting(first: current.paddingByteCount))
            matches =
                unsafe current.digest.value
                == CRC32C.stored(in: input.bytes.bytes, at: current.paddingByteCount)
        }
        input.consume(current.trailerByteCount)
        segment = nil
        if let task = current.task { dataArrived(for: task, digestMatches: matches) }
        deliverHeld()
        return true
    }

    private func advanceSegment(_ byteCount: Int) {
        guard var current = segment, let target = unsafe current.target else { return }
        if current.hasDigest {
            unsafe current.digest.update(UnsafeRawBufferPointer(start: target, count: byteCount).bytes)
        }
        unsafe current.target = target + byteCount
        current.placeByteCount -= byteCount
        segment = current
    }

    // MARK: Back-pressure

    /// Stops taking requests while the peer does not take its responses.
    func pauseReadingIfNeeded() {
        guard !isReadPaused, phase == .fullFeature, owedByteCount > context.server.configuration.highWaterByteCount
        else { return }
        isReadPaused = true
        updateInterest()
    }

    func resumeReadingIfPossible() {
        guard isReadPaused, phase == .fullFeature, owedByteCount <= context.server.configuration.lowWaterByteCount
        else { return }
        isReadPaused = false
        updateInterest()
        // What had been received before the pause waits in the input: nothing else will wake us for it.
        if !input.isEmpty { planWorkOff() }
    }

    /// Works off what has been received already, at the end of this turn.
    func planWorkOff() {
        isWorkOffPlanned = true
        planFlush()
    }

    /// Takes no more requests, ever: the connection is about to end.
    func stopReading() {
        isReadStopped = true
        updateInterest()
    }

    // MARK: The peer's mistakes

    /// `pdu` broke a rule: it is rejected, or the connection ends.
    func failed(_ pdu: ReceivedPDU, _ error: PDUError) {
        switch error {
        case .reject(let reason) where phase == .fullFeature:
            context.totals.protocolErrorCount += 1
            context.diagnostics.report(
                .notice, "a PDU from \(peer?.description ?? "unknown") was rejected: \(reason)")
            reject(pdu, reason)
        case .reject, .dropConnection:
            close(reason: "protocol error: \(error)", isPeersFault: true)
        }
    }
}
