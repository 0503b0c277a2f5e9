// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import HandlerABI
internal import HandlerHost

/// From the file to a handler that has registered, and what it says of stores before one is opened.
enum LoadCases {
    static let all = [
        // Being here means that it loaded: what goes wrong before is told by the process that loads.
        ConformanceCase("load.file", "loads, and registers a handler") { _ in },
        ConformanceCase("load.check-config", "check_config answers good strings and nonsense", checkConfig),
        ConformanceCase("load.probe", "probe tells of a store and leaves it alone", probe),
    ]

    /// What may stand behind a subtype by mistake.
    private static let nonsense = [
        "", "/", "//", "?", "/nowhere-\u{E4}\u{F6}/at all", ";;;=,=", "%s%n%x", "-1", "\u{1}",
    ]

    private static func answer(_ string: String) -> (answer: Int32, reason: String) {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { room in
            // The callee keeps to the room and ends the text with NUL.
            let answer = unsafe check_config_string(string, room.baseAddress!, room.count)
            return unsafe (answer, String(cString: room.baseAddress!))
        }
    }

    private static func checkConfig(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasCheckConfig, "check_config")
        let (good, reason) = answer(run.request.config)
        if good != 1 {
            run.finding("load.config", "it refuses \"\(run.request.config)\": \(reason.isEmpty ? "no reason" : reason)")
        }
        let subtype = run.handler.subtype
        let long = String(repeating: "x", count: 4000)
        for rest in nonsense + [long] {
            let (_, reason) = answer("\(subtype)/\(rest)")
            if reason.utf8.count > 400 { run.note("a reason of more than 400 bytes for \(subtype)/\(rest.prefix(20))") }
        }
        _ = answer(subtype)
        if answer(run.request.config).answer != good {
            run.finding("load.config", "the same string is answered otherwise the second time")
        }
    }

    private static func digest(_ path: String?) -> (count: Int, digest: UInt64) {
        guard let path else { return (-1, 0) }
        var value: UInt64 = 0
        let count = unsafe check_file_digest(path, &value)
        return (count, value)
    }

    private static func probe(_ run: CaseRun) throws {
        try run.needs(run.callouts.hasProbe, "probe")
        let before = digest(run.store.path)
        var configuration = HandlerDeviceConfiguration(configString: run.request.config, serial: "martlet-check")
        configuration.byteCount = run.request.byteCount
        do throws(HandlerDeviceError) {
            let first = try HandlerInspection.shape(of: configuration, run.handler)
            let second = try HandlerInspection.shape(of: configuration, run.handler)
            if first != second { run.finding("load.probe", "two probes of one store differ: \(first), \(second)") }
        } catch {
            run.finding("load.probe", "\(error)")
        }
        let after = digest(run.store.path)
        if before != after {
            run.finding(
                "load.probe",
                "the store had \(before.count) bytes before, and has \(after.count), or others, afterwards")
        }
        guard let missing = run.store.replacing("/nowhere/at/all/martlet-check") else { return }
        configuration = HandlerDeviceConfiguration(configString: missing, serial: "martlet-check")
        configuration.byteCount = run.request.byteCount
        if let shape = try? HandlerInspection.shape(of: configuration, run.handler), run.request.byteCount == nil {
            run.finding("load.probe", "a store in a folder that is not there has \(shape.byteCount) bytes")
        }
        if digest("/nowhere/at/all/martlet-check").count >= 0 {
            run.finding("load.probe", "probe made the folder /nowhere/at/all")
        }
    }
}
