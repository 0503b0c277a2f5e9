// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import CLinux
internal import HandlerHost
internal import TargetCore

/// The child: loads the handler, runs one case, closes what is open, ends.
public enum CaseProcess {
    /// Descriptor of the lines for the parent.
    private static let reportDescriptor: Int32 = 3

    /// For how long a completion that comes too late is waited for.
    static let lingerMilliseconds: UInt64 = 300

    public static func run(_ request: CaseRequest) -> Never {
        check_report_to(reportDescriptor, !request.isSanitized)
        guard let each = ConformanceCase.named(request.name) else { exit(2) }
        MannersCases.noteProcessState()
        CaseRun.say(step: .load)
        guard let handler = load(request) else { _exit(0) }
        CaseRun.say(step: .body)
        let run = CaseRun(request, handler)
        do {
            try each.body(run)
        } catch CaseStop.skip(let reason) {
            CaseRun.say(.skip, reason)
        } catch CaseStop.blocked(let rule, let seen) {
            // A command may be under way: nothing can be closed.
            CaseRun.say(.blocked, seen, rule: rule)
            reportIncidents(run)
            _exit(0)
        } catch {
            CaseRun.say(.blocked, "\(error)", rule: "life.open")
            _exit(0)
        }
        CaseRun.say(.verdict)
        for place in 0..<Int32(CHECK_DEVICE_LIMIT) { run.close(place) }
        reportIncidents(run)
        CaseRun.say(step: .exit)
        CaseRun.say(.done)
        exit(0)
    }

    private static func load(_ request: CaseRequest) -> Handler? {
        let diagnostics = Diagnostics(threshold: .info) { _, message in CaseRun.say(.said, message) }
        let subtype = String(request.config.prefix { $0 != "/" })
        do throws(HandlerRefusal) {
            let handlers = try HandlerInspection.load(request.handlerPath, diagnostics: diagnostics)
            guard let handler = handlers.first(where: { $0.subtype == subtype }) else {
                let names = handlers.map(\.subtype).joined(separator: ", ")
                CaseRun.say(
                    .blocked, "it registered \(names), and the configuration string begins with \(subtype)/",
                    rule: "load.accepted")
                return nil
            }
            CaseRun.say(.fact, handler.subtype, rule: "subtype")
            CaseRun.say(.fact, handler.name, rule: "name")
            CaseRun.say(.fact, "\(handler.threadCount)", rule: "threads")
            CaseRun.say(.fact, handler.abi, rule: "abi")
            CaseRun.say(.fact, "\(handler.takesOnlyCDBs)", rule: "takesOnlyCDBs")
            return handler
        } catch {
            CaseRun.say(.blocked, error.description, rule: "load.accepted")
            return nil
        }
    }

    /// What the handler did besides answering, by the rule that it breaks.
    private static let incidents: [(check_incident, rule: String, words: String)] = [
        (CHECK_COMPLETED_TWICE, "completion.once", "completed a second time"),
        (CHECK_COMPLETED_AFTER_CLOSE, "completion.late", "completed after close"),
        (
            CHECK_COMPLETED_NOT_ITS_OWN, "completion.once",
            "completed with tcmur_cmd_complete although its return value is its end"
        ),
        (CHECK_COMPLETED_AND_FAILED, "completion.once", "completed, and the callout also returned a status for it"),
        (CHECK_COMPLETED_OTHER_DEVICE, "completion.named", "completed for another device"),
        (CHECK_COMPLETED_NO_COMMAND, "completion.named", "completed"),
    ]

    private static func reportIncidents(_ run: CaseRun) {
        for (incident, rule, words) in incidents {
            let count = check_incident_count(incident)
            guard count > 0 else { continue }
            run.finding(rule, "\(count) command(s) \(words): \(incidentText(incident))")
        }
    }

    private static func incidentText(_ incident: check_incident) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { room in
            // Written with its NUL, within the room.
            unsafe check_incident_text(incident, room.baseAddress!, room.count)
            return unsafe String(cString: room.baseAddress!)
        }
    }
}
