// SPDX-License-Identifier: Apache-2.0

/// Why something that a test asked of the initiator did not happen: what was awaited and what came instead.
package struct InitiatorFailure: Error, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// Nothing, or nothing that was awaited, came in time.
        case timedOut
        /// The target closed or reset the connection.
        case connectionClosed
        /// A Login Response with a status other than success: Status-Class and Status-Detail.
        case loginRefused(UInt16)
        /// The target broke a rule of RFC 7143.
        case violation
        /// A Reject that nobody expected: its reason.
        case rejected(UInt8)
        /// The test asked for something that the initiator cannot do in this state.
        case misuse
        /// A system call failed.
        case system
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = "\(kind): \(description)"
    }

    static func violation(_ what: String, _ pdu: WirePDU? = nil) -> InitiatorFailure {
        InitiatorFailure(.violation, what + (pdu.map { "; the PDU was \($0.summary)" } ?? ""))
    }
}

extension WirePDU {
    /// One line for people: the operation code's name and the fields that say most.
    package var summary: String {
        let name = Self.names[opcode] ?? "opcode \(opcode)"
        return "\(name)[flags \(hex(UInt64(flags))) ITT \(hex(UInt64(initiatorTaskTag))) "
            + "TTT \(hex(UInt64(targetTransferTag))) SN \(cmdSN) ExpSN \(expStatSN) Max \(maxCmdSN) DataSN \(dataSN) "
            + "offset \(bufferOffset) last \(self[44]) bytes \(data.count) byte2 \(header[2]) byte3 \(header[3])]"
    }

    private func hex(_ value: UInt64) -> String { String(value, radix: 16) + "h" }

    private static let names: [UInt8: String] = [
        Opcode.nopOut: "NOP-Out", Opcode.scsiCommand: "SCSI Command", Opcode.taskManagementRequest: "TMF Request",
        Opcode.loginRequest: "Login Request", Opcode.textRequest: "Text Request", Opcode.dataOut: "Data-Out",
        Opcode.logoutRequest: "Logout Request", Opcode.snack: "SNACK", Opcode.nopIn: "NOP-In",
        Opcode.scsiResponse: "SCSI Response", Opcode.taskManagementResponse: "TMF Response",
        Opcode.loginResponse: "Login Response", Opcode.textResponse: "Text Response", Opcode.dataIn: "Data-In",
        Opcode.logoutResponse: "Logout Response", Opcode.r2t: "R2T", Opcode.asyncMessage: "Async Message",
        Opcode.reject: "Reject",
    ]
}
