// SPDX-License-Identifier: Apache-2.0

internal import ISCSI
internal import Synchronization

/// What makes a session the same session (RFC 7143 4.4.3.1 and 6.3.5): the initiator port, the target, the group.
package struct SessionName: Hashable, Sendable {
    package let initiatorName: String
    /// The six bytes of the ISID as one number.
    package let isid: UInt64
    package let targetName: String
    /// Each portal group is a target port of its own.
    package let portalGroupTag: UInt16

    package init(initiatorName: String, isid: UInt64, targetName: String, portalGroupTag: UInt16 = 1) {
        self.initiatorName = initiatorName
        self.isid = isid
        self.targetName = targetName
        self.portalGroupTag = portalGroupTag
    }
}

/// The handle by which other loops reach a session.
final class SessionHandle: Sendable {
    let tsih: UInt16
    let loop: CompletionMailbox
    /// What was negotiated when the session was new: a connection that joins it finds it as it was.
    let parameters: SessionParameters
    /// Takes the reason for the log, and whom to tell.
    typealias Termination = @Sendable (String, (@Sendable () -> Void)?) -> Void
    typealias Join = @Sendable (LoginHandover) -> Void

    private struct Actions {
        var terminate: Termination?
        var join: Join?
        var begin: (@Sendable () -> Void)?
    }

    private let actions = Mutex(Actions())

    init(tsih: UInt16, parameters: SessionParameters, loop: CompletionMailbox) {
        self.tsih = tsih
        self.parameters = parameters
        self.loop = loop
    }

    /// In the session's loop, once it lives: how to end it, and how a connection joins it. `terminate` calls back when
    /// nothing of it can touch a medium.
    func attach(_ terminate: @escaping Termination, join: Join? = nil) {
        actions.withLock { $0 = Actions(terminate: terminate, join: join) }
    }

    /// In the loop of a login that waits for the session before it: how to end it, and how it goes on. One of the two is
    /// called, once.
    func attach(waiting terminate: @escaping Termination, begin: @escaping @Sendable () -> Void) {
        actions.withLock { $0 = Actions(terminate: terminate, begin: begin) }
    }

    /// From any loop: the session before it touches no medium any more.
    func predecessorIsQuiet() {
        loop.perform { self.actions.withLock { $0.begin }?() }
    }

    /// The session has ended: nothing is left to be ended, and nothing of it is held any more.
    func detach() { actions.withLock { $0 = Actions() } }

    /// From any loop. `done` is called in the session's loop.
    func terminate(reason: String, _ done: (@Sendable () -> Void)? = nil) {
        loop.perform {
            guard let body = self.actions.withLock({ $0.terminate }) else { return done?() ?? () }
            body(reason, done)
        }
    }

    /// From any loop: the connection of `handover` goes on with its login in the session's loop. When the session has
    /// ended meanwhile, or has not begun, `refuse` is called there instead.
    func join(_ handover: LoginHandover, refuse: @escaping @Sendable (LoginHandover) -> Void) {
        loop.perform {
            guard let body = self.actions.withLock({ $0.join }) else { return refuse(handover) }
            body(handover)
        }
    }
}

/// The sessions of the server by name and by TSIH. What loops share of sessions is only this, and only at login and
/// logout.
final class SessionDirectory: Sendable {
    private struct Entry {
        var handle: SessionHandle
        /// The session that the login of `handle` waits for: it has not ended yet.
        var predecessor: SessionHandle?
    }

    private struct State {
        private(set) var byName: [SessionName: Entry] = [:]
        private(set) var countByTarget: [String: Int] = [:]
        var usedIdentifiers: Set<UInt16> = []
        var lastIdentifier: UInt16 = 0

        mutating func put(_ entry: Entry?, at name: SessionName) {
            let change = (entry == nil ? 0 : 1) - (byName[name] == nil ? 0 : 1)
            byName[name] = entry
            let count = countByTarget[name.targetName, default: 0] + change
            countByTarget[name.targetName] = count > 0 ? count : nil
        }
    }

