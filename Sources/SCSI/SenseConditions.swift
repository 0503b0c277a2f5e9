// SPDX-License-Identifier: Apache-2.0

// Every condition of a disk target by name: the sense key is part of the name's meaning, so none is written at a
// call site. T10's words, in the order of the sense keys.

extension SenseData {
    /// NO SENSE: what REQUEST SENSE returns when there is nothing to tell.
    public static var noSense: SenseData { SenseData(.noSense, .noAdditionalSenseInformation) }
}

// NOT READY
extension SenseData {
    public static var notReadyCauseNotReportable: SenseData {
        SenseData(.notReady, .logicalUnitNotReadyCauseNotReportable)
    }

    public static var becomingReady: SenseData {
        SenseData(.notReady, .logicalUnitIsInProcessOfBecomingReady)
    }

    /// The unit was stopped by START STOP UNIT.
    public static var initializingCommandRequired: SenseData {
        SenseData(.notReady, .logicalUnitNotReadyInitializingCommandRequired)
    }

    public static var manualInterventionRequired: SenseData {
        SenseData(.notReady, .logicalUnitNotReadyManualInterventionRequired)
    }

    /// `progress`: the part done, in 1/65,536; nil when it is not known.
    public static func formatInProgress(progress: UInt16? = nil) -> SenseData {
        SenseData(.notReady, .logicalUnitNotReadyFormatInProgress, specific: progress.map(SenseKeySpecific.progress))
    }

    /// `progress`: the part done, in 1/65,536.
    public static func sanitizeInProgress(progress: UInt16? = nil) -> SenseData {
        SenseData(
            .notReady, .logicalUnitNotReadySanitizeInProgress, specific: progress.map(SenseKeySpecific.progress))
    }

    public static var asymmetricAccessStateTransition: SenseData {
        SenseData(.notReady, .asymmetricAccessStateTransition)
    }

    public static var targetPortInStandbyState: SenseData { SenseData(.notReady, .targetPortInStandbyState) }

    public static var targetPortInUnavailableState: SenseData { SenseData(.notReady, .targetPortInUnavailableState) }

    public static var communicationFailure: SenseData { SenseData(.notReady, .logicalUnitCommunicationFailure) }

    public static var mediumNotPresent: SenseData { SenseData(.notReady, .mediumNotPresent) }
}

// MEDIUM ERROR, HARDWARE ERROR
extension SenseData {
    /// `lba`: the first block that could not be read, where the store knows it.
    public static func unrecoveredReadError(lba: UInt64? = nil) -> SenseData {
        SenseData(.mediumError, .unrecoveredReadError, information: lba)
    }

    /// `lba`: the first block that could not be written, where the store knows it.
    public static func writeError(lba: UInt64? = nil) -> SenseData {
        SenseData(.mediumError, .writeError, information: lba)
    }

    public static var formatCommandFailed: SenseData { SenseData(.mediumError, .formatCommandFailed) }

    public static var internalTargetFailure: SenseData { SenseData(.hardwareError, .internalTargetFailure) }

    public static var setTargetPortGroupsCommandFailed: SenseData {
        SenseData(.hardwareError, .setTargetPortGroupsCommandFailed)
    }
}

// ILLEGAL REQUEST
extension SenseData {
    public static var invalidCommandOperationCode: SenseData {
        SenseData(.illegalRequest, .invalidCommandOperationCode)
    }

    public static var logicalBlockAddressOutOfRange: SenseData {
        SenseData(.illegalRequest, .logicalBlockAddressOutOfRange)
    }

    public static var logicalUnitNotSupported: SenseData { SenseData(.illegalRequest, .logicalUnitNotSupported) }

    public static var parameterListLengthError: SenseData { SenseData(.illegalRequest, .parameterListLengthError) }

    public static var commandSequenceError: SenseData { SenseData(.illegalRequest, .commandSequenceError) }

    public static var savingParametersNotSupported: SenseData {
        SenseData(.illegalRequest, .savingParametersNotSupported)
    }

    public static var invalidReleaseOfPersistentReservation: SenseData {
        SenseData(.illegalRequest, .invalidReleaseOfPersistentReservation)
    }

