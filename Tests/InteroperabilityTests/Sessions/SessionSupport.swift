// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability {
    /// The session layer, as this project's own initiator sees it.
    @Suite("Sessions")
    enum Sessions {}
}

/// What the target can do in its sessions. Tests of what it cannot do yet are written to RFC 7143 and wait here.
enum SessionLayer {
    /// MaxConnections above 1.
    static let hasSeveralConnections = true
    /// ErrorRecoveryLevel 1 and 2.
    static let hasRecovery = true
    /// A session whose connection failed, came back under its CID and failed again is forgotten when its time is over.
    static let forgetsAfterSecondFailure = true
    /// An Asynchronous Message that asks for a logout before the server ends.
    static let hasOrderlyEnd = true
}

extension Trait where Self == ConditionTrait {
    static var needsSeveralConnections: Self {
        .enabled(if: SessionLayer.hasSeveralConnections, "the target takes one connection for each session")
    }

    static var needsOrderlyEnd: Self {
        .enabled(if: SessionLayer.hasOrderlyEnd, "the server ends without asking its initiators")
    }

    static var needsRecovery: Self {
        .enabled(if: SessionLayer.hasRecovery, "the target negotiates error recovery level 0")
    }
}

extension LogicalUnitURL {
    /// What a session with this unit's target begins with; a test changes what it is about.
    func options(_ change: (inout SessionOptions) -> Void = { _ in }) -> SessionOptions {
        var options = SessionOptions(targetName: target)
        options.lun = lun
        change(&options)
        return options
    }

    var address: Portal { Portal(host: host, port: port) }

    /// Logs in, and takes the unit attentions that wait for a new nexus (SAM-5 5.14).
    func session(_ change: (inout SessionOptions) -> Void = { _ in }) throws -> InitiatorSession {
        let session = try InitiatorSession.login(address, options(change))
        try session.becomeReady()
        return session
    }
}

extension InitiatorSession {
    func becomeReady() throws {
        for _ in 0..<8 where try perform(.testUnitReady).isGood { return }
        throw HarnessError("the logical unit does not become ready")
    }

    /// The address of the last block, by READ CAPACITY (16).
    func lastBlock(on cid: UInt16? = nil) throws -> UInt64 {
        let cdb: [UInt8] = [0x9E, 0x10] + [UInt8](repeating: 0, count: 11) + [32, 0, 0]
        let outcome = try perform(InitiatorCommand(cdb, readingByteCount: 32), on: cid)
        guard outcome.isGood else { throw HarnessError("READ CAPACITY (16) ended with \(outcome)") }
        return outcome.data.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Bytes of so many blocks, each telling its address and `generation`.
    static func pattern(lba: UInt64, blockCount: Int, generation: UInt64 = 1) -> [UInt8] {
        (0..<UInt64(blockCount)).flatMap { index -> [UInt8] in
            let words = (0..<UInt64(64)).map { (lba + index) &* 0x9E37_79B9_7F4A_7C15 &+ generation << 8 &+ $0 }
            return words.withUnsafeBytes { [UInt8]($0) }
        }
    }

    /// Writes a pattern and reads it back.
    func expectData(
        lba: UInt64, blockCount: Int, generation: UInt64 = 1, unsolicited: InitiatorCommand.Unsolicited = .most,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let bytes = Self.pattern(lba: lba, blockCount: blockCount, generation: generation)
        let written = try perform(.write(lba: lba, bytes).sending(unsolicited))
        #expect(written.isGood, sourceLocation: sourceLocation)
        let read = try perform(.read(lba: lba, blockCount: blockCount))
        #expect(read.isGood, sourceLocation: sourceLocation)
        #expect(read.data == bytes, sourceLocation: sourceLocation)
    }
}
