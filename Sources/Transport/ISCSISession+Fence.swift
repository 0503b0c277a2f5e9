// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import ISCSI
internal import SCSI
internal import TargetCore

/// A response that all connections of a session must see in its place (RFC 7143 4.2.2.3.3, Response Fence): it leaves
/// when everything that was sent before it on the others has been acknowledged, and nothing follows on the others until
/// it has been acknowledged itself. The initiator is asked for its acknowledgements by NOP-Ins.
final class ResponseFence {
    let connection: ISCSIConnection
    let send: () -> Void
    /// Connections, and the StatSN up to which they have to be acknowledged.
    var awaited: [(connection: ISCSIConnection, statSN: UInt32)] = []
    var isSent = false
    var timer: TimerQueue.Identifier?

    init(_ connection: ISCSIConnection, send: @escaping () -> Void) {
        self.connection = connection
        self.send = send
    }
}

extension ISCSISession {
    /// A fence that nobody acknowledges is given up after this time: what waits behind it waits no longer.
    private static let fenceMilliseconds: UInt64 = 5_000

    /// `send` queues a response on `connection`, behind a fence if there are other connections.
    func fence(_ connection: ISCSIConnection, _ send: @escaping () -> Void) {
        guard hasSeveralConnections else { return send() }
        fences.append(ResponseFence(connection, send: send))
        if fences.count == 1 { begin(fences[0]) }
    }

    /// `task`, which is in the phase `responding`, answers on its connection: behind a fence where RFC 7143 4.2.2.3.3 asks
    /// for one.
    func respond(_ task: ISCSITask, on connection: Borrowed<ISCSIConnection>) {
        guard hasSeveralConnections, Self.needsFence(task) else { return connection.use { $0.enqueue(task) } }
        let command = task.targetTransferTag
        fence(connection.object) {
            // It may have lost its connection meanwhile, and another command may have begun.
            guard task.targetTransferTag == command, task.phase == .responding else { return }
            task.connection?.use { $0.enqueue(task) }
        }
    }

    /// The unit attention that tells of commands which ended with no status of their own, and the status of PREEMPT AND
    /// ABORT. All such unit attentions count as the first one: they are rare.
    private static func needsFence(_ task: ISCSITask) -> Bool {
        switch task.scsi.status {
        case .good:
            let service = PersistentReserveOutServiceAction.preemptAndAbort.rawValue
            return task.scsi.cdb.opcode == OperationCode.persistentReserveOut.rawValue
                && task.scsi.cdb[1] & 0x1F == service
        case .checkCondition:
            guard let sense = task.scsi.sense, sense.key == .unitAttention else { return false }
            return sense.additional.asc == AdditionalSense.powerOnOccurred.asc
                || sense.additional.asc == AdditionalSense.commandsClearedByAnotherInitiator.asc
        default:
            return false
        }
    }

    private func begin(_ fence: ResponseFence) {
        limit(fence)
        for other in connections where other !== fence.connection {
            other.emitOutbox()
            guard SerialNumber.precedes(other.acknowledgedStatSN, other.statSN) else { continue }
            fence.awaited.append((other, other.statSN))
            if other.keepaliveTag == nil { other.sendKeepalive() }
        }
        if fence.awaited.isEmpty { pass(fence) }
    }

    private func limit(_ fence: ResponseFence) {
        fence.timer.map(context.loop.cancel)
        fence.timer = context.loop.schedule(afterMilliseconds: Self.fenceMilliseconds) { [weak self, weak fence] in
            guard let self, let fence else { return }
            fence.timer = nil
            goOn(fence)
        }
    }

    /// The answer to a NOP-In of ours has come, and more was sent after that: what it acknowledges may not be enough.
    func askAgain(_ connection: ISCSIConnection) {
        let isAwaited = fences.first?.awaited.contains { $0.connection === connection } ?? false
        if isAwaited { return connection.sendKeepalive() }
        if !memoryWaiters.isEmpty { connection.askForAcknowledgement() }
    }

    /// All before it is acknowledged: the response leaves.
    private func pass(_ fence: ResponseFence) {
        fence.isSent = true
        limit(fence)
        fence.awaited = []
        for other in connections where other !== fence.connection { other.isFenced = true }
        fence.send()
        fence.connection.emitOutbox()
        fence.awaited = [(fence.connection, fence.connection.statSN)]
        if fence.connection.keepaliveTag == nil { fence.connection.sendKeepalive() }
    }

    private func end(_ fence: ResponseFence) {
        fence.timer.map(context.loop.cancel)
        fence.timer = nil
        fences.removeAll { $0 === fence }
        for connection in connections where connection.isFenced {
            connection.isFenced = false
            connection.planFlush()
        }
        if let next = fences.first { begin(next) }
    }

    /// ExpStatSN of `connection` has advanced.
    func statusAcknowledged(on connection: ISCSIConnection) {
        guard let fence = fences.first else { return }
        fence.awaited.removeAll { awaited in
            awaited.connection === connection
                && !SerialNumber.precedes(connection.acknowledgedStatSN, awaited.statSN)
        }
        if fence.awaited.isEmpty { goOn(fence) }
    }

    /// A connection has gone: nothing of it is awaited any more.
    func fenceLost(_ connection: ISCSIConnection) {
        guard let fence = fences.first else { return }
        fences.removeAll { $0.connection === connection && $0 !== fence }
        if fence.connection === connection { return end(fence) }
        fence.awaited.removeAll { $0.connection === connection }
        if fence.awaited.isEmpty { goOn(fence) }
    }

    private func goOn(_ fence: ResponseFence) {
        fence.isSent ? end(fence) : pass(fence)
    }
}
