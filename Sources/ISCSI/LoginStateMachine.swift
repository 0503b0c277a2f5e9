// SPDX-License-Identifier: Apache-2.0

/// The login phase of one connection, the target's side (RFC 7143 6.3): Login Requests in, Login Responses out, until
/// the login is refused or the session can be made.
///
/// The files beside this one hold what a text means in each stage (LoginStateMachine+Keys).
public struct LoginStateMachine {
    /// Bytes of a data segment in login: RFC 7143's default, since nothing else has taken effect yet.
    public static let maxDataSegmentLength = PDUFramer.defaultMaxDataSegmentLength
    /// Login Requests that one login may take: many times what any authentication needs.
    public static let requestLimit = 128
    /// Bytes of an iSCSI name (RFC 7143 4.2.7.1).
    public static let nameByteLimit = 223

    enum State: Equatable {
        /// No request has come.
        case initial
        case negotiating(LoginStage)
        /// `establish` was returned: the transport makes the session.
        case establishing
        /// The last response has been made, or the login was refused.
        case ended
    }

    /// What must be the same in every request of a login (RFC 7143 11.12).
    private struct Constants: Equatable {
        let isid: InitiatorSessionIdentifier
        let tsih: UInt16
        let cid: UInt16
        let cmdSN: UInt32
    }

    let portalGroupTag: UInt16
    let directory: any LoginDirectory
    private let commandWindowDepth: UInt32

    private(set) var state = State.initial
    private var constants: Constants?
    private var lastRequest: LoginRequestPDU?
    private var requestCount = 0
    private var statSN: UInt32 = 0
    private var incoming = IncomingText()
    private var outgoing = OutgoingText()

    // What the keys have said: LoginStateMachine+Keys.
    var negotiation: Negotiation
    var identity: Identity?
    var authenticator: (any Authenticator)?
    var security = Security.open
    /// Why an authentication failed: for logs, never for the initiator.
    public internal(set) var authenticationFault: AuthenticationFault?
    var hasDeclaredItself = false
    var hasDeclaredSegmentLength = false
    /// Further words with a refusal: where the target has gone.
    var redirection = TextParameters()

    /// Who logs in to what; known after the first text.
    struct Identity: Equatable {
        let initiatorName: String
        var initiatorAlias: String?
        let kind: LoginOutcome.Kind
    }

    enum Security: Equatable {
        /// No method has been chosen.
        case open
        /// The chosen method goes on.
        case authenticating
        case settled
    }

    /// - Parameters:
    ///   - portalGroupTag: of the portal that the connection came to (RFC 7143 13.9).
    ///   - offered: our limits and preferences.
    ///   - commandWindowDepth: what MaxCmdSN tells from the start.
    public init(
        portalGroupTag: UInt16, offered: LocalParameters, commandWindowDepth: UInt32,
        directory: any LoginDirectory
    ) {
        self.portalGroupTag = portalGroupTag
        self.commandWindowDepth = commandWindowDepth
        self.directory = directory
        negotiation = Negotiation(local: offered)
    }

    /// Whether this login makes a new session, so that its keys may be negotiated.
    var isLeading: Bool { constants?.tsih == 0 }

    /// Who logs in, as far as it is known.
    public var initiatorName: String? { identity?.initiatorName }

    // MARK: A request

    /// One Login Request; `text` is its data segment.
    public mutating func receive(_ request: LoginRequestPDU, text: [UInt8]) -> LoginStep {
        lastRequest = request
        if state == .initial { statSN = request.expStatSN }
        do throws(LoginStatus) {
            return try accept(request, text)
        } catch {
            return refuse(error)
        }
    }

    private mutating func accept(_ request: LoginRequestPDU, _ text: [UInt8]) throws(LoginStatus) -> LoginStep {
        requestCount += 1
        guard requestCount <= Self.requestLimit else { throw .initiatorError }
        let stage = try checkHeader(request)
        if !outgoing.isEmpty {
            // Our own text goes on: the initiator may only ask for more of it (RFC 7143 6.2).
            guard text.isEmpty, !request.continues else { throw .initiatorError }
            return try proceed(request, stage)
        }
        do throws(TextError) {
            try incoming.append(text)
        } catch {
            throw .initiatorError
        }
        if request.continues { return respond(request, stage, transits: false) }
        let parameters: TextParameters
        do throws(TextError) {
            parameters = try incoming.take()
        } catch {
            throw .initiatorError
        }
        outgoing = OutgoingText(try answer(parameters, stage: stage))
        return try proceed(request, stage)
    }

