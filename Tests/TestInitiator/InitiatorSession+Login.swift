// SPDX-License-Identifier: Apache-2.0

/// Logins: of the session, of further connections, of connections that take another's place.
extension InitiatorSession {
    /// Connects and logs in, there or where redirections lead.
    package static func login(_ portal: Portal, _ options: SessionOptions) throws -> InitiatorSession {
        var portal = portal
        var redirectionCount = 0
        while true {
            let here = portal
            do {
                return try login(options) { try ByteSocket(host: here.host, port: here.port) }
            } catch let refusal as LoginRefusal
                where refusal.status >> 8 == 1 && redirectionCount < options.redirectionLimit
            {
                // RFC 7143 11.13.5: moved, for now or for good; TargetAddress tells where to.
                guard refusal.status == 0x0101 || refusal.status == 0x0102, let address = refusal.addresses.first,
                    let next = Portal(targetAddress: address)
                else { throw InitiatorFailure.violation("a redirection to nowhere: \(refusal)") }
                portal = next
                redirectionCount += 1
            }
        }
    }

    /// Logs in over a transport connection that `connect` makes.
    /// - Parameter tsih: of a session whose every connection failed, to go on with it; 0 for a new one.
    package static func login(
        _ options: SessionOptions, connect: @escaping () throws -> ByteSocket
    ) throws -> InitiatorSession {
        let stream = PDUStream(try connect())
        let exchange = LoginExchange(stream, options: options, cid: options.cid, cmdSN: options.firstCmdSN)
        let answer = try exchange.run()
        var negotiated = NegotiatedKeys()
        try negotiated.apply(offered: options.operationalKeys(isLeading: true), said: answer.keys)
        let session = InitiatorSession(
            options: options, tsih: answer.tsih, negotiated: negotiated, loginKeys: answer.keys, exchange: exchange,
            connect: connect)
        session.enter(exchange, stream, negotiated)
        return session
    }

    /// Another connection of this session. A CID that is in use is reinstated (RFC 7143 6.3.4): the old connection is
    /// gone, by an implicit logout. `over` tells where to connect to, if not to where the session did.
    @discardableResult
    package func addConnection(
        cid: UInt16, over connect: (() throws -> ByteSocket)? = nil
    ) throws -> UInt16 {
        let old = connections[cid]
        let stream = PDUStream(try (connect ?? self.connect)())
        let exchange = LoginExchange(
            stream, options: options, tsih: tsih, cid: cid, cmdSN: cmdSN, expStatSN: old?.expStatSN ?? 0)
        exchange.expectedExpCmdSN = nil
        exchange.initiatorTaskTag = makeTag()
        let answer = try exchange.run()
        var own = negotiated
        own.headerDigest = false
        own.dataDigest = false
        own.targetMaxRecvDataSegmentLength = 8192
        try own.apply(offered: options.operationalKeys(isLeading: false), said: answer.keys)
        if let old, old.state == .loggedIn {
            old.state = .failed
            old.stream.socket.close()
        }
        enter(exchange, stream, own)
        return cid
    }

    private func enter(_ exchange: LoginExchange, _ stream: PDUStream, _ keys: NegotiatedKeys) {
        stream.headerDigest = keys.headerDigest
        stream.dataDigest = keys.dataDigest
        connections[exchange.cid] = InitiatorConnection(
            cid: exchange.cid, stream: stream, expStatSN: exchange.expStatSN,
            targetSegmentByteCount: keys.targetMaxRecvDataSegmentLength)
        if Int32(bitPattern: exchange.expCmdSN &- expCmdSN) > 0 { expCmdSN = exchange.expCmdSN }
        if Int32(bitPattern: exchange.maxCmdSN &- maxCmdSN) > 0 { maxCmdSN = exchange.maxCmdSN }
    }
}
