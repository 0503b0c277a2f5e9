// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI

/// The device as the host keeps it: what was configured, and what initiators are told of it.
///
/// Valid from `BlockHandler.init` until `close` has returned.
@safe
public struct HostDevice: @unchecked Sendable {
    /// The host's object, whose functions may be called from any thread while the device exists.
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

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

    public var isWriteProtected: Bool { unsafe martlet_device_is_write_protected(pointer) }

    public var blockByteCount: UInt32 { unsafe tcmu_dev_get_block_size(pointer) }

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

    /// Whether UNMAP is offered: at first, if the handler has the capability.
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

    public enum Severity: Sendable {
        case debug, information, warning, error
    }

    /// Leaves word for the operator. Not for every command.
    public func log(_ severity: Severity, _ message: String) {
        unsafe HostLog.write(severity, pointer, message)
    }
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
