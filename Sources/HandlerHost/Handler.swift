// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import HandlerABI

/// A handler that has registered. It stays for the life of the process: nothing is ever unloaded.
///
/// Sendable: all of it is fixed when it is made, and the callouts are functions of the handler's that may be called
/// from any thread.
@safe
public final class Handler: @unchecked Sendable {
    /// The shared object that it came from.
    public let path: String
    public let subtype: String
    public let name: String
    /// How the rest of its configuration strings reads, in its author's words.
    public let configurationDescription: String
    /// Worker threads that each of its devices gets; 0: it completes commands by itself.
    public let threadCount: Int

    /// What the handler registered, after its init.
    let callouts: tcmur_handler
    let handlerExtension: HandlerExtension

    init(path: String, callouts: tcmur_handler, handlerExtension: HandlerExtension) {
        self.path = path
        unsafe self.callouts = callouts
        self.handlerExtension = handlerExtension
        // The strings were found readable and terminated when the structure was checked.
        unsafe subtype = String(cString: callouts.subtype)
        unsafe name = callouts.name.map { unsafe String(cString: $0) } ?? subtype
        unsafe configurationDescription = callouts.cfg_desc.map { unsafe String(cString: $0) } ?? ""
        unsafe threadCount = Int(callouts.nr_threads)
    }

    public var canFlush: Bool { unsafe callouts.flush != nil }
    public var canUnmap: Bool { unsafe callouts.unmap != nil || handlerExtension.zeroingUnmaps }
    public var canWriteZeroes: Bool { handlerExtension.canWriteZeroes }
    public var canCancel: Bool { handlerExtension.canCancel }
    public var canWriteSame: Bool { unsafe callouts.writesame != nil }
    public var canCompareAndWrite: Bool { unsafe callouts.caw != nil }
    public var canResize: Bool { unsafe callouts.reconfig != nil }
    public var canReportBlockStatus: Bool { handlerExtension.canReportBlockStatus }
    public var takesCDBs: Bool { unsafe callouts.handle_cmd != nil }
    /// It has none of read, write and flush: every command goes to it as a CDB.
    public var takesOnlyCDBs: Bool {
        unsafe callouts.read == nil && callouts.write == nil && callouts.flush == nil
    }

    /// Which door it came through, for people.
    public var abi: String {
        handlerExtension.version == 0
            ? "tcmu-runner 1.5.4" : "tcmu-runner 1.5.4, extension \(handlerExtension.version)"
    }

    /// Asks the handler whether it could open `configString`. Nil: it could, as far as it knows.
    func objection(to configString: String) -> String? {
        guard let callout = unsafe callouts.check_config else { return nil }
        var reason: UnsafeMutablePointer<CChar>?
        let isFine = unsafe configString.withCString { unsafe callout($0, &reason) }
        // By contract NULL, or from the C library's malloc and now ours.
        defer { unsafe free(reason) }
        guard !isFine else { return nil }
        return unsafe reason.map { unsafe String(cString: $0) } ?? "it gives no reason"
    }
}
