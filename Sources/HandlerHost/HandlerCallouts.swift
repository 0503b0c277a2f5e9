// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import HandlerABI
internal import SCSI
internal import Synchronization
internal import TargetCore

// One request at a time: from the block request to the handler's callout, and from its status to the outcome.
extension HandlerDevice {
    /// Why `request` does not go to the handler at all; nil when it does.
    func refusal(of request: BlockRequest) -> BlockOutcome? {
        if request.operation == .passthrough {
            // Handlers look at CDBs by their length; one that nobody can tell is not theirs to see.
            return request.cdb.isComplete ? nil : Self.check(.illegalRequest, .invalidCommandOperationCode)
        }
        let extent = unsafe request.operation.movesBuffer ? UInt64(request.buffer.count) : request.extentByteCount
        guard isInsideMedium(request.byteOffset, extent) else {
            return Self.check(.illegalRequest, .logicalBlockAddressOutOfRange)
        }
        guard hasRightBuffer(request) else { return Self.check(.hardwareError, .internalTargetFailure) }
        if request.operation.changesMedium, features.isReadOnly { return Self.check(.dataProtect, .writeProtected) }
        return nil
    }

    /// Whole blocks, all of them inside the medium. A flush has no extent and always is.
    func isInsideMedium(_ offset: UInt64, _ byteCount: UInt64) -> Bool {
        let block = UInt64(blockByteCount)
        guard offset % block == 0, byteCount % block == 0 else { return false }
        let (end, overflow) = offset.addingReportingOverflow(byteCount)
        return !overflow && end <= UInt64(Int64.max) && end / block <= blockCount
    }

    private func hasRightBuffer(_ request: BlockRequest) -> Bool {
        let byteCount = unsafe request.buffer.count
        return switch request.operation {
        case .writeSame: byteCount == blockByteCount
        case .compareAndWrite: byteCount % 2 == 0 && UInt64(byteCount / 2) == request.extentByteCount
        case .read, .write: byteCount != 0
        case .flush, .unmap, .writeZeroes, .blockStatus, .passthrough: true
        }
    }

    /// Calls the handler. In a worker's thread, or in the submitter's when the handler never blocks.
    func perform(_ request: BlockRequest) {
        if request.operation == .blockStatus {
            reportBlockStatus(request)
            return
        }
        // The record and the request stay ours until the turn has ended, here or in the handler's completion.
        let record = unsafe CommandRecord.current(in: request)
        if let group = unsafe record.group {
            unsafe record.group = nil
            unsafe perform(group.takeUnretainedValue())
            return
        }
        unsafe record.prepare(request: request, device: self, cdb: request.cdb, data: request.buffer)
        let isCDB = request.operation == .passthrough
        let returnDecides = handler.threadCount > 0 && (!isCDB || handler.takesOnlyCDBs)
        let turn = unsafe record.begin(handlerCompletes: !returnDecides)
        // Nobody waits for what was cancelled in the queue: it need not touch the medium any more.
        let status = request.isCancelled ? Int32(TCMU_STS_TIMEOUT) : unsafe call(request, record.command)
        // From here on `request` may have ended, unless ending the turn says that it has not.
        if !returnDecides, status == Int32(isCDB ? TCMU_STS_ASYNC_HANDLED : TCMU_STS_OK) { return }
        switch unsafe record.end(turn: turn, status) {
        case .ended: unsafe finish(record, status)
        case .left: break
        case .hadEnded: reportCompletion("completed a command and also returned \(status) for it")
        }
    }

    private func call(_ request: BlockRequest, _ command: UnsafeMutablePointer<tcmur_cmd>) -> Int32 {
        let absent = Int32(TCMU_STS_INVALID_CMD)
        let offset = request.byteOffset
        let extent = request.extentByteCount
        let vector = unsafe command.pointee.iovec
        // The record's memory and the request's buffer outlive the command, whoever ends it; offsets were checked
        // against the medium, which ends below 2^63.
        let byteCount = unsafe request.buffer.count
        return switch request.operation {
        case .read: unsafe handler.callouts.read?(device, command, vector, 1, byteCount, Int(offset)) ?? absent
        case .write: unsafe handler.callouts.write?(device, command, vector, 1, byteCount, Int(offset)) ?? absent
        case .flush: unsafe handler.callouts.flush?(device, command) ?? absent
        case .unmap:
            handler.handlerExtension.zeroingUnmaps
                ? unsafe writeZeroes(request, command, mayUnmap: true) ?? absent
                : unsafe handler.callouts.unmap?(device, command, offset, extent) ?? absent
        case .writeZeroes: unsafe writeZeroes(request, command, mayUnmap: request.mayUnmap) ?? absent
        case .writeSame: unsafe handler.callouts.writesame?(device, command, offset, extent, vector, 1) ?? absent
        case .compareAndWrite: unsafe handler.callouts.caw?(device, command, offset, extent, vector, 1) ?? absent
        case .passthrough: unsafe handler.callouts.handle_cmd?(device, command) ?? Int32(TCMU_STS_NOT_HANDLED)
        case .blockStatus: absent
        }
    }

