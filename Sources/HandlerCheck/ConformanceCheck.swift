// SPDX-License-Identifier: Apache-2.0

internal import CHandlerCheck
internal import CLinux
internal import HandlerHost

/// What to check, and how.
public struct CheckOptions: Sendable {
    public var handlerPath: String
    /// `subtype/rest`. What the store holds is overwritten.
    public var config: String
    public var secondConfig: String?
    public var byteCount: UInt64?
    public var blockByteCount: Int?
    public var seed: UInt64
    /// For one case.
    public var timeoutSeconds = 30
    /// Names of cases; none: all.
    public var only: [String] = []
    public var isQuick = false

    public init(handlerPath: String, config: String, seed: UInt64) {
        self.handlerPath = handlerPath
        self.config = config
        self.seed = seed
    }

    /// Every case with its title.
    public static var cases: [(name: String, title: String)] { ConformanceCase.all.map { ($0.name, $0.title) } }
}

/// Runs the cases, each in a child, and puts together what they say.
public struct ConformanceCheck {
    private let options: CheckOptions
    private let executable: String
    private let progress: (String, Int, Int) -> Void
    private let sanitizer: Sanitizer?

    private var report: CheckReport
    private var patienceMilliseconds: Int
    /// Findings for cases other than the one that ran.
    private var forOthers: [(owner: String, finding: CheckReport.Finding)] = []
    /// Why no case needs to be tried any more.
    private var obstacle: String?

    /// - Parameters:
    ///   - executable: this program: it is run again for each case.
    ///   - progress: told before each case: its name, its number, and how many there are.
    public init(_ options: CheckOptions, executable: String, progress: @escaping (String, Int, Int) -> Void) {
        self.options = options
        self.executable = executable
        self.progress = progress
        sanitizer = Sanitizer(of: options.handlerPath)
        // Half of the case's time, so that what is lost is told by the child, not by the clock.
        patienceMilliseconds = options.timeoutSeconds * 500
        report = CheckReport(
            passed: false, handler: .init(path: options.handlerPath), config: options.config, seed: options.seed,
            seconds: 0, counts: .init(), cases: [])
    }

    public mutating func run() -> CheckReport {
        let begin = clinux_monotonic_nanoseconds()
        let wanted = ConformanceCase.all.filter { options.only.isEmpty || options.only.contains($0.name) }
        for (index, each) in wanted.enumerated() {
            progress(each.name, index + 1, wanted.count)
            report.cases.append(obstacle.map { skipped(each, $0) } ?? run(each))
        }
        attribute()
        for each in report.cases {
            switch each.result {
            case .passed: report.counts.passed += 1
            case .failed: report.counts.failed += 1
            case .skipped: report.counts.skipped += 1
            }
        }
        report.passed = report.counts.failed == 0
        report.seconds = Self.seconds(since: begin)
        return report
    }

    private func skipped(_ each: ConformanceCase, _ reason: String) -> CheckReport.CaseReport {
        CheckReport.CaseReport(name: each.name, title: each.title, result: .skipped, seconds: 0, reason: reason)
    }

    private static func seconds(since begin: UInt64) -> Double {
        (Double(clinux_monotonic_nanoseconds() - begin) / 1e7).rounded() / 100
    }

    // --- One case

    private mutating func run(_ each: ConformanceCase) -> CheckReport.CaseReport {
        let begin = clinux_monotonic_nanoseconds()
        var outcome = CaseOutcome()
        var stage = 0
        repeat {
            outcome.goesOn = false
            outcome.add(runChild(each, stage: stage))
            stage += 1
        } while outcome.goesOn && stage < 3
        takeFacts(outcome)
        var result = judge(each, outcome)
        result.seconds = Self.seconds(since: begin)
        return result
    }

    private func request(_ each: ConformanceCase, _ stage: Int) -> CaseRequest {
        var request = CaseRequest(
            name: each.name, handlerPath: options.handlerPath, config: options.config, seed: options.seed,
            patienceMilliseconds: patienceMilliseconds, isQuick: options.isQuick)
        request.stage = stage
        request.secondConfig = options.secondConfig
        request.byteCount = options.byteCount
        request.blockByteCount = options.blockByteCount
        request.isSanitized = sanitizer != nil
        return request
    }

