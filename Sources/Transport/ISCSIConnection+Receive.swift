// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop
internal import ISCSI
internal import TargetCore

/// From the stream to whole PDUs: each receive brings all that the socket holds, then every PDU at hand is worked off.
extension ISCSIConnection: ByteStreamOwner {
    var place: UnsafeMutableRawBufferPointer {
        guard let segment, input.isEmpty else { return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        return unsafe UnsafeMutableRawBufferPointer(start: segment.target, count: segment.placeByteCount)
    }

    func received(placedByteCount: Int, batch: UnsafeRawBufferPointer) {
        receiveCallCount += 1
        receivedByteCount += UInt64(placedByteCount + batch.count)
        lastHeard = context.loop.now
        let receivedBefore = receivedPDUCount
        defer { context.loop.workCount &+= receivedPDUCount &- receivedBefore }
        if placedByteCount > 0 { advanceSegment(placedByteCount) }
        var rest = unsafe batch
        // What is left of the batch before is completed first, and no more than that is copied to it.
        while !input.isEmpty, unsafe !rest.isEmpty {
            let missing = bytesMissing
            let count = missing == 0 ? rest.count : min(missing, rest.count)
            unsafe input.append(UnsafeRawBufferPointer(rebasing: rest[..<count]), pool: context.pool)
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            workOff()
        }
        if unsafe rest.isEmpty && input.isEmpty {
            // The place alone has been filled: the trailer of its PDU may be empty.
            workOff()
        } else if unsafe !rest.isEmpty {
            unsafe input.lend(rest)
            workOff()
        }
        if classicRule != nil { classicDrained() }
        if phase == .closed {
            input.giveBack(to: context.pool)
        } else {
            input.keepRest(pool: context.pool)
        }
    }

    func receiveEnded(_ code: CInt) {
        close(reason: code == 0 ? "the peer closed it" : "receive failed with errno \(code)")
    }

    func canSend() {
        isSendBlocked = false
        // It has taken what it was owed: it is there.
        lastHeard = context.loop.now
        planFlush()
    }

    func hungUp() { close(reason: "the peer has gone") }

    /// Bytes that the front of the input lacks for the next step; 0 when it does not wait for a certain number.
    private var bytesMissing: Int {
        if let segment { return max(0, segment.trailerByteCount - input.byteCount) }
        do throws(PDUError) {
            let bytes = unsafe input.bytes
            switch unsafe try framer.next(bytes.bytes) {
            case .needMore(let byteCount): return (byteCount ?? BasicHeaderSegment.byteCount) - input.byteCount
            case .partial(let frame, _): return frame.totalByteCount - input.byteCount
            case .whole: return 0
            }
        } catch {
            return 0
        }
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
            guard !isReadPaused, !isReadStopped, !isGapPaused, !input.isEmpty else { return }
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
            if classicRule != nil { classicPDURead() }
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
            if tracksStatus { acknowledged(BasicHeaderSegment.expStatSN(of: pdu.header)) }
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
        if !matches, retention != nil {
            dataLost(current)
        } else {
            current.task?.use { dataArrived(for: $0, digestMatches: matches) }
        }
        deliverHeld()
        return true
    }

    func advanceSegment(_ byteCount: Int) {
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
