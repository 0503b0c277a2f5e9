// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
public import TargetCore

/// A shared object that a scan came across, taken or refused.
public struct HandlerScanResult: Sendable {
    public var path: String
    /// What it registered; for a file with several handlers there is a result for each.
    public var subtype: String?
    public var name: String?
    public var abi: String?
    /// How its configuration strings read, in its author's words.
    public var description: String?
    /// Why it was not taken: one sentence. Nil when it was.
    public var refusal: String?
}

/// The handlers of this process, by subtype.
public final class HandlerRegistry: Sendable {
    private let diagnostics: Diagnostics
    private let trustedFiles: Set<SystemFiles.Identity>
    private let trial: Trial?
    private let handlers = Mutex<[String: Handler]>([:])

    private static let prefixes = ["handler_", "libhandler_"]
    private static let suffix = ".so"
    /// Files of one folder that are looked at; more is a mistake of the operator's.
    private static let maximumFileCount = 1024

    /// Why the shared object at a path must not be loaded into this process: the whole sentence. Nil: it may.
    public typealias Trial = @Sendable (_ path: String) -> String?

    /// - Parameters:
    ///   - trustedFiles: paths of shared objects that do not tell their generation, and which the operator knows to be
    ///     of the supported one.
    ///   - trial: asked of each file whose symbols are right, before any code of it runs.
    public init(diagnostics: Diagnostics, trustedFiles: Set<String> = [], trial: Trial? = nil) {
        self.diagnostics = diagnostics
        self.trustedFiles = Set(trustedFiles.compactMap { try? SystemFiles.look(at: $0).identity })
        self.trial = trial
    }

    /// Looks at every `handler_*.so` and `libhandler_*.so`, folder by folder and in the order of their names.
    /// The first to register a subtype has it. A folder that does not exist holds nothing.
    @discardableResult
    public func scan(directories: [String]) -> [HandlerScanResult] {
        HostHooks.listen(diagnostics)
        return directories.flatMap { directory in files(in: directory).flatMap { load($0) } }
    }

    /// Looks at one file, whatever its name.
    @discardableResult
    public func load(file path: String) -> [HandlerScanResult] {
        HostHooks.listen(diagnostics)
        return load(path)
    }

    public func handler(subtype: String) -> Handler? { handlers.withLock { $0[subtype] } }

    /// All handlers, by subtype.
    public var all: [Handler] { handlers.withLock { $0.values.sorted { $0.subtype < $1.subtype } } }

    private func files(in directory: String) -> [String] {
        do throws(SystemFiles.Failure) {
            let names = try SystemFiles.names(inFolder: directory).filter(Self.isHandlerName)
            if names.count > Self.maximumFileCount {
                diagnostics.report(
                    .warning, "\(directory) holds \(names.count) handlers: only \(Self.maximumFileCount) are loaded")
            }
            return names.prefix(Self.maximumFileCount).map { "\(directory)/\($0)" }
        } catch {
            diagnostics.report(.debug, "the handler folder \(directory) cannot be read: \(error)")
            return []
        }
    }

    static func isHandlerName(_ name: String) -> Bool {
        name.hasSuffix(suffix) && prefixes.contains { name.hasPrefix($0) }
    }

    private func load(_ path: String) -> [HandlerScanResult] {
        let present = handlers.withLock { $0 }
        let occupied = present.filter { $0.value.path != path }.mapValues(\.path)
        do throws(HandlerRefusal) {
            let found = try HandlerLibrary.load(
                path, isTrusted: isTrusted(path), occupied: occupied, trial: trial)
            handlers.withLock { table in
                for handler in found { table[handler.subtype] = handler }
            }
            if let remark = found.first?.handlerExtension.remark {
                diagnostics.report(.warning, "\(path): \(remark)")
            }
            return found.map(Self.result)
        } catch {
            report(error)
            return [HandlerScanResult(path: path, refusal: error.description)]
        }
    }

    private func isTrusted(_ path: String) -> Bool {
        guard !trustedFiles.isEmpty, let identity = try? SystemFiles.look(at: path).identity else { return false }
        return trustedFiles.contains(identity)
    }

    private func report(_ refusal: HandlerRefusal) {
        let severity: Diagnostics.Severity = if case .hidden = refusal.reason { .notice } else { .warning }
        diagnostics.report(severity, refusal.description)
    }

    private static func result(_ handler: Handler) -> HandlerScanResult {
        HandlerScanResult(
            path: handler.path, subtype: handler.subtype, name: handler.name, abi: handler.abi,
            description: handler.configurationDescription)
    }
}