    private func writeZeroes(
        _ request: BlockRequest, _ command: UnsafeMutablePointer<tcmur_cmd>, mayUnmap: Bool
    ) -> Int32? {
        unsafe handler.handlerExtension.writeZeroes(
            device, command, byteOffset: request.byteOffset, byteCount: request.extentByteCount, mayUnmap: mayUnmap)
    }

    private func reportBlockStatus(_ request: BlockRequest) {
        let ticket = unsafe CommandRecord.current(in: request).ticket
        request.extents.removeAll(keepingCapacity: true)
        let isAnswered = unsafe handler.handlerExtension.blockStatus(
            device, offset: request.byteOffset, byteCount: request.extentByteCount, blockByteCount: blockByteCount,
            extents: &request.extents)
        request.complete(isAnswered ? .good : Self.check(.mediumError, .unrecoveredReadError))
        commandEnded(ticket)
    }
}

// Ends.
extension HandlerDevice {
    /// tcmur_cmd_complete, from any thread. `record` is what the handler was shown, if it keeps to its contract.
    static func handlerCompleted(_ record: CommandRecord, _ status: Int32) {
        // Counted: once its last command has ended the device may be closed and go while this thread is still here.
        guard let device = unsafe record.device?.takeUnretainedValue() else { return }
        switch unsafe record.endByHandler(status) {
        case .accepted: unsafe device.finish(record, status)
        case .left: break
        case .notTheHandlers:
            device.reportCompletion("completed a command whose return value is its end (nr_threads is not 0)")
        case .alreadyEnded: device.reportCompletion("completed a command twice")
        }
    }

    /// The turn of `record` has ended in this thread: tells whoever waits for it.
    func finish(_ record: CommandRecord, _ status: Int32) {
        if let group = unsafe record.group {
            unsafe finish(group.takeUnretainedValue(), status)
            return
        }
        let ticket = unsafe record.ticket
        if let request = unsafe record.request {
            unsafe request._withUnsafeGuaranteedRef { unsafe takeAnswer(record, status, $0) }
        } else {
            condition.withLock {
                ownFlushStatus = status
                condition.broadcast()
            }
        }
        commandEnded(ticket)
    }

    private func takeAnswer(_ record: CommandRecord, _ status: Int32, _ request: BlockRequest) {
        let isCDB = request.operation == .passthrough
        if !isCDB, status == Int32(TCMU_STS_OK) {
            request.complete(.good)
            return
        }
        if !StatusMapping.isKnown(status) { reportStatus(status) }
        let sense = unsafe record.sense
        let outcome =
            unsafe isCDB
            ? StatusMapping.passthroughOutcome(status, sense: sense.bytes)
            : StatusMapping.outcome(status, sense: sense.bytes)
        if case .failedWithStoreSense = outcome {
            unsafe request.storeSense = Array(sense.prefix(StatusMapping.byteCount(sense.bytes)))
        }
        if isCDB { unsafe request.transferredByteCount = consumedByteCount(record, request) }
        request.complete(outcome)
    }

    /// What the handler took off its element of memory, where that says how much data there is: handlers need not
    /// consume, and for reads and writes the CDB tells.
    private func consumedByteCount(_ record: CommandRecord, _ request: BlockRequest) -> Int? {
        guard !request.cdb.isReadOrWrite else { return nil }
        let left = unsafe record.vector.pointee.iov_len
        let count = unsafe request.buffer.count
        return left > 0 && left < count ? count - left : nil
    }

    /// A handler that completes wrongly does so for each command: one line is enough.
    func reportCompletion(_ what: String) {
        guard !hasReportedCompletion.exchange(true, ordering: .relaxed) else { return }
        diagnostics.report(
            .error, "\(configString): the handler \(handler.subtype) \(what); that is ignored, and told once")
    }

    /// The same for a status that no table has: some handlers pass a negative errno.
    private func reportStatus(_ status: Int32) {
        guard !hasReportedStatus.exchange(true, ordering: .relaxed) else { return }
        diagnostics.report(
            .error,
            "\(configString): the handler \(handler.subtype) ended a command with the status \(status), which is none of "
                + "tcmu-runner's; such commands end with HARDWARE ERROR, and that is told once")
    }

    private static func check(_ key: SenseKey, _ additional: AdditionalSense) -> BlockOutcome {
        .failed(.checkCondition, SenseData(key, additional))
    }
}

extension BlockRequest.Operation {
    /// The extent is the buffer's length.
    fileprivate var movesBuffer: Bool { self == .read || self == .write }

    fileprivate var changesMedium: Bool {
        switch self {
        case .write, .unmap, .writeSame, .writeZeroes, .compareAndWrite: true
        case .read, .flush, .blockStatus, .passthrough: false
        }
    }
}

extension CommandDescriptorBlock {
    /// READ and WRITE of 6, 10, 12 and 16 bytes.
    fileprivate var isReadOrWrite: Bool {
        switch opcode {
        case 0x08, 0x0A, 0x28, 0x2A, 0x88, 0x8A, 0xA8, 0xAA: true
        default: false
        }
    }
}
