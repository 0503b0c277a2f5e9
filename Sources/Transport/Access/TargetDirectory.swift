// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import TargetCore

/// What the login machine of one connection asks of the server's targets and rules. It keeps to those that were in
/// force when the login began.
struct TargetDirectory: LoginDirectory {
    let server: ServerState
    private(set) var served: ServedTargets
    let portal: PortalIndex
    let peer: PortalAddress?

    init(server: ServerState, portal: PortalIndex, peer: PortalAddress?) {
        self.server = server
        self.portal = portal
        self.peer = peer
        served = server.served
    }

    func visitor(_ initiatorName: String) -> Visitor {
        server.visitor(initiatorName, peer: peer, portal: portal)
    }

    /// A target that this portal does not show is not there for who comes to it. The portal's own redirection is for
    /// every target, of discovery sessions for none: they are not asked here.
    func lookUp(_ targetName: String) -> TargetLookup {
        let visitor = visitor("")
        guard let target = served.policy.target(targetName), target.isShown(atTag: visitor.portalGroupTag) else {
            return .notFound
        }
        guard let redirection = served.policy.redirection(for: visitor, target: targetName) else { return .found }
        return redirection.isPermanent
            ? .movedPermanently(addresses: redirection.addresses)
            : .movedTemporarily(addresses: redirection.addresses)
    }

    /// Of targets that are not there `lookUp` tells.
    func authorizes(initiatorName: String, targetName: String?) -> Bool {
        let visitor = visitor(initiatorName)
        guard let targetName else {
            let decision = served.policy.discoveryDecision(for: visitor)
            if !decision.isAllowed {
                refuse(visitor, "ask for the targets", served.policy.discovery.words(for: decision))
            }
            return decision.isAllowed
        }
        guard let target = served.policy.target(targetName), target.isShown(atTag: visitor.portalGroupTag) else {
            return true
        }
        let decision = target.decision(for: visitor)
        if !decision.isAllowed { refuse(visitor, "log in to \(targetName)", target.words(for: decision)) }
        return decision.isAllowed
    }

    func authenticator(initiatorName: String, targetName: String?) -> (any Authenticator)? {
        let demand = served.policy.demand(on: visitor(initiatorName), targetName: targetName)
        return demand?.policy.map { server.authentication.limit($0.makeAuthenticator(), peer: peer) }
    }

    /// Which rule it was is for the operator alone: the initiator is told the login status.
    private func refuse(_ visitor: Visitor, _ what: String, _ why: String) {
        server.diagnostics.report(
            .notice,
            "\(visitor.initiatorName) from \(peer?.description ?? "unknown") may not \(what): \(why)")
    }

    // MARK: When the login ends

    /// The rules that are in force by now, for the session that is about to be made: they may have been changed while
    /// the login went on, and what changes from here on the session is told. A login that began under other demands of
    /// authentication is to be tried again.
    mutating func catchUp(_ outcome: LoginOutcome) -> LoginStatus {
        let before = served.policy
        let now = server.served
        if now === served { return .success }
        served = now
        let visitor = visitor(outcome.initiatorName)
        let isAllowed: Bool
        var targetName: String?
        switch outcome.kind {
        case .discovery: isAllowed = now.policy.discoveryDecision(for: visitor).isAllowed
        case .normal(let name):
            targetName = name
            guard now.policy.target(name) != nil else { return .notFound }
            isAllowed = now.policy.decision(for: visitor, target: name).isAllowed
        }
        guard isAllowed else { return .authorizationFailure }
        let isSame =
            before.demand(on: visitor, targetName: targetName) == now.policy.demand(on: visitor, targetName: targetName)
        return isSame ? .success : .serviceUnavailable
    }
}

extension TargetDirectory {
    /// What the session of a login that has ended well may use.
    func grant(_ outcome: LoginOutcome, targetName: String) -> AccessGrant? {
        served.grant(visitor(outcome.initiatorName), targetName: targetName)
    }
}

extension ServerState {
    func visitor(_ initiatorName: String, peer: PortalAddress?, portal: PortalIndex) -> Visitor {
        Visitor(
            initiatorName: initiatorName, address: peer.flatMap { IPAddress(host: $0.host) }, portal: portal,
            portalGroupTag: portalGroupTag(of: portal))
    }
}
