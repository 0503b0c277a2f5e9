// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import HandlerHost
internal import Logging
internal import Synchronization
internal import TargetCore
internal import Transport

/// Changes while the server runs: all of a change or nothing of it.
extension RunningServer: ConfigurationControl {
    /// With their real ports.
    private var servedPortals: [ServedPortal] {
        let settings = live.withLock { $0.configuration.portals }
        return zip(portals, settings).map { ServedPortal(bound: $0, settings: $1.settings) }
    }

    var exposureWarnings: [String] {
        Exposure.warnings(live.withLock { $0.policy }, portals: servedPortals)
    }

    func explain(_ question: ExplainQuestion) throws(Failure) -> ExplainReport {
        try Explanation(
            policy: live.withLock { $0.policy }, portals: servedPortals,
            readOnlyDevices: Set(assembly.devices.filter(\.unit.features.isReadOnly).map(\.name))
        ).report(question)
    }

    func apply(text: String, file: String, isPlan: Bool) async throws(Failure) -> ApplyReport {
        try await inTurn { [self] () throws(Failure) in
            try follow(try options.configuration(text: text, file: file), isPlan: isPlan)
        }
    }

    /// The file of `--config`, as it is now.
    func reload() async throws(Failure) -> ApplyReport {
        try await inTurn { [self] () throws(Failure) in try follow(try options.configuration(), isPlan: false) }
    }

    func change(_ change: LUNChange) async throws(Failure) -> ApplyReport {
        try await inTurn { [self] () throws(Failure) in
            let now = live.withLock { $0.configuration }
            if case .resize(let byteCount) = change.action { return try resize(change, to: byteCount, now) }
            return try follow(try change.applied(to: now), isPlan: false)
        }
    }

    /// One change at a time, on a thread that may wait.
    private func inTurn(
        _ body: @escaping @Sendable () throws(Failure) -> ApplyReport
    ) async throws(Failure) -> ApplyReport {
        let result: Result<ApplyReport, Failure> = await withCheckedContinuation { continuation in
            changes.async {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    // MARK: Another configuration

    private func follow(_ configuration: Configuration, isPlan: Bool) throws(Failure) -> ApplyReport {
        let now = live.withLock { $0 }
        let plan = ConfigurationPlan(from: now.configuration, to: configuration)
        guard plan.refusals.isEmpty else { throw .usage(plan.refusals.joined(separator: "; ")) }
        for warning in configuration.warnings { logger.warning("\(warning)") }
        // Secrets are read even where nothing else has changed: what is in their files may have.
        let authentication = try AuthenticationPolicies.load(configuration, logger: logger)
        let policy = configuration.policy(authentication)
        var report = ApplyReport()
        report.steps = plan.steps
        if plan.steps.isEmpty, policy != now.policy { report.steps = ["~ secrets"] }
        report.sessions = concerned(from: now.policy, to: policy)
        if isPlan { return report }
        let opened = try assembly.openMissing(configuration)
        // Nothing can fail from here on.
        Self.watch(opened, server)
        assembly.follow(configuration, opened: opened)
        statistics.follow(configuration.seenUnits)
        let change = server.replaceServed(
            by: ServedTargets(policy: policy, targets: assembly.targets, units: assembly.units))
        report.changedSessions = change.changedSessionCount
        report.endedSessions = change.endedSessionCount
        report.isApplied = true
        _ = assembly.retire(configuration)
        let luns = Self.luns(configuration, assembly, portal: portals.first ?? Configuration.defaultPortal)
        live.withLock { $0 = Live(configuration: configuration, policy: policy, luns: luns) }
        registerAgain(configuration)
        for step in report.steps { logger.notice("changed: \(step)") }
        for warning in exposureWarnings { logger.warning("\(warning)") }
        return report
    }

    /// What a change means for the sessions that there are.
    private func concerned(from old: AccessPolicy, to new: AccessPolicy) -> [String] {
        server.snapshot().sessions.compactMap { session in
            guard let visitor = session.visitor, let name = session.targetName else { return nil }
            let words = "session of \(session.initiatorName) to \(name)"
            guard let target = new.target(name) else { return "\(words) ends: the target is gone" }
            let decision = target.decision(for: visitor)
            guard decision.isAllowed else { return "\(words) ends: \(target.words(for: decision))" }
            let before = old.target(name).map { $0.luns(by: $0.decision(for: visitor)) }
            return before == target.luns(by: decision) ? nil : "\(words) sees other LUNs"
        }
    }

    // MARK: A device's size

    private func resize(
        _ change: LUNChange, to byteCount: UInt64, _ configuration: Configuration
    ) throws(Failure) -> ApplyReport {
        let name = try change.device(in: configuration)
        guard let device = assembly.devices.first(where: { $0.name == name }) else {
            throw .runTime("the device \(name) is not open: try again")
        }
        guard device.tuples == nil else {
            throw .usage("the device \(name) has protection information, whose file has the size of now: it stays")
        }
        let before = device.device.blockCount * UInt64(device.device.blockByteCount)
        guard byteCount >= before else {
            throw .usage(
                "the device \(name) has \(before) bytes, and \(byteCount) would cut off data: only larger sizes are set"
            )
        }
        do throws(HandlerDeviceError) {
            try device.device.resize(byteCount: byteCount)
        } catch {
            throw Failure(.runTime, "\(error)")
        }
        live.withLock { live in
            for index in live.configuration.devices.indices where live.configuration.devices[index].name == name {
                live.configuration.devices[index].settings.byteCount = byteCount
            }
        }
        var report = ApplyReport()
        report.isApplied = true
        report.steps = ["~ device \(name): \(byteCount) bytes instead of \(before)"]
        return report
    }
}