    private func runChild(_ each: ConformanceCase, stage: Int) -> ChildOutcome {
        let seconds = options.timeoutSeconds * (sanitizer == nil ? 1 : 4)
        return ChildOutcome.run(
            [executable] + request(each, stage).arguments, variables: sanitizer?.variables ?? [],
            milliseconds: seconds * 1000)
    }

    private mutating func takeFacts(_ outcome: CaseOutcome) {
        for (key, value) in outcome.facts {
            switch key {
            case "subtype": report.handler.subtype = value
            case "name": report.handler.name = value
            case "threads": report.handler.threads = Int(value)
            case "abi": report.handler.abi = value
            case "takesOnlyCDBs": report.handler.takesOnlyCDBs = value == "true"
            case "size": report.size = report.size ?? UInt64(value)
            case "blockSize": report.blockSize = report.blockSize ?? Int(value)
            default: break
            }
        }
    }

    private mutating func judge(_ each: ConformanceCase, _ outcome: CaseOutcome) -> CheckReport.CaseReport {
        var result = CheckReport.CaseReport(name: each.name, title: each.title, result: .passed, seconds: 0)
        result.notes = outcome.notes
        if let reason = outcome.skipReason {
            result.result = .skipped
            result.reason = reason
        }
        for (rule, seen) in outcome.findings { add(rule, seen, to: &result) }
        if let blocked = outcome.blocked {
            add(blocked.rule, blocked.seen, to: &result)
            stopAt(blocked.rule, blocked.seen, &result)
        }
        if let death = outcome.death {
            if each.isBeyondContract {
                result.notes.append("the process \(death.words); no host asks for that")
            } else {
                let rule = death.rule
                add(rule, "the process \(death.words) \(death.place)", to: &result)
                stopAt(rule, death.words, &result)
            }
        }
        if outcome.outputByteCount > 0 {
            add(
                "manners.output", "\(outcome.outputByteCount) byte(s), beginning with \"\(outcome.outputHead)\"",
                to: &result)
        }
        for words in sanitizer?.findings(in: outcome.errors) ?? [] { add("sanitizer", words, to: &result) }
        if result.result == .failed { result.messages = outcome.messages }
        return result
    }

    /// Counts a finding for the case that answers for its rule.
    private mutating func add(_ identifier: String, _ seen: String, to result: inout CheckReport.CaseReport) {
        guard let rule = ContractRule.named(identifier) else { return }
        let finding = CheckReport.Finding(
            rule: rule.identifier, seen: seen, contract: rule.sentence, document: rule.place, during: result.name)
        let isThere = rule.owner.map { owner in options.only.isEmpty || options.only.contains(owner) } ?? false
        if let owner = rule.owner, owner != result.name, isThere {
            forOthers.append((owner, finding))
        } else {
            result.findings.append(finding)
            result.result = .failed
            result.reason = nil
        }
    }

    /// What a case could not go on from says something of the cases to come, too.
    private mutating func stopAt(_ rule: String, _ seen: String, _ result: inout CheckReport.CaseReport) {
        if result.result != .failed, rule != "life.close" {
            result.result = .skipped
            result.reason = "it could not be finished: \(seen)"
        }
        switch rule {
        case "load.accepted", "load.init": obstacle = "the handler cannot be loaded"
        case "life.open" where result.name == "life.rounds": obstacle = "the store cannot be opened"
        case "attributes.sane": obstacle = "the device has no sane size"
        case "completion.always":
            // It is established: later cases need not wait as long to meet it again.
            patienceMilliseconds = min(patienceMilliseconds, 2000)
        default: break
        }
    }

    private mutating func attribute() {
        for (owner, finding) in forOthers {
            guard let index = report.cases.firstIndex(where: { $0.name == owner }) else { continue }
            report.cases[index].result = .failed
            report.cases[index].reason = nil
            if report.cases[index].findings.count < Self.findingLimit { report.cases[index].findings.append(finding) }
        }
    }

    /// Findings of one case that are told.
    private static let findingLimit = 6
}
