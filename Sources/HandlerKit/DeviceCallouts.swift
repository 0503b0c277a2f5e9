// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// The callouts that concern a device as a whole, and are the same for handlers of both kinds.
enum DeviceCallouts {
    static func fill(_ handler: inout tcmur_handler, for type: HandlerType) {
        unsafe handler.check_config = { unsafe DeviceCallouts.checkConfiguration($0, $1) }
        unsafe handler.open = { unsafe DeviceCallouts.open($0, $1) }
        unsafe handler.close = { pointer in
            if let pointer = unsafe pointer { unsafe OpenDevice.close(pointer) }
        }
        if type.description is any ResizingHandler.Type {
            unsafe handler.reconfig = { unsafe DeviceCallouts.reconfigure($0, $1) }
        }
    }

    static func fill(_ table: inout martlet_handler_extension, for type: HandlerType) {
        unsafe table.probe = { unsafe DeviceCallouts.probe($0, $1) }
        if type.description is any HealthReportingHandler.Type {
            unsafe table.health = { unsafe DeviceCallouts.health($0, $1) }
        }
        if type.description is any SpaceReportingHandler.Type {
            unsafe table.space = { unsafe DeviceCallouts.space($0, $1) }
        }
    }

    private static func open(_ pointer: OpaquePointer?, _ isReopening: Bool) -> Int32 {
        guard let pointer = unsafe pointer, let type = Plugin.type else { return -EINVAL }
        do throws(HandlerRefusal) {
            try OpenDevice.open(unsafe HostDevice(pointer, isReopening: isReopening), type)
            return 0
        } catch {
            unsafe HostLog.write(.error, pointer, error.reason)
            return -max(error.code, 1)
        }
    }

    /// The host tells of changes that a handler in Swift has no method for: those are refused.
    private static func reconfigure(_ pointer: OpaquePointer?, _ change: UnsafeMutablePointer<tcmulib_cfg_info>?)
        -> Int32
    {
        guard let change = unsafe change?.pointee, unsafe change.type == TCMULIB_CFG_DEV_SIZE else {
            return -EOPNOTSUPP
        }
        guard let opened = unsafe OpenDevice.of(pointer), let handler = opened.resizing else { return -EINVAL }
        // The type says which member it is.
        let byteCount = unsafe change.data.dev_size
        do throws(HandlerRefusal) {
            try handler.resize(toByteCount: byteCount)
            opened.sizeChanged(toByteCount: byteCount)
            return 0
        } catch {
            unsafe HostLog.write(.error, pointer, error.reason)
            return -max(error.code, 1)
        }
    }

    /// The host's two pointers: a NUL-terminated text, and room for one or nil.
    private static func describe(_ text: UnsafePointer<CChar>?) throws(HandlerRefusal) -> StoreDescription {
        guard let text = unsafe text, let type = Plugin.type else {
            throw HandlerRefusal(code: EINVAL, reason: "there is no configuration string")
        }
        return try type.description.probe(StoreConfiguration(unsafe String(cString: text)))
    }

    private static func checkConfiguration(
        _ text: UnsafePointer<CChar>?, _ reason: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> Bool {
        do throws(HandlerRefusal) {
            _ = try unsafe describe(text)
            return true
        } catch {
            // The host releases it with free().
            unsafe reason?.pointee = strdup(error.reason)
            return false
        }
    }

    private static func probe(_ text: UnsafePointer<CChar>?, _ answer: UnsafeMutablePointer<martlet_probe>?) -> Int32 {
        guard let answer = unsafe answer, unsafe answer.pointee.size >= MemoryLayout<martlet_probe>.size else {
            return -EINVAL
        }
        do throws(HandlerRefusal) {
            let store = try unsafe describe(text)
            unsafe answer.pointee.byte_count = store.byteCount ?? 0
            unsafe answer.pointee.block_byte_count = store.blockByteCount ?? 0
            if store.willCreate { unsafe answer.pointee.flags |= UInt32(MARTLET_PROBE_WILL_CREATE) }
            if store.isReadOnly { unsafe answer.pointee.flags |= UInt32(MARTLET_PROBE_READ_ONLY) }
            return 0
        } catch {
            unsafe copy(error.reason, to: &answer.pointee.reason)
            return -max(error.code, 1)
        }
    }

    private static func health(_ device: OpaquePointer?, _ answer: UnsafeMutablePointer<martlet_health>?) -> Int32 {
        guard let answer = unsafe answer, unsafe answer.pointee.size >= MemoryLayout<martlet_health>.size,
            let opened = unsafe OpenDevice.of(device), let handler = opened.health
        else { return -EINVAL }
        switch handler.health {
        case .unknown: return -ENODATA
        case .good: unsafe answer.pointee.state = UInt32(MARTLET_HEALTH_GOOD)
        case .degraded(let reason):
            unsafe answer.pointee.state = UInt32(MARTLET_HEALTH_DEGRADED)
            unsafe copy(reason, to: &answer.pointee.reason)
        case .failed(let reason):
            unsafe answer.pointee.state = UInt32(MARTLET_HEALTH_FAILED)
            unsafe copy(reason, to: &answer.pointee.reason)
        }
        return 0
    }

    private static func space(_ device: OpaquePointer?, _ answer: UnsafeMutablePointer<martlet_space>?) -> Int32 {
        guard let answer = unsafe answer, unsafe answer.pointee.size >= MemoryLayout<martlet_space>.size,
            let opened = unsafe OpenDevice.of(device), let handler = opened.space
        else { return -EINVAL }
        guard let space = handler.space else { return -ENODATA }
        unsafe answer.pointee.used_byte_count = space.usedByteCount
        unsafe answer.pointee.available_byte_count = space.availableByteCount
        return 0
    }

    /// Cuts what there is no room for, and ends with NUL.
    private static func copy<Room>(_ reason: String, to room: inout Room) {
        unsafe withUnsafeMutableBytes(of: &room) { bytes in
            let text = Array(reason.utf8.prefix(bytes.count - 1)) + [0]
            // No longer than the room.
            unsafe bytes.copyBytes(from: text)
        }
    }
}
