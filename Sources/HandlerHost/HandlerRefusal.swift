// SPDX-License-Identifier: Apache-2.0

/// Why a shared object was not taken as a handler. `description` is one sentence for the operator: which file, what is
/// wrong with it, what to do.
public struct HandlerRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        case unreadable(String)
        /// The words complete "FILE ...".
        case notLoadable(String)
        case noEntryPoint
        case registersNothing
        case olderGeneration(String, evidence: String)
        /// The evidence is of no generation that is known.
        case unknownGeneration(evidence: String)
        /// Nothing in the file tells its generation, and reads and writes are too much to guess about.
        case noEvidence
        case missingSymbols([String])
        /// dlopen(3) refused it, in its words.
        case dynamicLoader(String)
        case initializationFailed(Int32)
        case registeredNothing
        case subtypeTaken(String, by: String)
        /// `struct tcmur_handler` holds something that it cannot hold in the supported generation.
        case wrongStructure(String)
        /// The named callout is missing although others need it.
        case incomplete(String)
        case hidden(subtype: String, by: String)
        /// What came of its trial in another process: the whole sentence.
        case failedTrial(String)
    }

    public var path: String
    public var reason: Reason

    public init(path: String, reason: Reason) {
        self.path = path
        self.reason = reason
    }

    private static let rebuild = "rebuild it against the headers of \(HandlerGeneration.supported)"

    public var description: String {
        switch reason {
        case .unreadable(let words):
            "\(path) cannot be read (\(words)): check its permissions"
        case .notLoadable(let words):
            "\(path) \(words): remove it, or put a handler for this machine in its place"
        case .noEntryPoint:
            "\(path) exports no function \(HandlerGeneration.entryPoint): it is no tcmu-runner handler; remove it"
        case .registersNothing:
            "\(path) does not import \(HandlerGeneration.registration): it can register no handler; "
                + Self.rebuild
        case .olderGeneration(let generation, let evidence):
            "\(path) was built for tcmu-runner \(generation) (\(evidence)): \(Self.rebuild)"
        case .unknownGeneration(let evidence):
            "\(path) was built for an unknown generation of tcmu-runner (\(evidence)): \(Self.rebuild)"
        case .noEvidence:
            "\(path) does not tell for which generation of tcmu-runner it was built: export its struct "
                + "tcmur_handler as NAME_handler, and build it with the headers of 1.5.4 or later; or, when you know "
                + "that it was, vouch for it with --trust-handler \(path)"
        case .missingSymbols(let names):
            "\(path) needs \(names.count == 1 ? "a symbol" : "symbols") that nothing offers: "
                + "\(names.joined(separator: ", ")); \(Self.rebuild), or install the libraries it needs"
        case .dynamicLoader(let words):
            "\(path) cannot be loaded: \(words); install what it needs"
        case .initializationFailed(let result):
            "\(path): handler_init returned \(result): see the handler's own messages above"
        case .registeredNothing:
            "\(path): handler_init registered no handler: see the handler's own messages above"
        case .subtypeTaken(let subtype, let other):
            "\(path) registers the subtype \"\(subtype)\", which \(other) has already: remove one of the two"
        case .wrongStructure(let evidence):
            "\(path) registered a structure that is not of \(HandlerGeneration.supported) (\(evidence)): "
                + Self.rebuild
        case .incomplete(let callout):
            "\(path) registered a handler without \(callout): its author must add it"
        case .hidden(let subtype, let other):
            "\(path) is left out: \(other), found earlier, has the subtype \"\(subtype)\" already"
        case .failedTrial(let sentence):
            sentence
        }
    }
}
