// SPDX-License-Identifier: Apache-2.0

/// What the keys of a text mean in a login, and what is answered.
extension LoginStateMachine {
    private typealias Name = NegotiationKeys.Name
    private typealias Answer = NegotiationKey.Answer

    /// The answers to a whole text, and what the target tells unasked.
    mutating func answer(_ text: TextParameters, stage: LoginStage) throws(LoginStatus) -> TextParameters {
        if identity == nil { try identify(text) }
        // Whoever must be authenticated cannot begin behind the stage for it.
        guard stage == .securityNegotiation || authenticator == nil || security == .settled else {
            throw .authenticationFailure
        }
        var answers = TextParameters()
        for pair in text.pairs where !isDecidedLast(pair.key) { try answer(pair, stage, into: &answers) }
        for pair in text.pairs where isDecidedLast(pair.key) { try answer(pair, stage, into: &answers) }
        if stage == .securityNegotiation { try answerSecurity(text, into: &answers) }
        declare(stage, into: &answers)
        return answers
    }

    private func isDecidedLast(_ name: String) -> Bool {
        NegotiationKeys.key(name)?.isDecidedLast ?? false
    }

    // MARK: Who and what

    /// The first text names the initiator, the session type and the target (RFC 7143 6.3.1).
    private mutating func identify(_ text: TextParameters) throws(LoginStatus) {
        guard let initiatorName = text[Name.initiatorName] else { throw .missingParameter }
        guard Self.isName(initiatorName) else { throw .initiatorError }
        let kind = try kind(text)
        var targetName: String?
        if case .normal(let name) = kind { targetName = name }
        guard directory.authorizes(initiatorName: initiatorName, targetName: targetName) else {
            throw .authorizationFailure
        }
        // Where a target has gone is told before authentication, but only to those who may use it: the initiator
        // authenticates where it ends.
        if let targetName { try lookUp(targetName) }
        negotiation.isDiscovery = kind == .discovery
        authenticator = directory.authenticator(initiatorName: initiatorName, targetName: targetName)
        identity = Identity(
            initiatorName: initiatorName, initiatorAlias: text[Name.initiatorAlias], kind: kind)
    }

    /// SessionType, and the target of a normal session.
    private mutating func kind(_ text: TextParameters) throws(LoginStatus) -> LoginOutcome.Kind {
        switch text[Name.sessionType] {
        case Self.discovery?:
            return .discovery
        case Self.normal?, nil:
            guard let name = text[Name.targetName] else { throw .missingParameter }
            guard Self.isName(name) else { throw .initiatorError }
            return .normal(targetName: name)
        case _?:
            throw .sessionTypeNotSupported
        }
    }

    // Values of SessionType (RFC 7143 13.21).
    private static let normal = "Normal"
    private static let discovery = "Discovery"

    private mutating func lookUp(_ targetName: String) throws(LoginStatus) {
        switch directory.lookUp(targetName) {
        case .found: return
        case .notFound: throw .notFound
        case .removed: throw .targetRemoved
        case .movedTemporarily(let addresses):
            redirect(to: addresses)
            throw .targetMovedTemporarily
        case .movedPermanently(let addresses):
            redirect(to: addresses)
            throw .targetMovedPermanently
        }
    }

    private mutating func redirect(to addresses: [String]) {
        for address in addresses { redirection.append(Name.targetAddress, address) }
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= nameByteLimit
    }

    // MARK: One key

