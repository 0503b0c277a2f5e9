// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import HandlerHost
internal import TargetCore

/// The trial of a handler that did not come with this executable: before it is loaded into the server, a child process
/// loads it and lets it register. A handler that exits, crashes or hangs while it starts ends the child alone.
///
/// What a handler does while it starts is therefore done twice, first in the child.
public struct HandlerTrial: Sendable {
    public static let defaultSeconds = 10
    /// The hidden verb of the executable that a trial runs.
    public static let verb = "try-handler"

    let path: String
    let isTrusted: Bool
    let seconds: Int
    let diagnostics: Diagnostics

    /// What a registry asks before it loads a file; nil for no trials at all.
    static func objection(
        seconds: Int, trusted: [String], diagnostics: Diagnostics
    ) -> HandlerRegistry.Trial? {
        guard seconds > 0 else { return nil }
        let shipped = HandlerSearchPath.shipped
        let trusted = Set(trusted.map(Environment.realPath))
        return { path in
            let real = Environment.realPath(path)
            let folder = real.lastIndex(of: "/").map { String(real[..<$0]) } ?? ""
            guard !shipped.contains(folder) else { return nil }
            return HandlerTrial(
                path: path, isTrusted: trusted.contains(real), seconds: seconds, diagnostics: diagnostics
            ).run()
        }
    }

    /// Nil when all went well. What the handler said is told only when it did not.
    private func run() -> String? {
        let arguments = ["martlet", Self.verb] + (isTrusted ? ["--trusted"] : []) + ["--", path]
        let child: TrialChild
        switch TrialChild.start(arguments) {
        case .success(let started): child = started
        case .failure(let error):
            return "\(path) is not loaded, because the process for its trial cannot be started: \(error); "
                + "--handler-trial 0 leaves trials out"
        }
        let ending = child.wait(seconds: seconds)
        let report = TrialReport(child.report)
        if report.isTaken { return nil }
        for (severity, message) in report.messages { diagnostics.report(severity, "\(message) (in its trial)") }
        if let sentence = report.refusal { return sentence }
        return "\(path) is not loaded: \(Self.words(ending, seconds: seconds))"
    }

    private static func words(_ ending: TrialChild.Ending, seconds: Int) -> String {
        switch ending {
        case .exit(let status): "its handler_init ended the process of its trial with exit status \(status)"
        case .signal(let number):
            "its handler_init crashed in its trial, by signal \(number)\(name(ofSignal: number))"
        case .timeOut:
            "its handler_init did not return within \(seconds) s in its trial; --handler-trial sets that time"
        }
    }

    private static func name(ofSignal number: Int32) -> String {
        switch number {
        case SIGSEGV: " (SIGSEGV)"
        case SIGBUS: " (SIGBUS)"
        case SIGABRT: " (SIGABRT)"
        case SIGILL: " (SIGILL)"
        case SIGFPE: " (SIGFPE)"
        case SIGKILL: " (SIGKILL)"
        default: ""
        }
    }

    /// The child: loads the handler, reports, and is gone without running what the handler left to be run at exit.
    public static func runChild(_ path: String, isTrusted: Bool) -> Never {
        clinux_begin_child()
        let report = CInt(CLINUX_REPORT_DESCRIPTOR)
        let diagnostics = Diagnostics(threshold: .notice) { severity, message in
            TrialReport.write(.message(severity, message), to: report)
        }
        let registry = HandlerRegistry(diagnostics: diagnostics, trustedFiles: isTrusted ? [path] : [])
        let results = registry.load(file: path)
        if let refusal = results.compactMap(\.refusal).first {
            TrialReport.write(.refusal(refusal), to: report)
        } else {
            TrialReport.write(.taken, to: report)
        }
        _exit(0)
    }
}
