// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// The data buffers of a session's commands: leased within the session's share.
extension ISCSISession {
    /// `task` does not wait for memory any more.
    func forgetMemoryWait(of task: ISCSITask) {
        guard task.waitsForMemory else { return }
        task.waitsForMemory = false
        memoryWaiters.removeAll { $0 === task }
    }

    /// Leases the buffer of an accepted command, as far as the session's share allows. Early data always find room.
    func leaseBuffer(for task: ISCSITask, earlyByteCount: Int) {
        let need = task.scsi.plan.bufferByteCount
        if fits(need) {
            lease(need, for: task)
        } else {
            task.hasShortLease = true
            if earlyByteCount > 0 { lease(min(need, earlyByteCount), for: task) }
        }
    }

    private func fits(_ byteCount: Int) -> Bool {
        leasedByteCount == 0 || leasedByteCount + byteCount <= context.server.configuration.sessionBufferByteCount
    }

    private func lease(_ byteCount: Int, for task: ISCSITask) {
        task.lease = context.pool.lease(byteCount: byteCount)
        leasedByteCount += task.lease.byteCount
        unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(
            start: task.lease.base, count: task.lease.byteCount)
    }

    /// `task` still waits, and its data are about to go with the batch in which they came.
    func keepLentBuffer(of task: ISCSITask) {
        let data = unsafe UnsafeRawBufferPointer(task.scsi.buffer)
        lease(data.count, for: task)
        task.hasLentBuffer = false
        // The lease holds at least as much.
        unsafe task.scsi.buffer.copyMemory(from: data)
    }

    /// Data that are still to be sent from a device's memory stay as they are: they are copied.
    func settleMappedReads() {
        for task in tasks where task.phase == .responding && task.scsi.plan.isMapped && task.lease.isEmpty {
            let data = unsafe task.scsi.mappedData
            lease(data.count, for: task)
            unsafe task.scsi.buffer.copyMemory(from: data)
            task.scsi.settleMappedData()
            task.connection?.use {
                unsafe $0.coalescer.move(vectorsOf: task, from: data, to: task.scsi.buffer.baseAddress)
            }
        }
    }

    func giveBackLease(of task: ISCSITask) {
        if task.hasLentBuffer {
            task.hasLentBuffer = false
            unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        guard !task.lease.isEmpty else { return }
        leasedByteCount -= task.lease.byteCount
        context.pool.giveBack(task.lease)
        task.lease = .none
        unsafe task.scsi.buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        if !memoryWaiters.isEmpty { planTurn() }
    }

    func waitForMemory(_ task: ISCSITask) {
        guard !task.waitsForMemory else { return }
        task.waitsForMemory = true
        memoryWaiters.append(task)
        // Responses that wait to be acknowledged hold memory too.
        for connection in connections { connection.askForAcknowledgement() }
        planTurn()
    }

    /// The first in line go on as far as there is memory again.
    func serveMemoryWaiters() {
        while let task = memoryWaiters.first {
            guard task.waitsForMemory, task.phase == .gathering, task.hasShortLease else {
                memoryWaiters.removeFirst()
                continue
            }
            let need = task.scsi.plan.bufferByteCount
            guard leasedByteCount == task.lease.byteCount || fits(need - task.lease.byteCount) else { return }
            memoryWaiters.removeFirst()
            task.waitsForMemory = false
            widenLease(of: task, to: need)
            task.connection?.use { $0.proceed(task) }
        }
    }

    private func widenLease(of task: ISCSITask, to byteCount: Int) {
        let early = task.lease
        leasedByteCount -= early.byteCount
        lease(byteCount, for: task)
        if let source = unsafe early.base, let target = unsafe task.lease.base {
            task.connection?.use { unsafe $0.moveSegment(of: task, from: source, to: target) }
            unsafe target.copyMemory(from: source, byteCount: min(early.byteCount, task.lease.byteCount))
        }
        context.pool.giveBack(early)
        task.hasShortLease = false
    }
}
