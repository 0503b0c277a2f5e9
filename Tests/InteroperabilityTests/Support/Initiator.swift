// SPDX-License-Identifier: Apache-2.0
import CLibiscsi
import Foundation

/// A session of libiscsi with one logical unit.
final class Initiator: SCSIClient {
    struct Options {
        var name = "iqn.2026-11.org.martlet:test"
        var immediateData = true
        var initialR2T = false
        var headerDigest = ISCSI_HEADER_DIGEST_NONE
        var chap = CHAP()
    }

    /// What an initiator has for CHAP: MD5 is all that libiscsi knows.
    struct CHAP {
        var user: String?
        var password = ""
        /// Of the target: mutual CHAP.
        var targetUser: String?
        var targetPassword = ""

        fileprivate func apply(to context: OpaquePointer) {
            if let user { iscsi_set_initiator_username_pwd(context, user, password) }
            if let targetUser { iscsi_set_target_username_pwd(context, targetUser, targetPassword) }
        }
    }

    /// After this time a command counts as lost.
    static let timeoutSeconds: Int32 = 30

    private let context: OpaquePointer
    private let lun: Int32

    /// Connects, logs in and clears the unit attentions that wait for a new nexus.
    init(_ url: LogicalUnitURL, _ options: Options = Options()) throws {
        context = try Self.makeContext(options.name, options.chap)
        lun = Int32(url.lun)
        iscsi_set_session_type(context, ISCSI_SESSION_NORMAL)
        iscsi_set_targetname(context, url.target)
        iscsi_set_header_digest(context, options.headerDigest)
        iscsi_set_immediate_data(
            context, options.immediateData ? ISCSI_IMMEDIATE_DATA_YES : ISCSI_IMMEDIATE_DATA_NO)
        iscsi_set_initial_r2t(context, options.initialR2T ? ISCSI_INITIAL_R2T_YES : ISCSI_INITIAL_R2T_NO)
        // The deinitializer runs for one that failed here, too: nothing is destroyed twice.
        guard iscsi_full_connect_sync(context, url.portal, lun) == 0 else {
            throw Self.failure("connect to \(url)", context)
        }
    }

    deinit {
        iscsi_destroy_context(context)
    }

    func logout() throws {
        guard iscsi_logout_sync(context) == 0 else { throw Self.failure("logout", context) }
    }

    func perform(_ commands: [Command]) throws -> [Outcome] {
        let pending = try commands.map { try PendingCommand($0, lun: lun, context: context) }
        while pending.contains(where: { $0.outcome == nil }) {
            try Self.serve(context)
        }
        return try pending.map {
            guard let outcome = try $0.outcome?.get() else { throw HarnessError("a command has no outcome") }
            return outcome
        }
    }

    /// Byte 0 (qualifier and device type) of the standard INQUIRY data of another unit of the same target.
    func peripheralByte(ofUnit lun: Int32) throws -> UInt8 {
        let pending = try PendingCommand(.inquiry(allocation: 36), lun: lun, context: context)
        while pending.outcome == nil { try Self.serve(context) }
        guard let data = try pending.outcome?.get().data, let first = data.first else {
            throw HarnessError("INQUIRY gave no data")
        }
        return first
    }

    /// The targets that a discovery session at `portal` learns of: name to addresses.
    static func discover(
        portal: String, name: String = "iqn.2026-11.org.martlet:discoverer", chap: CHAP = CHAP()
    ) throws -> [String: [String]] {
        let context = try makeContext(name, chap)
        defer { iscsi_destroy_context(context) }
        iscsi_set_session_type(context, ISCSI_SESSION_DISCOVERY)
        guard iscsi_connect_sync(context, portal) == 0, iscsi_login_sync(context) == 0,
            case let list = iscsi_discovery_sync(context)
        else { throw failure("discovery at \(portal)", context) }
        defer { if let list { iscsi_free_discovery_data(context, list) } }
        var targets: [String: [String]] = [:]
        var entry: UnsafeMutablePointer<iscsi_discovery_address>? = list
        while let target = entry?.pointee {
            var portal = target.portals
            while let address = portal?.pointee {
                targets[String(cString: target.target_name), default: []].append(String(cString: address.portal))
                portal = address.next
            }
            entry = target.next
        }
        _ = iscsi_logout_sync(context)
        return targets
    }