    private mutating func answer(
        _ pair: TextParameters.Pair, _ stage: LoginStage, into answers: inout TextParameters
    ) throws(LoginStatus) {
        guard let key = NegotiationKeys.key(pair.key) else {
            guard negotiation.settle(pair.key) else { throw .initiatorError }
            // A refusal is not answered: two sides that do not know a key would go on for ever.
            if !Answer.isRefusal(pair.value) { answers.append(pair.key, Answer.notUnderstood) }
            return
        }
        if case .ofTarget = key.rule {
            // What the initiator may say to a key of ours is that it cannot use it.
            guard Answer.isRefusal(pair.value) else { throw .initiatorError }
            return
        }
        let phase: Negotiation.Phase =
            stage == .securityNegotiation ? .securityNegotiation : .operationalNegotiation
        guard key.sender != .target, Negotiation.allows(key, in: phase, isLeading: isLeading) else {
            throw .initiatorError
        }
        // The keys of an authentication may come again and again; AuthMethod is its authenticator's affair too.
        if case .authentication = key.rule { return }
        guard negotiation.settle(key.name) else { throw .initiatorError }
        if case .declaredText = key.rule { return try hear(pair) }
        guard let answer = negotiation.answer(key, pair.value) else { return }
        // A declaration cannot be answered: our own of the same name would stand beside the answer.
        if case .declaredNumber = key.rule { throw .initiatorError }
        answers.append(key.name, answer)
    }

    /// Names are told once, with the first text; an alias may come later.
    private mutating func hear(_ pair: TextParameters.Pair) throws(LoginStatus) {
        guard let identity else { return }
        switch (pair.key, identity.kind) {
        case (Name.initiatorName, _):
            guard pair.value == identity.initiatorName else { throw .initiatorError }
        case (Name.targetName, .normal(let targetName)):
            guard pair.value == targetName else { throw .initiatorError }
        case (Name.sessionType, let kind):
            guard pair.value == (kind == .discovery ? Self.discovery : Self.normal) else { throw .initiatorError }
        case (Name.initiatorAlias, _):
            self.identity?.initiatorAlias = pair.value
        default:
            // A discovery session may name a target; it has no say.
            return
        }
    }

    // MARK: Security

    /// AuthMethod, and the keys of the method that was chosen (RFC 7143 12).
    private mutating func answerSecurity(
        _ text: TextParameters, into answers: inout TextParameters
    ) throws(LoginStatus) {
        let own = text.pairs.filter { Self.isAuthentication($0.key) && $0.key != Name.authMethod }
        if let methods = text[Name.authMethod] {
            guard security == .open else { throw .initiatorError }
            guard own.isEmpty else { throw .initiatorError }
            let wanted = authenticator?.method ?? Answer.none
            guard let choice = Negotiation.choose(methods, from: [wanted]) else { throw .authenticationFailure }
            answers.append(Name.authMethod, choice)
            security = authenticator == nil ? .settled : .authenticating
            return
        }
        guard security == .authenticating else {
            guard own.isEmpty else { throw .initiatorError }
            return
        }
        guard !own.isEmpty else { return }
        switch authenticator?.receive(TextParameters(own)) {
        case .respond(let reply)?:
            for pair in reply.pairs { answers.append(pair.key, pair.value) }
        case .succeed(let reply)?:
            for pair in reply.pairs { answers.append(pair.key, pair.value) }
            security = .settled
        case .fail(let fault)?:
            authenticationFault = fault
            throw fault.status
        case nil:
            throw .authenticationFailure
        }
    }

    private static func isAuthentication(_ name: String) -> Bool {
        guard let key = NegotiationKeys.key(name), case .authentication = key.rule else { return false }
        return true
    }

    // MARK: What the target tells

    private mutating func declare(_ stage: LoginStage, into answers: inout TextParameters) {
        if !hasDeclaredItself, case .normal(let targetName)? = identity?.kind {
            // In the first response of a normal session (RFC 7143 13.9).
            hasDeclaredItself = true
            answers.append(Name.targetPortalGroupTag, String(portalGroupTag))
            if let alias = directory.alias(of: targetName) { answers.append(Name.targetAlias, alias) }
        }
        if !hasDeclaredSegmentLength, stage == .loginOperationalNegotiation {
            hasDeclaredSegmentLength = true
            let byteCount = negotiation.local.maxReceiveDataSegmentLength
            answers.append(Name.maxRecvDataSegmentLength, String(byteCount))
            negotiation.parameters.maxReceiveDataSegmentLength = byteCount
        }
    }
}
