// SPDX-License-Identifier: Apache-2.0

/// What the server answers.
extension ISNSClientMachine {
    mutating func received(_ message: ISNSMessage) -> [Action] {
        // An answer that came too late, or to nothing.
        guard message.transaction == transaction else { return [] }
        let status: ISNSStatus
        let attributes: [ISNSAttribute]
        do throws(ISNSError) {
            (status, attributes) = try message.result()
        } catch {
            return unreadable(error)
        }
        switch (state, message.knownFunction) {
        case (.registering, .devAttrRegRsp): return registrationAnswered(status, attributes)
        case (.subscribing, .scnRegRsp): return subscriptionAnswered(status)
        case (.refreshing, .devAttrQryRsp): return queryAnswered(status, attributes)
        case (.refreshing, .devAttrRegRsp): return refreshAnswered(status, attributes)
        case (.withdrawing, .devDeregRsp):
            return end(status == .successful ? .deregistered : .notDeregistered("it refused: \(status)"))
        case (.idle, _), (.connecting, _), (.waiting, _), (.registering, _), (.subscribing, _), (.registered, _),
            (.refreshing, _), (.withdrawing, _), (.ended, _):
            return []
        }
    }

    private mutating func unreadable(_ error: ISNSError) -> [Action] {
        switch state {
        case .registering, .subscribing, .refreshing:
            [.disconnect] + retryLater("its answer cannot be read: \(error)")
        case .withdrawing: end(.notDeregistered("its answer cannot be read: \(error)"))
        case .idle, .connecting, .waiting, .registered, .ended: []
        }
    }

    private mutating func registrationAnswered(_ status: ISNSStatus, _ attributes: [ISNSAttribute]) -> [Action] {
        guard status == .successful else { return refused(.devAttrReg, status) }
        guard let registration else { return [] }
        refusal = nil
        retryMilliseconds = Self.firstRetryMilliseconds
        periodSeconds = registration.periodSeconds
        notePeriod(attributes)
        let report = Action.report(
            .registered(
                entity: registration.entity, targets: registration.targets.count, portals: registration.portals.count,
                periodSeconds: periodSeconds))
        subscriptions = registration.canSubscribe ? registration.targets : []
        return [report] + subscribeNext()
    }

    /// The server has the last word on the period.
    private mutating func notePeriod(_ attributes: [ISNSAttribute]) {
        let granted = attributes.last { $0.tag == ISNSTag.registrationPeriod }?.number
        if let granted, granted > 0 { periodSeconds = granted }
    }

    private mutating func subscribeNext() -> [Action] {
        if isOutdated, let pending { return register(pending) }
        guard let registration, !subscriptions.isEmpty else { return settle() }
        state = .subscribing
        let target = subscriptions[0]
        return request(registration.subscribeRequest(transaction: nextTransaction(), target: target))
    }

    /// Refused: the registration holds all the same, and what the first target is refused all are.
    private mutating func subscriptionAnswered(_ status: ISNSStatus) -> [Action] {
        guard let target = subscriptions.first else { return settle() }
        guard status == .successful else {
            subscriptions = []
            return [.report(.subscriptionRefused(target: target, status))] + subscribeNext()
        }
        subscriptions.removeFirst()
        return subscribeNext()
    }

    /// All is said; until the next refresh.
    private mutating func settle() -> [Action] {
        if isOutdated, let pending { return register(pending) }
        state = .registered
        let part = UInt64(periodSeconds) * 1000 / Self.refreshesPerPeriod
        return [
            .startTimer(
                milliseconds: min(max(part, Self.shortestRefreshMilliseconds), Self.longestRefreshMilliseconds))
        ]
    }

    private mutating func queryAnswered(_ status: ISNSStatus, _ attributes: [ISNSAttribute]) -> [Action] {
        let isThere = attributes.contains { $0.tag == ISNSTag.entityIdentifier && !$0.value.isEmpty }
        if status == .successful && isThere {
            isUnproven = false
            notePeriod(attributes)
            return settle()
        }
        if isUnproven {
            // Just registered, and not to be seen: it is hidden from us, as discovery domains may have it.
            refreshesByRegistering = true
            return settle()
        }
        return forgotten(status == .successful ? .noSuchEntry : status)
    }

    private mutating func refreshAnswered(_ status: ISNSStatus, _ attributes: [ISNSAttribute]) -> [Action] {
        guard status == .successful else { return forgotten(status) }
        notePeriod(attributes)
        return settle()
    }

    /// Everything is registered again, as it is by now.
    private mutating func forgotten(_ status: ISNSStatus) -> [Action] {
        guard let registration = pending ?? registration else { return [] }
        return [.report(.forgotten(status))] + register(registration)
    }

    private mutating func refused(_ function: ISNSFunction, _ status: ISNSStatus) -> [Action] {
        refusal = status
        return [.disconnect] + wait(.refused(function, status, retryMilliseconds: retryMilliseconds))
    }
}