    /// Stage, flags, version and what must not change. Returns the current stage.
    private mutating func checkHeader(_ request: LoginRequestPDU) throws(LoginStatus) -> LoginStage {
        // Version 0 is the only one there is (RFC 7143 11.12.4).
        guard request.versionMin == 0 else { throw .unsupportedVersion }
        let these = Constants(isid: request.isid, tsih: request.tsih, cid: request.cid, cmdSN: request.cmdSN)
        guard let stage = LoginStage(rawValue: request.rawCurrentStage), stage != .fullFeaturePhase else {
            throw .initiatorError
        }
        switch state {
        case .initial:
            constants = these
            state = .negotiating(stage)
        case .negotiating(let current):
            guard constants == these, stage == current else { throw .initiatorError }
        case .establishing, .ended:
            throw .invalidDuringLogin
        }
        if request.wantsTransit {
            guard !request.continues, let next = LoginStage(rawValue: request.rawNextStage),
                next.rawValue > stage.rawValue
            else { throw .initiatorError }
        }
        return stage
    }

    /// The next response, and the next stage if everything allows it.
    private mutating func proceed(_ request: LoginRequestPDU, _ stage: LoginStage) throws(LoginStatus) -> LoginStep {
        guard request.wantsTransit, let next = LoginStage(rawValue: request.rawNextStage), outgoing.fitsOnePDU else {
            return respond(request, stage, transits: false)
        }
        if stage == .securityNegotiation {
            switch security {
            case .settled: break
            case .authenticating: return respond(request, stage, transits: false)
            case .open:
                // The initiator goes past security without a word of it.
                guard authenticator == nil else { throw .authenticationFailure }
            }
        }
        guard next == .fullFeaturePhase else {
            state = .negotiating(next)
            return respond(request, stage, transits: true)
        }
        guard let outcome = outcome(request) else { throw .missingParameter }
        state = .establishing
        return .establish(outcome)
    }

    private func outcome(_ request: LoginRequestPDU) -> LoginOutcome? {
        guard let identity else { return nil }
        return LoginOutcome(
            initiatorName: identity.initiatorName, initiatorAlias: identity.initiatorAlias,
            authenticatedName: authenticator?.authenticatedName, isid: request.isid, tsih: request.tsih,
            cid: request.cid, kind: identity.kind, parameters: negotiation.parameters,
            cmdSN: request.cmdSN)
    }

    // MARK: The end

    /// The session stands: the last response, behind which the full feature phase begins.
    /// To be called once, after `establish`: anything else is the caller's mistake, and traps.
    /// - Parameter window: of the session that the connection joins; nil: it is the first one, and begins the window.
    public mutating func established(
        tsih: UInt16, window: CommandWindow? = nil
    ) -> (response: LoginResponsePDU, text: [UInt8]) {
        guard state == .establishing, let request = lastRequest else {
            preconditionFailure("a session was established that was not asked for")
        }
        state = .ended
        let text = outgoing.nextPiece(maxByteCount: Self.maxDataSegmentLength)
        var response = makeResponse(request, dataSegmentLength: text.count)
        response.transits = true
        response.rawNextStage = LoginStage.fullFeaturePhase.rawValue
        response.tsih = tsih
        if let window {
            response.numbers.expCmdSN = window.expCmdSN
            response.numbers.maxCmdSN = window.maxCmdSN
        }
        return (response, text)
    }

    /// The session cannot be made: the last response. To be called once, after `establish`, like `established`.
    public mutating func refused(_ status: LoginStatus) -> LoginResponsePDU {
        guard state == .establishing, let request = lastRequest else {
            preconditionFailure("a session was refused that was not asked for")
        }
        state = .ended
        var response = makeResponse(request, dataSegmentLength: 0)
        response.status = status
        return response
    }

    /// StatSN of the next PDU that has one.
    public var nextStatSN: UInt32 { statSN }

    private mutating func refuse(_ status: LoginStatus) -> LoginStep {
        state = .ended
        let text = redirection.encoded
        guard let request = lastRequest else { preconditionFailure("a refusal answers a request") }
        var response = makeResponse(request, dataSegmentLength: text.count)
        response.status = status
        return .refuse(response, text: text)
    }

    // MARK: Responses

    private mutating func respond(_ request: LoginRequestPDU, _ stage: LoginStage, transits: Bool) -> LoginStep {
        let text = outgoing.nextPiece(maxByteCount: Self.maxDataSegmentLength)
        var response = makeResponse(request, dataSegmentLength: text.count)
        response.continues = !outgoing.isEmpty
        response.transits = transits
        response.rawNextStage = transits ? request.rawNextStage : 0
        return .respond(response, text: text)
    }

    private mutating func makeResponse(_ request: LoginRequestPDU, dataSegmentLength: Int) -> LoginResponsePDU {
        let window = CommandWindow(initialCmdSN: request.cmdSN, depth: commandWindowDepth)
        let numbers = SequenceNumbers(statSN: statSN, expCmdSN: window.expCmdSN, maxCmdSN: window.maxCmdSN)
        statSN &+= 1
        return LoginResponsePDU(
            current: request.rawCurrentStage, isid: request.isid, tsih: request.tsih,
            initiatorTaskTag: request.initiatorTaskTag, numbers: numbers,
            dataSegmentLength: UInt32(dataSegmentLength))
    }
}

extension OutgoingText {
    fileprivate var fitsOnePDU: Bool { byteCount <= LoginStateMachine.maxDataSegmentLength }
}
