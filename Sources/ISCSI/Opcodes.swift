// SPDX-License-Identifier: Apache-2.0

/// Operation codes of PDUs from the initiator (RFC 7143 11.2.1.2). Codes 1Ch to 1Eh are vendor specific.
public enum InitiatorOpcode: UInt8, Sendable, CaseIterable {
    case nopOut = 0x00
    case scsiCommand = 0x01
    case taskManagement = 0x02
    case login = 0x03
    case text = 0x04
    case dataOut = 0x05
    case logout = 0x06
    case snackRequest = 0x10
}

/// Operation codes of PDUs from the target (RFC 7143 11.2.1.2).
public enum TargetOpcode: UInt8, Sendable, CaseIterable {
    case nopIn = 0x20
    case scsiResponse = 0x21
    case taskManagementResponse = 0x22
    case loginResponse = 0x23
    case textResponse = 0x24
    case dataIn = 0x25
    case logoutResponse = 0x26
    case readyToTransfer = 0x31
    case asyncMessage = 0x32
    case reject = 0x3F
}
