// SPDX-License-Identifier: Apache-2.0

/// ADDITIONAL SENSE CODE and ADDITIONAL SENSE CODE QUALIFIER (SPC-4 4.5, names as T10 assigns them).
public struct AdditionalSense: Hashable, Sendable {
    public let asc: UInt8
    public let ascq: UInt8

    @inlinable
    public init(_ asc: UInt8, _ ascq: UInt8) {
        self.asc = asc
        self.ascq = ascq
    }

    public static let noAdditionalSenseInformation = AdditionalSense(0x00, 0x00)
    public static let operationInProgress = AdditionalSense(0x00, 0x16)
    public static let peripheralDeviceWriteFault = AdditionalSense(0x03, 0x00)
}

// 04h, 05h, 08h: the logical unit as a whole.
extension AdditionalSense {
    public static let logicalUnitNotReadyCauseNotReportable = AdditionalSense(0x04, 0x00)
    public static let logicalUnitIsInProcessOfBecomingReady = AdditionalSense(0x04, 0x01)
    public static let logicalUnitNotReadyInitializingCommandRequired = AdditionalSense(0x04, 0x02)
    public static let logicalUnitNotReadyManualInterventionRequired = AdditionalSense(0x04, 0x03)
    public static let logicalUnitNotReadyFormatInProgress = AdditionalSense(0x04, 0x04)
    public static let logicalUnitNotReadyOperationInProgress = AdditionalSense(0x04, 0x07)
    public static let logicalUnitNotReadySelfTestInProgress = AdditionalSense(0x04, 0x09)
    public static let asymmetricAccessStateTransition = AdditionalSense(0x04, 0x0A)
    public static let targetPortInStandbyState = AdditionalSense(0x04, 0x0B)
    public static let targetPortInUnavailableState = AdditionalSense(0x04, 0x0C)
    public static let logicalUnitNotReadySpaceAllocationInProgress = AdditionalSense(0x04, 0x14)
    public static let logicalUnitNotReadySanitizeInProgress = AdditionalSense(0x04, 0x1B)
    public static let logicalUnitDoesNotRespondToSelection = AdditionalSense(0x05, 0x00)
    public static let logicalUnitCommunicationFailure = AdditionalSense(0x08, 0x00)
    public static let logicalUnitCommunicationTimeOut = AdditionalSense(0x08, 0x01)
}

// 0Bh to 1Dh: the medium and the transfer.
extension AdditionalSense {
    public static let warning = AdditionalSense(0x0B, 0x00)
    public static let writeError = AdditionalSense(0x0C, 0x00)
    public static let writeErrorUnexpectedUnsolicitedData = AdditionalSense(0x0C, 0x0C)
    public static let writeErrorNotEnoughUnsolicitedData = AdditionalSense(0x0C, 0x0D)
    public static let thirdPartyDeviceFailure = AdditionalSense(0x0D, 0x01)
    public static let copyTargetDeviceNotReachable = AdditionalSense(0x0D, 0x02)
    public static let incorrectCopyTargetDeviceType = AdditionalSense(0x0D, 0x03)
    public static let copyTargetDeviceDataUnderrun = AdditionalSense(0x0D, 0x04)
    public static let copyTargetDeviceDataOverrun = AdditionalSense(0x0D, 0x05)
    public static let invalidInformationUnit = AdditionalSense(0x0E, 0x00)
    public static let informationUnitTooShort = AdditionalSense(0x0E, 0x01)
    public static let informationUnitTooLong = AdditionalSense(0x0E, 0x02)
    public static let invalidFieldInCommandInformationUnit = AdditionalSense(0x0E, 0x03)
    public static let logicalBlockGuardCheckFailed = AdditionalSense(0x10, 0x01)
    public static let logicalBlockApplicationTagCheckFailed = AdditionalSense(0x10, 0x02)
    public static let logicalBlockReferenceTagCheckFailed = AdditionalSense(0x10, 0x03)
    public static let unrecoveredReadError = AdditionalSense(0x11, 0x00)
    public static let parameterListLengthError = AdditionalSense(0x1A, 0x00)
    public static let miscompareDuringVerifyOperation = AdditionalSense(0x1D, 0x00)
    public static let miscompareVerifyOfUnmappedLBA = AdditionalSense(0x1D, 0x01)
}

