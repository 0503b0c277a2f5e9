// SPDX-License-Identifier: Apache-2.0

/// Which generation of tcmu-runner's handler ABI a shared object was built for, as far as its symbols tell.
///
/// Nothing in a handler states a version. Between 1.4 and 1.5.0 `read` and `write` changed places in
/// `struct tcmur_handler`, so taking an old handler for a new one would turn reads into writes: when in doubt, refuse.
enum HandlerGeneration {
    /// What the host speaks: 1.5.4 up to 1.6.2, whose `tcmu-runner.h` are identical.
    static let supported = "tcmu-runner 1.5.4 to 1.6.2"

    static let entryPoint = "handler_init"
    static let registration = "tcmur_register_handler"
    private static let completion = "tcmur_cmd_complete"

    /// sizeof(struct tcmur_handler) of each generation.
    private static let handlerByteCounts: [(byteCount: UInt64, generation: String)] = [
        (136, "1.3"), (152, "1.4"), (160, "1.5.0 to 1.5.2"), (184, "1.5.3"), (200, supported),
    ]
    private static let handlerByteCount: UInt64 = 200

    /// Prefixes and names that only older generations had.
    private static let markersOf14 = ["tcmu_get_dev_", "tcmu_set_dev_", "tcmu_get_device_", "tcmu_set_sense_"]
    private static let markersOf12 = ["dbgp", "errp"]
    private static let markersOf150 = [
        "tcmur_handle_caw", "tcmur_handle_writesame", "tcmu_get_daemon_dev_private",
    ]
    /// Prefixes of names that came with 1.5.0.
    private static let markersOf15 = [
        "tcmur_dev_", "tcmur_cmd_complete", "tcmu_dev_get_", "tcmu_dev_set_", "tcmu_cfgfs_dev_", "tcmu_sense_set_",
        "tcmu_cdb_", "tcmu_notify_", "tcmu_set_thread_name",
    ]

    /// Why a file cannot be a handler of the supported generation; nil when its symbols speak for it, or when the
    /// operator vouches for it (`isTrusted`) and they say nothing against it.
    static func objection(to symbols: ELFSymbols, isTrusted: Bool) -> HandlerRefusal.Reason? {
        guard symbols.exports.contains(where: { $0.name == entryPoint && !$0.isObject }) else {
            return .noEntryPoint
        }
        if let symbol = symbols.imports.first(where: { markersOf12.contains($0) }) {
            return .olderGeneration("1.2 or older", evidence: "it imports \(symbol)")
        }
        if let symbol = symbols.imports.first(where: { name in markersOf14.contains { name.hasPrefix($0) } }) {
            return .olderGeneration("1.4 or older", evidence: "it imports \(symbol)")
        }
        if let symbol = symbols.imports.first(where: { markersOf150.contains($0) }) {
            return .olderGeneration("1.5.0 to 1.5.3", evidence: "it imports \(symbol)")
        }
        guard symbols.imports.contains(registration) else { return .registersNothing }
        if let objection = objectionToSize(of: symbols.exports) { return objection }
        guard isTrusted || hasEvidence(symbols) else { return .noEvidence }
        return nil
    }

    /// Git snapshots from November 2018 to July 2019 have the names of 1.5 and the structure of 1.4, with `read` and
    /// `write` the other way round. Their handlers complete commands through the command itself; an asynchronous one of
    /// 1.5 imports the function for that. Asked of what a handler registers, once it did; nil where the file tells its
    /// structure in another way, too.
    static func objection(
        toAsynchronous symbols: ELFSymbols, isTrusted: Bool
    ) -> HandlerRefusal.Reason? {
        guard !isTrusted, !symbols.imports.contains(completion), !tellsStructure(symbols) else { return nil }
        return .olderGeneration(
            "1.4 or a git snapshot of 2018-11 to 2019-07",
            evidence: "it has no worker threads and does not import \(completion)")
    }

    private static func tellsStructure(_ symbols: ELFSymbols) -> Bool {
        symbols.exports.contains { isHandlerObject($0) && $0.byteCount == handlerByteCount }
            || symbols.exports.contains { $0.name == HandlerExtension.symbol }
    }

    /// A handler whose `struct tcmur_handler` is visible tells its layout by that object's byte count.
    private static func objectionToSize(of exports: [ELFSymbols.Export]) -> HandlerRefusal.Reason? {
        for export in exports where isHandlerObject(export) && export.byteCount != handlerByteCount {
            let evidence = "its \(export.name) has \(export.byteCount) bytes instead of \(handlerByteCount)"
            if let known = handlerByteCounts.first(where: { $0.byteCount == export.byteCount }) {
                return .olderGeneration(known.generation, evidence: evidence)
            }
            if export.name.hasPrefix("tcmu") { return .unknownGeneration(evidence: evidence) }
        }
        return nil
    }

    private static func hasEvidence(_ symbols: ELFSymbols) -> Bool {
        symbols.imports.contains { name in markersOf15.contains { name.hasPrefix($0) } } || tellsStructure(symbols)
    }

    private static func isHandlerObject(_ export: ELFSymbols.Export) -> Bool {
        export.isObject && export.name.hasSuffix("_handler")
    }

    /// Names that the host has to offer, as opposed to those of the C library and its friends.
    static func belongsToHost(_ symbol: String) -> Bool {
        symbol.hasPrefix("tcmu") || symbol.hasPrefix("__tcmu")
    }
}
