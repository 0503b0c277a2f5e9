// SPDX-License-Identifier: Apache-2.0

internal import Glibc
public import HandlerABI
internal import Synchronization

/// Registers the plugin's handler with the host. Call it from `handler_init`, once, and return its result.
public func registerHandler(_ type: any BlockHandler.Type) -> Int32 {
    guard type.threadCount > 0, let threadCount = Int32(exactly: type.threadCount) else {
        unsafe HostLog.write(.error, nil, "handler \(type.subtype) needs at least one thread")
        return -1
    }
    guard Plugin.adopt(type) else {
        unsafe HostLog.write(.error, nil, "handler \(type.subtype): a plugin has one handler")
        return -1
    }
    return unsafe tcmur_register_handler(Plugin.makeHandler(type, threadCount))
}

/// The host asks for it by name (martlet-handler.h). Nil before `registerHandler`.
@c(martlet_handler_extension)
public func martletHandlerExtension() -> UnsafePointer<martlet_handler_extension>? {
    unsafe Plugin.extensionTable.withLock { unsafe $0.pointer }
}

/// What the plugin has registered. Both structures are made once and live as long as the process, as the host demands.
enum Plugin {
    private static let handlerType = Mutex<(any BlockHandler.Type)?>(nil)

    @safe
    struct ExtensionTable: @unchecked Sendable {
        /// Never changes after `registerHandler`.
        var pointer: UnsafePointer<martlet_handler_extension>?

        init() { unsafe pointer = nil }
    }

    static let extensionTable = Mutex(ExtensionTable())

    /// False when there is one already.
    static func adopt(_ type: any BlockHandler.Type) -> Bool {
        let isFirst = handlerType.withLock { adopted in
            guard adopted == nil else { return false }
            adopted = type
            return true
        }
        guard isFirst else { return false }
        extensionTable.withLock { unsafe $0.pointer = makeExtension(type) }
        return true
    }

    static func makeHandler(_ type: any BlockHandler.Type, _ threadCount: Int32) -> UnsafeMutablePointer<tcmur_handler>
    {
        var handler = unsafe tcmur_handler()
        // String literals are NUL-terminated and part of the plugin's image.
        unsafe handler.name = text(type.name)
        unsafe handler.subtype = text(type.subtype)
        unsafe handler.cfg_desc = text(type.configurationDescription)
        unsafe handler.nr_threads = threadCount
        unsafe handler.check_config = { unsafe Plugin.checkConfiguration($0, $1) }
        unsafe handler.open = { pointer, _ in unsafe Plugin.open(pointer) }
        unsafe handler.close = { pointer in
            if let pointer = unsafe pointer { unsafe OpenDevice.close(pointer) }
        }
        unsafe Callouts.fill(&handler)
        if type.capabilities.contains(.unmap) { unsafe Callouts.fillUnmap(&handler) }
        if type.capabilities.contains(.writeSame) { unsafe Callouts.fillWriteSame(&handler) }
        return unsafe forEver(handler)
    }

    private static func makeExtension(_ type: any BlockHandler.Type) -> UnsafePointer<martlet_handler_extension> {
        var table = martlet_handler_extension()
        table.size = MemoryLayout<martlet_handler_extension>.size
        table.version = UInt32(MARTLET_HANDLER_EXTENSION_VERSION)
        if type.capabilities.contains(.unmappedReadsZero) {
            table.flags |= UInt32(MARTLET_HANDLER_UNMAPPED_READS_ZERO)
        }
        unsafe table.probe = { unsafe Plugin.probe($0, $1) }
        if type.capabilities.contains(.blockStatus) {
            unsafe table.block_status = { unsafe Callouts.blockStatus($0, $1, $2, $3, $4) }
        }
        return unsafe UnsafePointer(forEver(table))
    }

    private static func forEver<Value>(_ value: Value) -> UnsafeMutablePointer<Value> {
        let pointer = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
        return unsafe pointer
    }

    private static func text(_ literal: StaticString) -> UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    private static func open(_ pointer: OpaquePointer?) -> Int32 {
        guard let pointer = unsafe pointer, let type = handlerType.withLock({ $0 }) else { return -EINVAL }
        do throws(HandlerRefusal) {
            try unsafe OpenDevice.open(pointer, type)
            return 0
        } catch {
            unsafe HostLog.write(.error, pointer, error.reason)
            return -max(error.code, 1)
        }
    }

    /// The host's two pointers: a NUL-terminated text, and room for one or nil.
    private static func describe(_ text: UnsafePointer<CChar>?) throws(HandlerRefusal) -> StoreDescription {
        guard let text = unsafe text, let type = handlerType.withLock({ $0 }) else {
            throw HandlerRefusal(code: EINVAL, reason: "there is no configuration string")
        }
        return try type.probe(StoreConfiguration(unsafe String(cString: text)))
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

    /// Cuts what there is no room for, and ends with NUL.
    private static func copy<Room>(_ reason: String, to room: inout Room) {
        unsafe withUnsafeMutableBytes(of: &room) { bytes in
            let text = Array(reason.utf8.prefix(bytes.count - 1)) + [0]
            // No longer than the room.
            unsafe bytes.copyBytes(from: text)
        }
    }
}
