// SPDX-License-Identifier: Apache-2.0

internal import HandlerHost

/// A sanitizer that the handler was built with: its run-time library must come before all others.
struct Sanitizer {
    /// The library, as the handler asks for it.
    let library: String

    private static let prefixes = ["libasan.so", "libtsan.so", "libclang_rt.asan", "libclang_rt.tsan"]
    private static let marks = ["SUMMARY: AddressSanitizer", "SUMMARY: ThreadSanitizer"]
    private static let findingLimit = 3

    /// Nil: the handler asks for none.
    init?(of path: String) {
        guard
            let library = HandlerInspection.neededLibraries(path).first(where: { name in
                Self.prefixes.contains { name.hasPrefix($0) }
            })
        else { return nil }
        self.library = library
    }

    /// For the child's environment. Leaks are counted by cases of the check: the program's own are no finding.
    var variables: [String] {
        [
            "LD_PRELOAD=\(library)", "ASAN_OPTIONS=detect_leaks=0:abort_on_error=0",
            "TSAN_OPTIONS=halt_on_error=0:report_signal_unsafe=0",
        ]
    }

    /// What it said, a line for each report.
    func findings(in errors: String) -> [String] {
        let lines = errors.split(separator: "\n").filter { line in Self.marks.contains { line.contains($0) } }
        var seen: [String] = []
        for line in lines.map({ String($0.trimmingPrefix("SUMMARY: ")) }) where !seen.contains(line) {
            seen.append(line)
        }
        return Array(seen.prefix(Self.findingLimit))
    }
}
