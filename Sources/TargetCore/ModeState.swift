// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The mode parameters of a logical unit that can change, shared by all initiators: one word that a command reads
/// with one load.
final class ModeState: Sendable {
    private let defaults: UInt8
    private let bits: Atomic<UInt8>

    private static let writeCacheBit: UInt8 = 1 << 0
    private static let descriptorSenseBit: UInt8 = 1 << 1
    private static let softwareWriteProtectBit: UInt8 = 1 << 2
    private static let taskAbortedStatusBit: UInt8 = 1 << 3

    init(writeCacheEnabled: Bool) {
        defaults = writeCacheEnabled ? Self.writeCacheBit : 0
        bits = Atomic(defaults)
    }

    /// WCE as configured or selected; what it truly is, the logical unit knows.
    var isWriteCacheEnabled: Bool { isSet(Self.writeCacheBit) }
    /// D_SENSE of the Control mode page.
    var usesDescriptorSense: Bool { isSet(Self.descriptorSenseBit) }
    /// SWP of the Control mode page.
    var isSoftwareWriteProtected: Bool { isSet(Self.softwareWriteProtectBit) }

    /// TAS of the Control mode page: tasks that another nexus aborts end with TASK ABORTED.
    var reportsTaskAborted: Bool { isSet(Self.taskAbortedStatusBit) }

    var isDefaultWriteCacheEnabled: Bool { defaults & Self.writeCacheBit != 0 }

    func set(writeCache: Bool, descriptorSense: Bool, softwareWriteProtect: Bool, taskAbortedStatus: Bool) {
        let new =
            (writeCache ? Self.writeCacheBit : 0) | (descriptorSense ? Self.descriptorSenseBit : 0)
            | (softwareWriteProtect ? Self.softwareWriteProtectBit : 0)
            | (taskAbortedStatus ? Self.taskAbortedStatusBit : 0)
        bits.store(new, ordering: .relaxed)
    }

    func restoreDefaults() {
        bits.store(defaults, ordering: .relaxed)
    }

    private func isSet(_ bit: UInt8) -> Bool { bits.load(ordering: .relaxed) & bit != 0 }
}
