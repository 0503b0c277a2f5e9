// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import HandlerABI
internal import Synchronization
internal import TargetCore

/// Where the calls of handlers arrive that CHandlerHost cannot answer by itself.
enum HostHooks {
    /// Who hears of messages that name no device: the registry that loaded last.
    private static let listener = Mutex(Diagnostics.silent)
    /// The highest level that anybody asked for.
    private static let mostVerbose = Mutex(TCMU_LOG_ERROR)

    /// Sends such messages to `diagnostics`, and has handlers drop what nobody would read.
    static func listen(_ diagnostics: Diagnostics) {
        listener.withLock { $0 = diagnostics }
        let level =
            switch diagnostics.threshold {
            case .debug: TCMU_LOG_DEBUG
            case .info, .notice: TCMU_LOG_INFO
            case .warning: TCMU_LOG_WARN
            case .error: TCMU_LOG_ERROR
            }
        // Devices of another registry may want to hear more.
        mostVerbose.withLock { mostVerbose in
            mostVerbose = max(mostVerbose, level)
            tcmu_set_log_level(mostVerbose)
        }
    }

    /// Installs the hooks the first time it is read.
    static let installed: Void = {
        var hooks = martlet_host_hooks()
        unsafe hooks.register_handler = { handler in
            guard let handler = unsafe handler else { return HandlerRegistration.refused }
            return unsafe HandlerRegistration.register(handler)
        }
        // Handlers stay registered for the life of the process.
        unsafe hooks.unregister_handler = { _ in false }
        unsafe hooks.log = { severity, device, message in
            guard let message = unsafe message else { return }
            unsafe HostHooks.log(severity, device, message)
        }
        unsafe hooks.size_changed = { device, byteCount in
            unsafe HostHooks.device(device)?.handlerChangedSize(byteCount)
        }
        unsafe hooks.event = { device, event in
            unsafe HostHooks.device(device)?.handlerReported(event)
        }
        // Copied by the callee.
        unsafe martlet_host_install_hooks(&hooks)
    }()

    /// The device that `pointer` belongs to: its context, which is set from before open until after close.
    private static func device(_ pointer: OpaquePointer?) -> HandlerDevice? {
        guard let pointer = unsafe pointer, let context = unsafe martlet_host_device_context(pointer) else {
            return nil
        }
        return unsafe Unmanaged<HandlerDevice>.fromOpaque(context).takeUnretainedValue()
    }

    private static func log(_ severity: Int32, _ pointer: OpaquePointer?, _ message: UnsafePointer<CChar>) {
        let level = level(severity)
        if let device = unsafe device(pointer) {
            // NUL-terminated, and alive during the call.
            device.diagnostics.report(level, unsafe "\(device.configString): \(String(cString: message))")
        } else {
            let diagnostics = listener.withLock { $0 }
            diagnostics.report(level, unsafe "handler: \(String(cString: message))")
        }
    }

    private static func level(_ severity: Int32) -> Diagnostics.Severity {
        switch severity {
        case ...TCMU_LOG_ERROR: .error
        case TCMU_LOG_WARN: .warning
        case ...TCMU_LOG_INFO: .info
        default: .debug
        }
    }
}
