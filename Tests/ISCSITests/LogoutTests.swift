// SPDX-License-Identifier: Apache-2.0

import ISCSI
import Testing

@Suite("Logout Requests: what they mean for the session")
struct LogoutTests {
    struct Case: Sendable {
        let reason: LogoutReason
        let cid: UInt16
        let level: Int
        let outcome: LogoutOutcome
    }

    /// Asked on connection 3 of a session that knows 3 and 5.
    static let cases: [Case] = [
        Case(reason: .closeSession, cid: 3, level: 0, outcome: .closeSession),
        Case(reason: .closeSession, cid: 4, level: 2, outcome: .closeSession),
        Case(reason: .closeConnection, cid: 3, level: 0, outcome: .closeConnection(3)),
        Case(reason: .closeConnection, cid: 5, level: 0, outcome: .closeConnection(5)),
        Case(reason: .closeConnection, cid: 4, level: 2, outcome: .refuse(.cidNotFound)),
        Case(reason: .removeConnectionForRecovery, cid: 3, level: 0, outcome: .refuse(.connectionRecoveryNotSupported)),
        Case(reason: .removeConnectionForRecovery, cid: 5, level: 1, outcome: .refuse(.connectionRecoveryNotSupported)),
        Case(reason: .removeConnectionForRecovery, cid: 4, level: 0, outcome: .refuse(.cidNotFound)),
        Case(reason: .removeConnectionForRecovery, cid: 4, level: 2, outcome: .refuse(.cidNotFound)),
        Case(reason: .removeConnectionForRecovery, cid: 5, level: 2, outcome: .removeForRecovery(5)),
        Case(reason: .removeConnectionForRecovery, cid: 3, level: 2, outcome: .removeForRecovery(3)),
    ]

    @Test("A logout closes what it names, and nothing else", arguments: cases.indices)
    func logout(index: Int) {
        let each = Self.cases[index]
        let request = LogoutRequestPDU(
            reason: each.reason, initiatorTaskTag: 1, cid: each.cid, cmdSN: 1, expStatSN: 1)
        let outcome = request.outcome(
            onConnection: 3, errorRecoveryLevel: each.level, isKnown: { $0 == 3 || $0 == 5 })
        #expect(outcome == each.outcome)
    }
}