    enum Claim {
        /// The session is new; the handle is in the directory.
        case fresh(SessionHandle)
        /// It takes the place of `old`, which must end first (RFC 7143 6.3.5).
        case replaces(old: SessionHandle, SessionHandle)
        /// A session of this name is ending, and `waiter` waits to take its place: the login waits in its stead, and
        /// `waiter` is to be told. However often an initiator logs in, one login of a name waits.
        case takesOver(waiter: SessionHandle, SessionHandle)
        /// The connection is to be one more of this session (RFC 7143 6.3.3), or one in place of another (6.3.4).
        case joins(SessionHandle)
        /// A TSIH was named that this initiator port has not (login status 020Ah).
        case doesNotExist
        /// The target has all the sessions that it takes (login status 0302h).
        case tooMany
        /// All 65,535 identifiers are in use (login status 0302h).
        case exhausted
    }

    private let state = Mutex(State())

    /// `tsih` 0 asks for a new session; otherwise the connection is to join the session of that identifier.
    func claim(
        _ name: SessionName, tsih: UInt16, parameters: SessionParameters, loop: CompletionMailbox,
        targetLimit: Int
    ) -> Claim {
        state.withLock { state in
            let old = state.byName[name]
            if tsih != 0 {
                guard let old, old.handle.tsih == tsih else { return .doesNotExist }
                return .joins(old.handle)
            }
            guard old != nil || state.countByTarget[name.targetName, default: 0] < targetLimit else { return .tooMany }
            guard let identifier = Self.nextIdentifier(&state) else { return .exhausted }
            let handle = SessionHandle(tsih: identifier, parameters: parameters, loop: loop)
            guard let old else {
                state.put(Entry(handle: handle), at: name)
                return .fresh(handle)
            }
            state.put(Entry(handle: handle, predecessor: old.predecessor ?? old.handle), at: name)
            guard old.predecessor != nil else { return .replaces(old: old.handle, handle) }
            // Nobody has heard of its identifier, and it will never be a session.
            state.usedIdentifiers.remove(old.handle.tsih)
            return .takesOver(waiter: old.handle, handle)
        }
    }

    /// `old` touches no medium any more: the login that waits to take its place goes on.
    func isQuiet(_ old: SessionHandle, of name: SessionName) {
        let next = state.withLock { state -> SessionHandle? in
            guard let entry = state.byName[name], entry.predecessor === old else { return nil }
            state.put(Entry(handle: entry.handle), at: name)
            return entry.handle
        }
        next?.predecessorIsQuiet()
    }

    /// The sessions of a target, but for one.
    func handles(ofTarget targetName: String, except exempt: SessionHandle) -> [SessionHandle] {
        state.withLock { state in
            state.byName.filter { $0.key.targetName == targetName && $0.value.handle !== exempt }.map(\.value.handle)
        }
    }

    /// An identifier for a discovery session, which takes nobody's place; nil when all are in use.
    func reserve(loop: CompletionMailbox) -> SessionHandle? {
        state.withLock { state in
            Self.nextIdentifier(&state).map {
                SessionHandle(tsih: $0, parameters: SessionParameters(), loop: loop)
            }
        }
    }

    func release(_ discovery: SessionHandle) {
        state.withLock { _ = $0.usedIdentifiers.remove(discovery.tsih) }
    }

    /// The session of `handle` has ended, or was never established.
    func release(_ name: SessionName, _ handle: SessionHandle) {
        state.withLock { state in
            if state.byName[name]?.handle === handle { state.put(nil, at: name) }
            state.usedIdentifiers.remove(handle.tsih)
        }
    }

    private static func nextIdentifier(_ state: inout State) -> UInt16? {
        guard state.usedIdentifiers.count < Int(UInt16.max) else { return nil }
        repeat {
            state.lastIdentifier = state.lastIdentifier &+ 1
        } while state.lastIdentifier == 0 || state.usedIdentifiers.contains(state.lastIdentifier)
        state.usedIdentifiers.insert(state.lastIdentifier)
        return state.lastIdentifier
    }
}
