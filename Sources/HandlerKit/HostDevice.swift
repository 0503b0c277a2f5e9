// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// The device as the host keeps it: what was configured, and what initiators are told of it.
///
/// Valid from a handler's `init` until its `close` has returned, in any thread. What is set in `init` holds from then
/// on; set it nowhere else, but for `hasVolatileWriteCache`.
@safe
public struct HostDevice: @unchecked Sendable {
    /// The host's object, whose functions may be called from any thread while the device exists.
    let pointer: OpaquePointer
    /// The device was open before and lost its connection: the operator has seen it work.
    public let isReopening: Bool

    init(_ pointer: OpaquePointer, isReopening: Bool) {
        unsafe self.pointer = pointer
        self.isReopening = isReopening
    }

    /// What the operator wrote.
    public var configuration: StoreConfiguration {
        guard let text = unsafe tcmu_dev_get_cfgstring(pointer) else { return StoreConfiguration("") }
        // NUL-terminated, and the device's own.
        return StoreConfiguration(unsafe String(cString: text))
    }

    /// Nil when no size is configured.
    public var configuredByteCount: UInt64? {
        var result: Int32 = 0
        let byteCount = unsafe tcmu_cfgfs_dev_get_info_u64(pointer, "Size", &result)
        return result == 0 && byteCount != 0 ? byteCount : nil
    }

    /// The unit serial number that initiators are told; nil when there is none.
    public var serialNumber: String? {
        // From the C library's malloc, and ours.
        guard let text = unsafe tcmu_cfgfs_dev_get_wwn(pointer) else { return nil }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }

    /// The device is configured to be read only: open the store so. The host refuses what would change it.
    public var isWriteProtected: Bool { unsafe martlet_device_is_write_protected(pointer) }

    /// Bytes of a block: 512, 1024, 2048 or 4096. A store with blocks of its own sets it, and `blockCount` after it.
    public var blockByteCount: UInt32 {
        get { unsafe tcmu_dev_get_block_size(pointer) }
        nonmutating set { unsafe tcmu_dev_set_block_size(pointer, newValue) }
    }

    /// Blocks of the medium: at first as many as are configured.
    public var blockCount: UInt64 {
        get { unsafe tcmu_dev_get_num_lbas(pointer) }
        nonmutating set { unsafe tcmu_dev_set_num_lbas(pointer, newValue) }
    }

    /// Writes that have returned may be lost until a flush.
    public var hasVolatileWriteCache: Bool {
        get { unsafe tcmu_dev_get_write_cache_enabled(pointer) }
        nonmutating set { unsafe tcmu_dev_set_write_cache_enabled(pointer, newValue) }
    }

    /// The store does not rotate.
    public var isSolidState: Bool {
        get { unsafe tcmu_dev_get_solid_state_media(pointer) }
        nonmutating set { unsafe tcmu_dev_set_solid_state_media(pointer, newValue) }
    }

    /// Whether UNMAP is offered: at first, if the handler can unmap.
    public var isUnmapEnabled: Bool {
        get { unsafe tcmu_dev_get_unmap_enabled(pointer) }
        nonmutating set { unsafe tcmu_dev_set_unmap_enabled(pointer, newValue) }
    }

    /// Blocks; the host splits what is longer, or refuses it.
    public func setMaximumTransferLength(_ blockCount: UInt32) {
        unsafe tcmu_dev_set_max_xfer_len(pointer, blockCount)
    }

    /// Blocks that are best unmapped together.
    public func setUnmapGranularity(_ blockCount: UInt32) {
        unsafe tcmu_dev_set_opt_unmap_gran(pointer, blockCount, true)
    }

    /// Blocks that one unmap may name; 0: no limit.
    public func setMaximumUnmapLength(_ blockCount: UInt32) {
        unsafe tcmu_dev_set_max_unmap_len(pointer, blockCount)
    }

    /// How much a message matters to the operator.
    public enum Severity: Sendable {
        /// For the author of the handler.
        case debug
        /// Told when somebody asks.
        case information
        /// Something is worse than it should be.
        case warning
        /// Something does not work.
        case error
    }

    /// Leaves word for the operator. Not for every command.
    public func log(_ severity: Severity, _ message: String) {
        unsafe HostLog.write(severity, pointer, message)
    }
}

// What the host is told while the device is open.
extension HostDevice {
    /// The medium has changed its size by itself: initiators are told.
    ///
    /// Does not wait. When it shrinks, commands that the host has let through may still ask for what has gone: answer
    /// them with an error.
    ///
    /// - Parameter byteCount: a multiple of the block size, not 0.
    public func sizeChanged(toByteCount byteCount: UInt64) {
        guard byteCount >= UInt64(blockByteCount) else { return }
        OpenDevice.of(self)?.sizeChanged(toByteCount: byteCount)
        unsafe _ = tcmur_dev_update_size(pointer, byteCount)
    }

    /// The store cannot be reached any more. Does not wait.
    ///
    /// The host answers new commands with BUSY, waits for those under way, closes the device, and opens it again every
    /// second until that works; a new instance of the handler finds `isReopening` set. End the commands that cannot be
    /// done any more with an error: the host waits for them.
    public func connectionLost() { unsafe tcmu_notify_conn_lost(pointer) }
}

enum HostLog {
    static func write(_ severity: HostDevice.Severity, _ device: OpaquePointer?, _ message: String) {
        let level =
            switch severity {
            case .debug: LOG_DEBUG
            case .information: LOG_INFO
            case .warning: LOG_WARNING
            case .error: LOG_ERR
            }
        // The text lives as long as the call.
        unsafe message.withCString { unsafe martlet_log(level, device, $0) }
    }
}