// 20h to 27h: the request.
extension AdditionalSense {
    public static let invalidCommandOperationCode = AdditionalSense(0x20, 0x00)
    public static let accessDeniedNoAccessRights = AdditionalSense(0x20, 0x02)
    public static let logicalBlockAddressOutOfRange = AdditionalSense(0x21, 0x00)
    public static let unalignedWriteCommand = AdditionalSense(0x21, 0x04)
    public static let writeBoundaryViolation = AdditionalSense(0x21, 0x05)
    public static let attemptToReadInvalidData = AdditionalSense(0x21, 0x06)
    public static let readBoundaryViolation = AdditionalSense(0x21, 0x07)
    public static let unsupportedTokenType = AdditionalSense(0x23, 0x01)
    public static let tokenUnknown = AdditionalSense(0x23, 0x04)
    public static let tokenCorrupt = AdditionalSense(0x23, 0x05)
    public static let tokenRevoked = AdditionalSense(0x23, 0x06)
    public static let tokenExpired = AdditionalSense(0x23, 0x07)
    public static let tokenDeleted = AdditionalSense(0x23, 0x09)
    public static let invalidTokenLength = AdditionalSense(0x23, 0x0A)
    public static let invalidFieldInCDB = AdditionalSense(0x24, 0x00)
    public static let logicalUnitNotSupported = AdditionalSense(0x25, 0x00)
    public static let invalidFieldInParameterList = AdditionalSense(0x26, 0x00)
    public static let parameterNotSupported = AdditionalSense(0x26, 0x01)
    public static let parameterValueInvalid = AdditionalSense(0x26, 0x02)
    public static let thresholdParametersNotSupported = AdditionalSense(0x26, 0x03)
    public static let invalidReleaseOfPersistentReservation = AdditionalSense(0x26, 0x04)
    public static let tooManyTargetDescriptors = AdditionalSense(0x26, 0x06)
    public static let unsupportedTargetDescriptorTypeCode = AdditionalSense(0x26, 0x07)
    public static let tooManySegmentDescriptors = AdditionalSense(0x26, 0x08)
    public static let unsupportedSegmentDescriptorTypeCode = AdditionalSense(0x26, 0x09)
    public static let unexpectedInexactSegment = AdditionalSense(0x26, 0x0A)
    public static let inlineDataLengthExceeded = AdditionalSense(0x26, 0x0B)
    public static let invalidOperationForCopySourceOrDestination = AdditionalSense(0x26, 0x0C)
    public static let copySegmentGranularityViolation = AdditionalSense(0x26, 0x0D)
    public static let writeProtected = AdditionalSense(0x27, 0x00)
    public static let hardwareWriteProtected = AdditionalSense(0x27, 0x01)
    public static let logicalUnitSoftwareWriteProtected = AdditionalSense(0x27, 0x02)
    public static let spaceAllocationFailedWriteProtect = AdditionalSense(0x27, 0x07)
}

// 28h to 2Fh, 38h, 3Fh: what happened since the last command.
extension AdditionalSense {
    public static let notReadyToReadyChangeMediumMayHaveChanged = AdditionalSense(0x28, 0x00)
    public static let powerOnResetOrBusDeviceResetOccurred = AdditionalSense(0x29, 0x00)
    public static let powerOnOccurred = AdditionalSense(0x29, 0x01)
    public static let scsiBusResetOccurred = AdditionalSense(0x29, 0x02)
    public static let busDeviceResetFunctionOccurred = AdditionalSense(0x29, 0x03)
    public static let deviceInternalReset = AdditionalSense(0x29, 0x04)
    public static let iTNexusLossOccurred = AdditionalSense(0x29, 0x07)
    public static let parametersChanged = AdditionalSense(0x2A, 0x00)
    public static let modeParametersChanged = AdditionalSense(0x2A, 0x01)
    public static let logParametersChanged = AdditionalSense(0x2A, 0x02)
    public static let reservationsPreempted = AdditionalSense(0x2A, 0x03)
    public static let reservationsReleased = AdditionalSense(0x2A, 0x04)
    public static let registrationsPreempted = AdditionalSense(0x2A, 0x05)
    public static let asymmetricAccessStateChanged = AdditionalSense(0x2A, 0x06)
    public static let implicitAsymmetricAccessStateTransitionFailed = AdditionalSense(0x2A, 0x07)
    public static let priorityChanged = AdditionalSense(0x2A, 0x08)
    public static let capacityDataHasChanged = AdditionalSense(0x2A, 0x09)
    public static let timestampChanged = AdditionalSense(0x2A, 0x10)
    public static let commandSequenceError = AdditionalSense(0x2C, 0x00)
    public static let previousBusyStatus = AdditionalSense(0x2C, 0x07)
    public static let previousTaskSetFullStatus = AdditionalSense(0x2C, 0x08)
    public static let previousReservationConflictStatus = AdditionalSense(0x2C, 0x09)
    public static let insufficientTimeForOperation = AdditionalSense(0x2E, 0x00)
    public static let commandsClearedByAnotherInitiator = AdditionalSense(0x2F, 0x00)
    public static let commandsClearedByPowerLossNotification = AdditionalSense(0x2F, 0x01)
    public static let commandsClearedByDeviceServer = AdditionalSense(0x2F, 0x02)
    public static let thinProvisioningSoftThresholdReached = AdditionalSense(0x38, 0x07)
    public static let targetOperatingConditionsHaveChanged = AdditionalSense(0x3F, 0x00)
    public static let microcodeHasBeenChanged = AdditionalSense(0x3F, 0x01)
    public static let inquiryDataHasChanged = AdditionalSense(0x3F, 0x03)
    public static let deviceIdentifierChanged = AdditionalSense(0x3F, 0x05)
    public static let reportedLUNsDataHasChanged = AdditionalSense(0x3F, 0x0E)
}