    public static var insufficientRegistrationResources: SenseData {
        SenseData(.illegalRequest, .insufficientRegistrationResources)
    }

    public static var insufficientResources: SenseData { SenseData(.illegalRequest, .insufficientResources) }

    public static var accessDeniedNoAccessRights: SenseData { SenseData(.illegalRequest, .accessDeniedNoAccessRights) }

    public static var incompatibleMediumInstalled: SenseData {
        SenseData(.illegalRequest, .incompatibleMediumInstalled)
    }

    public static var cannotWriteMediumIncompatibleFormat: SenseData {
        SenseData(.illegalRequest, .cannotWriteMediumIncompatibleFormat)
    }

    public static var tooManyTargetDescriptors: SenseData { SenseData(.illegalRequest, .tooManyTargetDescriptors) }

    public static var unsupportedTargetDescriptorTypeCode: SenseData {
        SenseData(.illegalRequest, .unsupportedTargetDescriptorTypeCode)
    }

    public static var tooManySegmentDescriptors: SenseData { SenseData(.illegalRequest, .tooManySegmentDescriptors) }

    public static var unsupportedSegmentDescriptorTypeCode: SenseData {
        SenseData(.illegalRequest, .unsupportedSegmentDescriptorTypeCode)
    }

    public static var inlineDataLengthExceeded: SenseData { SenseData(.illegalRequest, .inlineDataLengthExceeded) }

    public static var mediumRemovalPrevented: SenseData { SenseData(.illegalRequest, .mediumRemovalPrevented) }

    /// INVALID FIELD IN CDB without a field pointer: the field is not known.
    public static var invalidFieldInCDB: SenseData { SenseData(.illegalRequest, .invalidFieldInCDB) }

    /// INVALID FIELD IN CDB. `byte`: the first byte of the field; `bit`: its highest-order bit, 0 to 7, or nil when
    /// the whole byte or several are meant.
    public static func invalidFieldInCDB(byte: Int, bit: Int? = nil) -> SenseData {
        SenseData(.illegalRequest, .invalidFieldInCDB, specific: .field(isInCDB: true, byte: byte, bit: bit))
    }

    /// INVALID FIELD IN PARAMETER LIST without a field pointer.
    public static var invalidFieldInParameterList: SenseData {
        SenseData(.illegalRequest, .invalidFieldInParameterList)
    }

    /// INVALID FIELD IN PARAMETER LIST; `byte` counts from the start of the list.
    public static func invalidFieldInParameterList(byte: Int, bit: Int? = nil) -> SenseData {
        SenseData(
            .illegalRequest, .invalidFieldInParameterList, specific: .field(isInCDB: false, byte: byte, bit: bit))
    }

    /// PARAMETER NOT SUPPORTED; `byte` counts from the start of the list.
    public static func parameterNotSupported(byte: Int, bit: Int? = nil) -> SenseData {
        SenseData(.illegalRequest, .parameterNotSupported, specific: .field(isInCDB: false, byte: byte, bit: bit))
    }

    /// PARAMETER VALUE INVALID; `byte` counts from the start of the list.
    public static func parameterValueInvalid(byte: Int, bit: Int? = nil) -> SenseData {
        SenseData(.illegalRequest, .parameterValueInvalid, specific: .field(isInCDB: false, byte: byte, bit: bit))
    }
}

// DATA PROTECT, COPY ABORTED, ABORTED COMMAND, MISCOMPARE, COMPLETED
extension SenseData {
    public static var writeProtected: SenseData { SenseData(.dataProtect, .writeProtected) }

    public static var softwareWriteProtected: SenseData {
        SenseData(.dataProtect, .logicalUnitSoftwareWriteProtected)
    }

    /// The store is full: a thin provisioned unit cannot map the block.
    public static var spaceAllocationFailed: SenseData { SenseData(.dataProtect, .spaceAllocationFailedWriteProtect) }

    public static var copyTargetDeviceNotReachable: SenseData {
        SenseData(.copyAborted, .copyTargetDeviceNotReachable)
    }

    public static var incorrectCopyTargetDeviceType: SenseData {
        SenseData(.copyAborted, .incorrectCopyTargetDeviceType)
    }

