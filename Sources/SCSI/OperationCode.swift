// SPDX-License-Identifier: Apache-2.0

/// Operation codes of direct access block devices (SPC-4 clause 6, SBC-4 clause 5).
public enum OperationCode: UInt8, Sendable, CaseIterable {
    case testUnitReady = 0x00
    case requestSense = 0x03
    case formatUnit = 0x04
    case reassignBlocks = 0x07
    case read6 = 0x08
    case write6 = 0x0A
    case inquiry = 0x12
    case modeSelect6 = 0x15
    case reserve6 = 0x16
    case release6 = 0x17
    case modeSense6 = 0x1A
    case startStopUnit = 0x1B
    case receiveDiagnosticResults = 0x1C
    case sendDiagnostic = 0x1D
    case preventAllowMediumRemoval = 0x1E
    case readCapacity10 = 0x25
    case read10 = 0x28
    case write10 = 0x2A
    case writeAndVerify10 = 0x2E
    case verify10 = 0x2F
    case preFetch10 = 0x34
    case synchronizeCache10 = 0x35
    case readDefectData10 = 0x37
    case writeBuffer = 0x3B
    case readBuffer10 = 0x3C
    case readLong10 = 0x3E
    case writeLong10 = 0x3F
    case writeSame10 = 0x41
    case unmap = 0x42
    case sanitize = 0x48
    case logSelect = 0x4C
    case logSense = 0x4D
    case modeSelect10 = 0x55
    case reserve10 = 0x56
    case release10 = 0x57
    case modeSense10 = 0x5A
    case persistentReserveIn = 0x5E
    case persistentReserveOut = 0x5F
    case variableLength = 0x7F
    case thirdPartyCopyOut = 0x83
    case thirdPartyCopyIn = 0x84
    case ataPassThrough16 = 0x85
    case read16 = 0x88
    case compareAndWrite = 0x89
    case write16 = 0x8A
    case orWrite16 = 0x8B
    case writeAndVerify16 = 0x8E
    case verify16 = 0x8F
    case preFetch16 = 0x90
    case synchronizeCache16 = 0x91
    case writeSame16 = 0x93
    case readBuffer16 = 0x9B
    case writeAtomic16 = 0x9C
    case serviceActionIn16 = 0x9E
    case serviceActionOut16 = 0x9F
    case reportLUNs = 0xA0
    case securityProtocolIn = 0xA2
    case maintenanceIn = 0xA3
    case maintenanceOut = 0xA4
    case read12 = 0xA8
    case write12 = 0xAA
    case writeAndVerify12 = 0xAE
    case verify12 = 0xAF
    case securityProtocolOut = 0xB5
    case readDefectData12 = 0xB7
}

/// SERVICE ACTION values, by the operation code they belong to.
public enum ServiceAction {
    /// SERVICE ACTION IN(16), 9Eh.
    public enum In16: UInt8, Sendable {
        case readCapacity16 = 0x10
        case readLong16 = 0x11
        case getLBAStatus = 0x12
        case reportReferrals = 0x13
    }

    /// MAINTENANCE IN, A3h.
    public enum MaintenanceIn: UInt8, Sendable {
        case reportIdentifyingInformation = 0x05
        case reportTargetPortGroups = 0x0A
        case reportAliases = 0x0B
        case reportSupportedOperationCodes = 0x0C
        case reportSupportedTaskManagementFunctions = 0x0D
        case reportPriority = 0x0E
        case reportTimestamp = 0x0F
    }

    /// MAINTENANCE OUT, A4h.
    public enum MaintenanceOut: UInt8, Sendable {
        case setIdentifyingInformation = 0x06
        case setTargetPortGroups = 0x0A
        case changeAliases = 0x0B
        case setPriority = 0x0E
        case setTimestamp = 0x0F
    }

    /// SANITIZE, 48h.
    public enum Sanitize: UInt8, Sendable {
        case overwrite = 0x01
        case blockErase = 0x02
        case cryptographicErase = 0x03
        case exitFailureMode = 0x1F
    }

    /// Third-party copy out, 83h.
    public enum ThirdPartyCopyOut: UInt8, Sendable {
        case extendedCopyLID1 = 0x00
        case extendedCopyLID4 = 0x01
        case populateToken = 0x10
        case writeUsingToken = 0x11
        case copyOperationAbort = 0x1C
    }

    /// Third-party copy in, 84h.
    public enum ThirdPartyCopyIn: UInt8, Sendable {
        case receiveCopyStatusLID1 = 0x00
        case receiveCopyDataLID1 = 0x01
        case receiveCopyOperatingParameters = 0x03
        case receiveCopyFailureDetails = 0x04
        case receiveCopyStatusLID4 = 0x05
        case receiveCopyDataLID4 = 0x06
        case receiveRODTokenInformation = 0x07
        case reportAllRODTokens = 0x08
    }

    /// Variable length, 7Fh: bytes 8 and 9.
    public enum VariableLength: UInt16, Sendable {
        case read32 = 0x0009
        case verify32 = 0x000A
        case write32 = 0x000B
        case writeAndVerify32 = 0x000C
        case writeSame32 = 0x000D
        case orWrite32 = 0x000E
    }
}