// 30h and above: format, resources, the target itself and its protocol.
extension AdditionalSense {
    public static let incompatibleMediumInstalled = AdditionalSense(0x30, 0x00)
    public static let cannotWriteMediumIncompatibleFormat = AdditionalSense(0x30, 0x05)
    public static let mediumFormatCorrupted = AdditionalSense(0x31, 0x00)
    public static let formatCommandFailed = AdditionalSense(0x31, 0x01)
    public static let roundedParameter = AdditionalSense(0x37, 0x00)
    public static let savingParametersNotSupported = AdditionalSense(0x39, 0x00)
    public static let mediumNotPresent = AdditionalSense(0x3A, 0x00)
    public static let logicalUnitHasNotSelfConfiguredYet = AdditionalSense(0x3E, 0x00)
    public static let logicalUnitFailure = AdditionalSense(0x3E, 0x01)
    public static let timeoutOnLogicalUnit = AdditionalSense(0x3E, 0x02)
    public static let internalTargetFailure = AdditionalSense(0x44, 0x00)
    public static let protocolServiceCRCError = AdditionalSense(0x47, 0x05)
    public static let someCommandsClearedByISCSIProtocolEvent = AdditionalSense(0x47, 0x7F)
    public static let invalidMessageError = AdditionalSense(0x49, 0x00)
    public static let dataPhaseError = AdditionalSense(0x4B, 0x00)
    public static let dataOffsetError = AdditionalSense(0x4B, 0x05)
    public static let initiatorResponseTimeout = AdditionalSense(0x4B, 0x06)
    public static let connectionLost = AdditionalSense(0x4B, 0x07)
    public static let overlappedCommandsAttempted = AdditionalSense(0x4E, 0x00)
    public static let mediaLoadOrEjectFailed = AdditionalSense(0x53, 0x00)
    public static let mediumRemovalPrevented = AdditionalSense(0x53, 0x02)
    public static let systemResourceFailure = AdditionalSense(0x55, 0x00)
    public static let insufficientResources = AdditionalSense(0x55, 0x03)
    public static let insufficientRegistrationResources = AdditionalSense(0x55, 0x04)
    public static let insufficientResourcesToCreateRODToken = AdditionalSense(0x55, 0x0D)
    public static let failurePredictionThresholdExceeded = AdditionalSense(0x5D, 0x00)
    public static let failurePredictionThresholdExceededFalse = AdditionalSense(0x5D, 0xFF)
    public static let setTargetPortGroupsCommandFailed = AdditionalSense(0x67, 0x0A)
    public static let logicalUnitNotConfigured = AdditionalSense(0x68, 0x00)
    public static let logicalUnitAccessNotAuthorized = AdditionalSense(0x74, 0x71)
}

extension AdditionalSense: CustomStringConvertible {
    /// Two hexadecimal bytes as T10 writes them: `29h/00h`.
    public var description: String {
        func hex(_ byte: UInt8) -> String {
            let digits = String(byte, radix: 16, uppercase: true)
            return (digits.count == 1 ? "0" : "") + digits + "h"
        }
        return hex(asc) + "/" + hex(ascq)
    }
}