    /// Waits for the socket, then lets libiscsi work.
    private static func serve(_ context: OpaquePointer) throws {
        var entry = pollfd(
            fd: iscsi_get_fd(context), events: Int16(truncatingIfNeeded: iscsi_which_events(context)), revents: 0)
        guard poll(&entry, 1, 1000) >= 0 || errno == EINTR else { throw HarnessError("poll", errno: errno) }
        guard iscsi_service(context, Int32(entry.revents)) == 0 else { throw failure("service", context) }
    }

    private static func makeContext(_ name: String, _ chap: CHAP) throws -> OpaquePointer {
        guard let context = iscsi_create_context(name) else { throw HarnessError("iscsi_create_context") }
        chap.apply(to: context)
        iscsi_set_timeout(context, timeoutSeconds)
        iscsi_set_noautoreconnect(context, 1)
        return context
    }

    private static func failure(_ what: String, _ context: OpaquePointer) -> HarnessError {
        HarnessError(what + ": " + String(cString: iscsi_get_error(context)))
    }
}

/// A command that libiscsi has under way; it owns the buffers until the call-back.
private final class PendingCommand {
    private(set) var outcome: Result<Outcome, HarnessError>?
    private let output: UnsafeMutableBufferPointer<UInt8>

    init(_ command: Command, lun: Int32, context: OpaquePointer) throws {
        output = .allocate(capacity: command.sending.count)
        _ = output.initialize(from: command.sending)
        let direction =
            command.receiving > 0 ? SCSI_XFER_READ : command.sending.isEmpty ? SCSI_XFER_NONE : SCSI_XFER_WRITE
        var cdb = command.cdb
        guard
            let task = scsi_create_task(
                Int32(cdb.count), &cdb, Int32(direction.rawValue), Int32(max(command.receiving, output.count)))
        else { throw HarnessError("scsi_create_task") }
        let me = Unmanaged.passRetained(self)
        var data = iscsi_data(size: output.count, data: output.baseAddress)
        let failed = withUnsafeMutablePointer(to: &data) {
            iscsi_scsi_command_async(context, lun, task, Self.callback, output.isEmpty ? nil : $0, me.toOpaque())
        }
        guard failed == 0 else {
            me.release()
            throw HarnessError(String(cString: iscsi_get_error(context)))
        }
    }

    deinit { output.deallocate() }

    private static let callback: iscsi_command_cb = { _, status, task, me in
        guard let me else { return }
        Unmanaged<PendingCommand>.fromOpaque(me).takeRetainedValue()
            .finish(status: status, task?.assumingMemoryBound(to: scsi_task.self))
    }

    private func finish(status: Int32, _ task: UnsafeMutablePointer<scsi_task>?) {
        guard let task, let status = UInt8(exactly: status) else {
            outcome = .failure(HarnessError("the command was lost, libiscsi says \(status)"))
            return
        }
        let found = task.pointee
        var result = Outcome(status: status)
        if status == Outcome.checkCondition {
            result.sense = Outcome.Sense(
                key: UInt8(found.sense.key.rawValue), additional: UInt16(truncatingIfNeeded: found.sense.ascq))
        } else if found.datain.size > 0, let bytes = found.datain.data {
            result.data = [UInt8](UnsafeBufferPointer(start: bytes, count: Int(found.datain.size)))
        }
        result.residual =
            switch found.residual_status {
            case SCSI_RESIDUAL_UNDERFLOW: Int(found.residual)
            case SCSI_RESIDUAL_OVERFLOW: -Int(found.residual)
            default: 0
            }
        scsi_free_scsi_task(task)
        outcome = .success(result)
    }
}
