// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import SCSI
internal import TargetCore

/// The transport's half of a task: the data transfer of one SCSI Command PDU, from its arrival until the last byte of
/// its response has been sent. Made as a session's window is first used, then used again.
final class ISCSITask: SendOwner {
    enum Phase: UInt8 {
        case free
        /// Data from the initiator are still to come, or memory for them.
        case gathering
        /// Ended before its data had come: waits for the end of the unsolicited data, then answers (RFC 7143 11.4.2).
        case draining
        /// With the core.
        case running
        /// Ended; its response is being sent.
        case responding
    }

    let scsi: SCSITask
    /// Keeps its tasks until it is quiet; never asked for after that.
    private(set) var session: Borrowed<ISCSISession>
    /// The connection that the command belongs to (RFC 7143 4.2.5, connection allegiance): its data and its status go
    /// there and nowhere else. Nil once that has gone.
    var connection: Borrowed<ISCSIConnection>?
    /// Which departure took that connection away (Departure.number).
    private(set) var departure: UInt64 = 0
    /// Names the task in its R2Ts: the position in the session's table, and above it a count of the commands that the
    /// position has had, so that data for an aborted command cannot reach its successor.
    private(set) var targetTransferTag: UInt32

    var phase = Phase.free
    var initiatorTaskTag: UInt32 = 0
    /// EDTL of the command, by direction.
    var expectedFromInitiator = 0
    var expectedToInitiator = 0
    var isBidirectional = false
    /// Data from the initiator, where more are to come than those that the command brought. A large value: it is moved
    /// for no other command, and `hasWrite` tells whether it is there.
    var write: WriteTransfer?
    var hasWrite = false
    /// All data of a command that writes, in bytes, where they came with it.
    var wholeByteCount = 0
    /// Data to the initiator, once the task has ended well.
    var read: ReadTransfer?
    var hasDigestError = false

    var lease = BufferLease.none
    /// The lease holds only the early data: the whole buffer is to be leased before the command goes on.
    var hasShortLease = false
    /// The task's buffer is memory of the received batch: it must be its own before the batch goes.
    var hasLentBuffer = false
    /// Queued in the outbox of its connection.
    var isInOutbox = false
    var waitsForMemory = false

    /// Of a sampled command; see LatencyRecorder.
    var stamps = StageStamps()

    /// Names the commands of a session in the order in which they came.
    private(set) var sequence: UInt64 = 0
    /// Its response is kept until the initiator has acknowledged it (StatusRetention).
    private(set) var isRetained = false
    /// StatSN of that response.
    private(set) var statSN: UInt32 = 0
    /// Data-Ins before this DataSN have been acknowledged (RFC 7143 11.16.1, DataACK).
    var acknowledgedDataSN: UInt32 = 0
    /// Of an R-Data SNACK.
    var snackTag: UInt32 = 0

    /// Vectors of its buffer that the kernel has not taken yet.
    private var queuedVectorCount = 0
    private var isEmitted = false
    private(set) var residual = Residual.none
    private(set) var isResponseBegun = false

    /// Bits of a Target Transfer Tag that hold the position.
    static let positionBitCount = 16

    /// In the session's table.
    var position: Int { Int(targetTransferTag & (1 << Self.positionBitCount - 1)) }

    init(index: UInt32, session: ISCSISession, loop: any OwnerLoop) {
        targetTransferTag = index
        self.session = Borrowed(session)
        scsi = SCSITask(loop: loop)
        super.init()
        scsi.transportContext = Borrowed(self)
    }

    /// Serves another session of the same loop, under the position `index` of its table. Tasks are never freed while
    /// their loop lives: a handler that completes a request twice, however late, finds the request's memory.
    func move(to session: ISCSISession, index: UInt32) {
        self.session = Borrowed(session)
        targetTransferTag = index
    }

    /// Takes over a command.
    func begin(_ pdu: SCSICommandPDU, on connection: ISCSIConnection, sequence: UInt64) {
        self.sequence = sequence
        self.connection = Borrowed(connection)
        isInOutbox = false
        waitsForMemory = false
        if hasWrite {
            write = nil
            hasWrite = false
        }
        wholeByteCount = 0
        read = nil
        hasDigestError = false
        hasShortLease = false
        hasLentBuffer = false
        queuedVectorCount = 0
        isEmitted = false
        isResponseBegun = false
        isRetained = false
        acknowledgedDataSN = 0
        snackTag = 0
        isBidirectional = pdu.reads && pdu.writes
        initiatorTaskTag = pdu.initiatorTaskTag
        targetTransferTag &+= 1 << Self.positionBitCount
        expectedFromInitiator = pdu.writes ? Int(pdu.expectedDataTransferLength) : 0
        expectedToInitiator =
            pdu.reads ? Int(pdu.bidirectionalReadLength ?? (pdu.writes ? 0 : pdu.expectedDataTransferLength)) : 0
        stamps.received = 0
        scsi.request.isTimed = false
        scsi.tag = UInt64(pdu.initiatorTaskTag)
        scsi.lun = pdu.lun
        scsi.cdb = pdu.cdb
        scsi.attribute = Self.attribute(pdu.attribute)
        scsi.expectedFromInitiator = expectedFromInitiator
        scsi.expectedToInitiator = expectedToInitiator
    }

