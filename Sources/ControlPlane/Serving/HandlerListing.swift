// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import HandlerHost
internal import TargetCore

/// `martlet handlers`: every handler that can be found, or why it was refused.
public struct HandlerListing: Codable, Equatable, Sendable {
    public struct Entry: Codable, Equatable, Sendable {
        public var file: String
        /// The word before the slash of a LUN; nil for what was refused before it told.
        public var subtype: String?
        public var name: String?
        public var abi: String?
        /// How the rest of a LUN reads, in the author's words.
        public var description: String?
        /// Why it cannot be used.
        public var refusal: String?

        public init(
            file: String, subtype: String? = nil, name: String? = nil, abi: String? = nil, description: String? = nil,
            refusal: String? = nil
        ) {
            self.file = file
            self.subtype = subtype
            self.name = name
            self.abi = abi
            self.description = description
            self.refusal = refusal
        }
    }

    public var folders: [String]
    public var handlers: [Entry]

    public init(folders: [String], handlers: [Entry]) {
        self.folders = folders
        self.handlers = handlers
    }

    /// Loads what it finds: a handler tells its subtype only when it registers.
    public static func scan(
        handlerPaths: [String], trustedHandlers: [String] = [], trialSeconds: Int = HandlerTrial.defaultSeconds
    ) throws(Failure) -> HandlerListing {
        let trusted = try ServeOptions.trustedHandlers(trustedHandlers)
        try ServeOptions.checkSeconds(trialSeconds, option: "--handler-trial")
        let folders = try HandlerSearchPath.folders(named: handlerPaths)
        let registry = HandlerRegistry(
            diagnostics: .silent, trustedFiles: Set(trusted),
            trial: HandlerTrial.objection(seconds: trialSeconds, trusted: trusted, diagnostics: .silent))
        let results = registry.scan(directories: folders)
        return HandlerListing(
            folders: folders,
            handlers: results.map {
                Entry(
                    file: $0.path, subtype: $0.subtype, name: $0.name, abi: $0.abi, description: $0.description,
                    refusal: $0.refusal)
            })
    }

    public func table() -> String {
        guard !handlers.isEmpty else {
            return "No handlers found in: \(folders.joined(separator: ", "))\n"
        }
        var table = TextTable(headings: ["SUBTYPE", "ABI", "FILE", "DESCRIPTION"])
        for each in handlers where each.refusal == nil {
            table.add([each.subtype ?? "-", each.abi ?? "-", each.file, each.description ?? each.name ?? ""])
        }
        let refused = handlers.compactMap(\.refusal)
        return (table.isEmpty ? "" : table.text()) + refused.map { "refused: \($0)\n" }.joined()
    }
}
