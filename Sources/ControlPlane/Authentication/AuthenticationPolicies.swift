// SPDX-License-Identifier: Apache-2.0

public import ISCSI
internal import Logging

/// The policies of a whole configuration, with their secrets as they were when they were read.
public struct AuthenticationPolicies: Sendable {
    /// By target name; a target that asks for no authentication is not here.
    public private(set) var targets: [String: CHAPPolicy] = [:]
    public private(set) var discovery: CHAPPolicy?

    /// Reads every secret. `warn` takes whole sentences.
    public static func load(
        _ configuration: Configuration, loader: PolicyLoader = PolicyLoader(), warn: (String) -> Void
    ) throws(Failure) -> AuthenticationPolicies {
        var loader = loader
        var policies = AuthenticationPolicies()
        for target in configuration.targets {
            if let auth = target.auth { policies.targets[target.name] = try loader.policy(auth) }
        }
        if let auth = configuration.discoveryAuth { policies.discovery = try loader.policy(auth) }
        for warning in loader.warnings { warn(warning) }
        return policies
    }

    static func load(_ configuration: Configuration, logger: Logger) throws(Failure) -> AuthenticationPolicies {
        try load(configuration) { logger.warning("\($0)") }
    }
}