    public static var commandAborted: SenseData { SenseData(.abortedCommand, .noAdditionalSenseInformation) }

    public static var overlappedCommandsAttempted: SenseData {
        SenseData(.abortedCommand, .overlappedCommandsAttempted)
    }

    /// A data segment failed its digest (RFC 7143 11.4.7.2).
    public static var protocolServiceCRCError: SenseData { SenseData(.abortedCommand, .protocolServiceCRCError) }

    /// Data came that nobody asked for (RFC 7143 11.4.7.2).
    public static var unexpectedUnsolicitedData: SenseData {
        SenseData(.abortedCommand, .writeErrorUnexpectedUnsolicitedData)
    }

    /// Less data came than the command needs (RFC 7143 11.4.7.2).
    public static var notEnoughUnsolicitedData: SenseData {
        SenseData(.abortedCommand, .writeErrorNotEnoughUnsolicitedData)
    }

    public static var dataPhaseError: SenseData { SenseData(.abortedCommand, .dataPhaseError) }

    public static var dataOffsetError: SenseData { SenseData(.abortedCommand, .dataOffsetError) }

    public static var invalidFieldInCommandInformationUnit: SenseData {
        SenseData(.abortedCommand, .invalidFieldInCommandInformationUnit)
    }

    /// A difference in VERIFY or COMPARE AND WRITE. `offset`: the first byte that differs, counted from the start of
    /// the compared data, where it is known.
    public static func miscompare(atByte offset: UInt64? = nil) -> SenseData {
        SenseData(.miscompare, .miscompareDuringVerifyOperation, information: offset)
    }
}

// UNIT ATTENTION
extension SenseData {
    /// `additional` as a unit attention condition (SAM-5 5.14).
    public static func unitAttention(_ additional: AdditionalSense) -> SenseData {
        SenseData(.unitAttention, additional)
    }

    public static var powerOnOccurred: SenseData { .unitAttention(.powerOnOccurred) }
    public static var powerOnOrReset: SenseData { .unitAttention(.powerOnResetOrBusDeviceResetOccurred) }
    public static var busDeviceResetFunctionOccurred: SenseData { .unitAttention(.busDeviceResetFunctionOccurred) }
    public static var iTNexusLossOccurred: SenseData { .unitAttention(.iTNexusLossOccurred) }
    public static var mediumMayHaveChanged: SenseData { .unitAttention(.notReadyToReadyChangeMediumMayHaveChanged) }
    public static var modeParametersChanged: SenseData { .unitAttention(.modeParametersChanged) }
    public static var reservationsPreempted: SenseData { .unitAttention(.reservationsPreempted) }
    public static var reservationsReleased: SenseData { .unitAttention(.reservationsReleased) }
    public static var registrationsPreempted: SenseData { .unitAttention(.registrationsPreempted) }
    public static var asymmetricAccessStateChanged: SenseData { .unitAttention(.asymmetricAccessStateChanged) }
    public static var capacityDataHasChanged: SenseData { .unitAttention(.capacityDataHasChanged) }
    public static var commandsClearedByAnotherInitiator: SenseData {
        .unitAttention(.commandsClearedByAnotherInitiator)
    }
    public static var inquiryDataHasChanged: SenseData { .unitAttention(.inquiryDataHasChanged) }
    public static var deviceIdentifierChanged: SenseData { .unitAttention(.deviceIdentifierChanged) }
    public static var reportedLUNsDataHasChanged: SenseData { .unitAttention(.reportedLUNsDataHasChanged) }
    public static var thinProvisioningSoftThresholdReached: SenseData {
        .unitAttention(.thinProvisioningSoftThresholdReached)
    }
    public static var implicitAsymmetricAccessStateTransitionFailed: SenseData {
        .unitAttention(.implicitAsymmetricAccessStateTransitionFailed)
    }
}

extension SenseKeySpecific {
    /// A field pointer; positions beyond the field's 16 bits become the largest that it holds.
    static func field(isInCDB: Bool, byte: Int, bit: Int?) -> SenseKeySpecific {
        .fieldPointer(
            FieldPointer(isInCDB: isInCDB, byte: UInt16(clamping: byte), bit: bit.map { UInt8(clamping: $0) & 0x07 }))
    }
}