    /// Bytes from the initiator that are in place.
    var receivedByteCount: Int { hasWrite ? write?.receivedByteCount ?? 0 : wholeByteCount }

    private static func attribute(_ code: UInt8) -> TaskAttribute {
        switch code {
        case SCSICommandPDU.Attribute.ordered: .ordered
        case SCSICommandPDU.Attribute.headOfQueue: .headOfQueue
        case SCSICommandPDU.Attribute.aca: .aca
        default: .simple
        }
    }

    /// Its connection has gone: nothing of it is queued there any more.
    func loseConnection(departure: UInt64) {
        connection = nil
        self.departure = departure
        isInOutbox = false
        isRetained = false
    }

    /// The task has ended: what it moved, against what the initiator expected, and its data cut in pieces.
    func beginResponse(_ parameters: NegotiatedParameters) {
        isResponseBegun = true
        let actual = scsi.toInitiatorByteCount
        residual = Residual(
            expectedToInitiator: expectedToInitiator, actualToInitiator: actual,
            expectedFromInitiator: expectedFromInitiator, actualFromInitiator: scsi.plan.fromInitiator)
        let byteCount = min(actual, expectedToInitiator)
        if scsi.status == .good, byteCount > 0 {
            read = ReadTransfer(
                byteCount: byteCount, maxDataSegmentLength: parameters.maxSendDataSegmentLength,
                maxBurstLength: parameters.session.maxBurstLength,
                carriesStatus: !isBidirectional && parameters.session.errorRecoveryLevel == 0)
        }
    }

    /// R2Ts and Data-Ins of the command (RFC 7143 11.4.8).
    var expDataSN: UInt32 { (read?.dataInCount ?? 0) &+ (write?.r2tCount ?? 0) }

    func vectorQueued() { queuedVectorCount += 1 }

    /// The last PDU of its response is queued.
    func emitted() {
        isEmitted = true
        releaseIfDone()
    }

    private func releaseIfDone() {
        if isEmitted && queuedVectorCount == 0 && !isRetained { session.use { $0.release(self) } }
    }

    public override func vectorDone() {
        queuedVectorCount -= 1
        releaseIfDone()
    }

    // MARK: Recovery

    /// Its response goes out under `statSN`, and is kept until it has been acknowledged.
    func retain(statSN: UInt32) {
        isRetained = true
        self.statSN = statSN
    }

    /// The initiator has the response, or it is kept no longer.
    func letGo() {
        guard isRetained else { return }
        isRetained = false
        releaseIfDone()
    }

    /// The status is out; what is asked for now is asked for again.
    var isStatusSent: Bool { isEmitted }

    /// It answers on another connection, from the Data-In of `expDataSN` on (RFC 7143 11.5.5); 0 begins with the first
    /// that has not been acknowledged.
    func move(to connection: ISCSIConnection, expDataSN: UInt32) {
        self.connection = Borrowed(connection)
        guard isResponseBegun else { return }
        isEmitted = false
        guard var read else { return }
        let sent = read.dataInCount
        if expDataSN > acknowledgedDataSN, expDataSN <= sent { acknowledgedDataSN = expDataSN }
        read.seek(to: acknowledgedDataSN)
        read.recut(maxDataSegmentLength: connection.parameters.maxSendDataSegmentLength)
        self.read = read
    }
}

/// The data segment of a PDU that belongs to no task, kept until it is sent.
final class ControlPayload: SendOwner {
    let lease: BufferLease
    private let pool: BufferPool
    private var own: ControlPayload?

    init(_ bytes: [UInt8], pool: BufferPool) {
        lease = pool.lease(byteCount: bytes.count)
        self.pool = pool
        super.init()
        if let base = unsafe lease.base { unsafe base.copyMemory(from: bytes, byteCount: bytes.count) }
        // Nobody else holds it until the kernel has its bytes.
        own = self
    }

    public override func vectorDone() {
        pool.giveBack(lease)
        // The caller has not counted us: we go when this returns, and not before.
        withExtendedLifetime(own) { own = nil }
    }
}
