// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// What a live change has meant for sessions.
public struct ServedChange: Sendable, Equatable {
    /// Sessions that see other logical units than before.
    public var changedSessionCount = 0
    /// Sessions that had to go.
    public var endedSessionCount = 0

    public init() {}
}

extension ISCSIServer {
    /// A turn of a loop that is busy with everything at once.
    private static let loopMilliseconds: UInt64 = 10_000

    /// Follows other rules from now on: logins and discovery at once, sessions when this returns. Those that may stay see
    /// their new logical units, the others end. Blocks for as long as a turn of the busiest loop takes; commands of
    /// units that are gone may still be under way (`LogicalUnit.whenUnattached`). One change at a time.
    ///
    /// The targets must have been given their new maps before.
    public func replaceServed(by served: ServedTargets) -> ServedChange {
        replaceState(by: served)
        let sum = Mutex(ServedChange())
        performOnEveryLoop(waitingMilliseconds: Self.loopMilliseconds) { context in
            let change = context.followServed()
            sum.withLock {
                $0.changedSessionCount += change.changedSessionCount
                $0.endedSessionCount += change.endedSessionCount
            }
        }
        return sum.withLock { $0 }
    }
}

extension LoopContext {
    private static let reason = "the configuration no longer lets it use the target"

    /// The sessions of this loop follow what is served now.
    func followServed() -> ServedChange {
        let served = server.served
        var change = ServedChange()
        var seen: Set<ObjectIdentifier> = []
        for connection in openConnections {
            guard let visitor = connection.visitor else { continue }
            guard let session = connection.session else {
                if connection.phase == .fullFeature, !served.policy.discoveryDecision(for: visitor).isAllowed {
                    change.endedSessionCount += 1
                    connection.close(reason: "the configuration no longer lets it ask for targets")
                }
                continue
            }
            guard let grant = served.grant(visitor, targetName: session.name.targetName) else {
                if seen.insert(ObjectIdentifier(session)).inserted { change.endedSessionCount += 1 }
                session.handle.terminate(reason: Self.reason)
                continue
            }
            guard seen.insert(ObjectIdentifier(session)).inserted, session.view != grant.view else { continue }
            change.changedSessionCount += 1
            session.change(to: grant)
        }
        // Sessions that wait for a connection keep nothing that they may not have.
        for session in waitingSessions {
            guard let visitor = session.visitor else { continue }
            guard let grant = served.grant(visitor, targetName: session.name.targetName) else {
                change.endedSessionCount += 1
                session.handle.terminate(reason: Self.reason)
                continue
            }
            guard session.view != grant.view else { continue }
            change.changedSessionCount += 1
            session.change(to: grant)
        }
        return change
    }
}
