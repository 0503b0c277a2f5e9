// SPDX-License-Identifier: Apache-2.0

internal import CHandlerHost
internal import CLinux
internal import HandlerABI
internal import Synchronization

/// Loads a shared object of handlers, or says why not: first its symbols, then dlopen(3), then handler_init, then the
/// extension table. A library is loaded once in a process and never unloaded.
enum HandlerLibrary {
    /// Bytes of the largest file that is read.
    private static let maximumByteCount = 256 << 20

    /// Held while a library is loaded: who asks for the same one meanwhile gets what was loaded.
    private static let loaded = Mutex<[SystemFiles.Identity: [Handler]]>([:])

    /// - Parameters:
    ///   - occupied: subtypes that files loaded earlier have, and which files those are.
    ///   - trial: asked before any code of the file runs.
    static func load(
        _ path: String, isTrusted: Bool, occupied: [String: String], trial: HandlerRegistry.Trial?
    ) throws(HandlerRefusal) -> [Handler] {
        let (identity, bytes) = try read(path)
        return try loaded.withLock { (loaded) throws(HandlerRefusal) in
            if let handlers = loaded[identity] {
                for handler in handlers {
                    guard let other = occupied[handler.subtype] else { continue }
                    throw HandlerRefusal(path: path, reason: .hidden(subtype: handler.subtype, by: other))
                }
                return handlers
            }
            let symbols: ELFSymbols
            switch judge(bytes, isTrusted: isTrusted) {
            case .success(let sound): symbols = sound
            case .failure(let refusal): throw HandlerRefusal(path: path, reason: refusal.reason)
            }
            if let sentence = trial?(path) { throw HandlerRefusal(path: path, reason: .failedTrial(sentence)) }
            let handlers = try initialize(
                path, occupied, HandlerGeneration.objection(toAsynchronous: symbols, isTrusted: isTrusted))
            loaded[identity] = handlers
            return handlers
        }
    }

    private static func read(
        _ path: String
    ) throws(HandlerRefusal) -> (identity: SystemFiles.Identity, bytes: [UInt8]) {
        do throws(SystemFiles.Failure) {
            let identity = try SystemFiles.look(at: path).identity
            return (identity, try SystemFiles.read(path, limit: maximumByteCount))
        } catch {
            throw HandlerRefusal(path: path, reason: .unreadable(error.description))
        }
    }

    private struct Objection: Error { var reason: HandlerRefusal.Reason }

    /// The file's symbols, or what its own bytes say against it, before anything of it runs.
    private static func judge(_ bytes: [UInt8], isTrusted: Bool) -> Result<ELFSymbols, Objection> {
        let symbols: ELFSymbols
        do throws(ELFSymbols.Malformation) {
            symbols = try ELFSymbols(bytes)
        } catch {
            return .failure(Objection(reason: .notLoadable(error.description)))
        }
        if let reason = HandlerGeneration.objection(to: symbols, isTrusted: isTrusted) {
            return .failure(Objection(reason: reason))
        }
        let missing = missingSymbols(of: symbols)
        return missing.isEmpty ? .success(symbols) : .failure(Objection(reason: .missingSymbols(missing)))
    }

    /// Imports that neither this process nor the libraries that the file asks for offer. Where one of those libraries
    /// is not found by its bare name, only names that are the host's to offer are judged: dlopen(3) knows more paths.
    private static func missingSymbols(of symbols: ELFSymbols) -> [String] {
        // Libraries stay open: the handler is about to need them.
        let libraries = unsafe symbols.neededLibraries.map { unsafe dlopen($0, RTLD_LAZY | RTLD_LOCAL) }
        let areAllOpen = unsafe libraries.allSatisfy { unsafe $0 != nil }
        return symbols.imports.filter { name in
            guard areAllOpen || HandlerGeneration.belongsToHost(name) else { return false }
            if unsafe dlsym(nil, name) != nil { return false }
            return unsafe !libraries.contains { unsafe $0 != nil && dlsym($0, name) != nil }
        }
    }

    private static func initialize(
        _ path: String, _ occupied: [String: String], _ objectionToAsynchronous: HandlerRefusal.Reason?
    ) throws(HandlerRefusal) -> [Handler] {
        HostHooks.installed
        guard let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            // dlerror's words are ours until the next call of its family in this thread.
            let words = unsafe dlerror().map { unsafe String(cString: $0) } ?? "dlopen failed"
            throw HandlerRefusal(path: path, reason: .dynamicLoader(words))
        }
        guard let symbol = unsafe dlsym(library, HandlerGeneration.entryPoint) else {
            throw HandlerRefusal(path: path, reason: .noEntryPoint)
        }
        // The entry point of every generation since 1.2 is int handler_init(void).
        let handlerInit = unsafe unsafeBitCast(symbol, to: (@convention(c) () -> Int32).self)
        let (result, registration) = keepingSignals {
            HandlerRegistration.during(
                occupied: occupied, objectionToAsynchronous: objectionToAsynchronous
            ) { handlerInit() }
        }
        guard result == 0, !registration.taken.isEmpty else {
            let reason = registration.objection ?? (result == 0 ? .registeredNothing : .initializationFailed(result))
            throw HandlerRefusal(path: path, reason: reason)
        }
        let handlerExtension = unsafe findExtension(library)
        return registration.taken.compactMap { address in
            // Registered structures live as long as the process.
            guard let pointer = unsafe UnsafePointer<tcmur_handler>(bitPattern: address) else { return nil }
            return unsafe Handler(path: path, callouts: pointer.pointee, handlerExtension: handlerExtension)
        }
    }

    /// What the server does with these is its own business.
    private static let keptSignals = [SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD]

    /// Some handlers ignore or block signals while they start: what stood before stands again after.
    private static func keepingSignals<Result>(_ body: () -> Result) -> Result {
        let before = keptSignals.map { signal in
            var action = sigaction()
            let isKnown = unsafe clinux_get_signal_action(signal, &action) == 0
            return (signal, isKnown ? action : nil)
        }
        var mask = sigset_t()
        // `mask` and the actions are ours, and written before they are read.
        let isMaskKnown = unsafe pthread_sigmask(SIG_SETMASK, nil, &mask) == 0
        defer {
            for case (let signal, var action?) in before { unsafe _ = clinux_set_signal_action(signal, &action) }
            if isMaskKnown { unsafe _ = pthread_sigmask(SIG_SETMASK, &mask, nil) }
        }
        return body()
    }

    private static func findExtension(_ library: UnsafeMutableRawPointer) -> HandlerExtension {
        guard let symbol = unsafe dlsym(library, HandlerExtension.symbol) else { return .none }
        // martlet-handler.h gives the symbol this type.
        let function = unsafe unsafeBitCast(symbol, to: (@convention(c) () -> UnsafeRawPointer?).self)
        guard let table = unsafe function() else { return .none }
        return unsafe HandlerExtension(copying: table) ?? .none
    }
}
