// SPDX-License-Identifier: Apache-2.0

public import ISCSI
internal import Logging
public import Transport

/// The policies of a whole configuration, with their secrets as they were when they were read.
public struct AuthenticationPolicies: Sendable {
    /// By target name; a target that asks for no authentication is not here.
    public private(set) var targets: [String: CHAPPolicy] = [:]
    /// By target name and position of the rule, for rules that ask for authentication by themselves.
    public private(set) var rules: [String: [Int: CHAPPolicy]] = [:]
    public private(set) var discovery: CHAPPolicy?

    /// Reads every secret. `warn` takes whole sentences.
    public static func load(
        _ configuration: Configuration, loader: PolicyLoader = PolicyLoader(), warn: (String) -> Void
    ) throws(Failure) -> AuthenticationPolicies {
        var loader = loader
        var policies = AuthenticationPolicies()
        for target in configuration.targets {
            if let auth = target.auth { policies.targets[target.name] = try loader.policy(auth) }
            for (index, auth) in target.ruleAuths.sorted(by: { $0.key < $1.key }) {
                policies.rules[target.name, default: [:]][index] = try loader.policy(auth)
            }
        }
        if let auth = configuration.discoveryAuth { policies.discovery = try loader.policy(auth) }
        for warning in loader.warnings { warn(warning) }
        return policies
    }

    static func load(_ configuration: Configuration, logger: Logger) throws(Failure) -> AuthenticationPolicies {
        try load(configuration) { logger.warning("\($0)") }
    }
}

extension Configuration {
    /// Who may log in to what, and how they prove who they are. `authentication` is what was loaded of this
    /// configuration; nil: for those who only ask what would be, without any secret. No server may follow that.
    public func policy(_ authentication: AuthenticationPolicies?) -> AccessPolicy {
        var policy = AccessPolicy(targets: targets.map { $0.access(authentication) })
        policy.discovery = discovery
        policy.discoveryAuthentication = Self.demand(discoveryAuth, authentication?.discovery)
        for (position, portal) in portals.enumerated() {
            policy.portalRedirections[PortalIndex(position)] = portal.redirection
        }
        return policy
    }

    fileprivate static func demand(
        _ settings: AuthenticationSettings?, _ policy: CHAPPolicy?
    ) -> AuthenticationDemand {
        AuthenticationDemand(policy: policy, summary: settings?.summary ?? AuthenticationDemand.none.summary)
    }
}

extension Configuration.Target {
    fileprivate func access(_ authentication: AuthenticationPolicies?) -> TargetAccess {
        var access = access
        access.authentication = Configuration.demand(auth, authentication?.targets[name])
        for (index, settings) in ruleAuths {
            access.list.rules[index].authentication = Configuration.demand(
                settings, authentication?.rules[name]?[index])
        }
        return access
    }
}

extension AuthenticationSettings {
    /// For people: who may prove what, and nothing that is secret.
    var summary: String {
        guard asksForAuthentication else { return AuthenticationDemand.none.summary }
        var words = users.count == 1 ? "CHAP as \(users[0].user)" : "CHAP as one of \(users.count) users"
        if let mutual { words += ", mutual as \(mutual.user)" }
        if let minimumAlgorithm { words += ", \(minimumAlgorithm.name) at least" }
        return words
    }
}
