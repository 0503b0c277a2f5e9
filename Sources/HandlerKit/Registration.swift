// SPDX-License-Identifier: Apache-2.0

public import HandlerABI
internal import Synchronization

/// Registers the plugin's handler with the host. Call it from `handler_init`, once, and return its result.
///
/// What the handler can do follows from the protocols that `type` conforms to.
public func registerHandler(_ type: any StoreHandler.Type) -> Int32 { Plugin.register(.blocking(type)) }

/// Registers the plugin's asynchronous handler with the host. Call it from `handler_init`, once, and return its result.
///
/// What the handler can do follows from the protocols that `type` conforms to.
public func registerHandler(_ type: any AsyncStoreHandler.Type) -> Int32 { Plugin.register(.asynchronous(type)) }

/// The host asks for it by name (martlet-handler.h). Nil before `registerHandler`.
@c(martlet_handler_extension)
public func martletHandlerExtension() -> UnsafePointer<martlet_handler_extension>? {
    unsafe Plugin.extensionTable.withLock { unsafe $0.pointer }
}

/// The two kinds of handler.
enum HandlerType: Sendable {
    case blocking(any StoreHandler.Type)
    case asynchronous(any AsyncStoreHandler.Type)

    var description: any HandlerDescription.Type {
        switch self {
        case .blocking(let type): type
        case .asynchronous(let type): type
        }
    }

    /// What its author must change; nil when it can be registered.
    var mistake: String? {
        let threadCount: Int
        switch self {
        case .blocking(let type):
            guard type is any BlockHandler.Type || type is any CommandHandler.Type else {
                return "conforms to StoreHandler alone: make it a BlockHandler or a CommandHandler"
            }
            threadCount = type.threadCount
        case .asynchronous(let type):
            guard type is any AsyncBlockHandler.Type || type is any AsyncCommandHandler.Type else {
                return "conforms to AsyncStoreHandler alone: make it an AsyncBlockHandler or an AsyncCommandHandler"
            }
            guard type.commandLimit > 0 else { return "needs a commandLimit of 1 or more" }
            threadCount = type.threadCount
        }
        // The host's limit, too.
        return (1...1024).contains(threadCount) ? nil : "needs a threadCount of 1 to 1024"
    }

    /// Threads of the host's: none for tasks, which have the device's own.
    var hostThreadCount: Int32 {
        switch self {
        case .blocking(let type): Int32(type.threadCount)
        case .asynchronous: 0
        }
    }
}

/// What the plugin has registered. Both structures are made once and live as long as the process, as the host demands.
enum Plugin {
    private static let handlerType = Mutex<HandlerType?>(nil)

    @safe
    struct ExtensionTable: @unchecked Sendable {
        /// Never changes after `registerHandler`.
        var pointer: UnsafePointer<martlet_handler_extension>?

        init() { unsafe pointer = nil }
    }

    static let extensionTable = Mutex(ExtensionTable())

    /// Nil before `register`.
    static var type: HandlerType? { handlerType.withLock { $0 } }

    static func register(_ type: HandlerType) -> Int32 {
        let subtype = type.description.subtype
        if let mistake = type.mistake {
            unsafe HostLog.write(.error, nil, "handler \(subtype) \(mistake)")
            return -1
        }
        let isFirst = handlerType.withLock { adopted in
            guard adopted == nil else { return false }
            adopted = type
            return true
        }
        guard isFirst else {
            unsafe HostLog.write(.error, nil, "handler \(subtype): a plugin has one handler")
            return -1
        }
        extensionTable.withLock { unsafe $0.pointer = makeExtension(type) }
        return unsafe tcmur_register_handler(makeHandler(type))
    }

    private static func makeHandler(_ type: HandlerType) -> UnsafeMutablePointer<tcmur_handler> {
        var handler = unsafe tcmur_handler()
        unsafe handler.name = StaticText.pointer(type.description.name)
        unsafe handler.subtype = StaticText.pointer(type.description.subtype)
        unsafe handler.cfg_desc = StaticText.pointer(type.description.configurationDescription)
        unsafe handler.nr_threads = type.hostThreadCount
        unsafe DeviceCallouts.fill(&handler, for: type)
        switch type {
        case .blocking(let type): unsafe BlockingCallouts.fill(&handler, for: type)
        case .asynchronous(let type): unsafe AsyncCallouts.fill(&handler, for: type)
        }
        return unsafe forEver(handler)
    }

    private static func makeExtension(_ type: HandlerType) -> UnsafePointer<martlet_handler_extension> {
        var table = martlet_handler_extension()
        table.size = MemoryLayout<martlet_handler_extension>.size
        table.version = UInt32(MARTLET_HANDLER_EXTENSION_VERSION)
        DeviceCallouts.fill(&table, for: type)
        switch type {
        case .blocking(let type): BlockingCallouts.fill(&table, for: type)
        case .asynchronous(let type): AsyncCallouts.fill(&table, for: type)
        }
        return unsafe UnsafePointer(forEver(table))
    }

    private static func forEver<Value>(_ value: Value) -> UnsafeMutablePointer<Value> {
        let pointer = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
        return unsafe pointer
    }
}

/// Literals as C sees them.
enum StaticText {
    /// NUL-terminated, as literals are, and part of the plugin's image.
    static func pointer(_ literal: StaticString) -> UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
