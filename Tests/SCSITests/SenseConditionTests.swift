// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct SenseConditionTests {
    struct Condition: Sendable {
        let sense: SenseData
        let key: UInt8
        let asc: UInt8
        let ascq: UInt8

        init(_ sense: SenseData, _ key: UInt8, _ asc: UInt8, _ ascq: UInt8) {
            self.sense = sense
            self.key = key
            self.asc = asc
            self.ascq = ascq
        }
    }

    static let conditions = [
        Condition(.noSense, 0x0, 0x00, 0x00),
        Condition(.notReadyCauseNotReportable, 0x2, 0x04, 0x00),
        Condition(.becomingReady, 0x2, 0x04, 0x01),
        Condition(.initializingCommandRequired, 0x2, 0x04, 0x02),
        Condition(.manualInterventionRequired, 0x2, 0x04, 0x03),
        Condition(.formatInProgress(), 0x2, 0x04, 0x04),
        Condition(.sanitizeInProgress(), 0x2, 0x04, 0x1B),
        Condition(.selfTestInProgress(), 0x2, 0x04, 0x09),
        Condition(.sanitizeCommandFailed, 0x3, 0x31, 0x03),
        Condition(.mediumFormatCorrupted, 0x3, 0x31, 0x00),
        Condition(.logicalUnitFailedSelfTest, 0x4, 0x3E, 0x03),
        Condition(.asymmetricAccessStateTransition, 0x2, 0x04, 0x0A),
        Condition(.targetPortInStandbyState, 0x2, 0x04, 0x0B),
        Condition(.targetPortInUnavailableState, 0x2, 0x04, 0x0C),
        Condition(.communicationFailure, 0x2, 0x08, 0x00),
        Condition(.mediumNotPresent, 0x2, 0x3A, 0x00),
        Condition(.unrecoveredReadError(), 0x3, 0x11, 0x00),
        Condition(.writeError(), 0x3, 0x0C, 0x00),
        Condition(.formatCommandFailed, 0x3, 0x31, 0x01),
        Condition(.internalTargetFailure, 0x4, 0x44, 0x00),
        Condition(.setTargetPortGroupsCommandFailed, 0x4, 0x67, 0x0A),
        Condition(.invalidCommandOperationCode, 0x5, 0x20, 0x00),
        Condition(.accessDeniedNoAccessRights, 0x5, 0x20, 0x02),
        Condition(.logicalBlockAddressOutOfRange, 0x5, 0x21, 0x00),
        Condition(.invalidFieldInCDB, 0x5, 0x24, 0x00),
        Condition(.logicalUnitNotSupported, 0x5, 0x25, 0x00),
        Condition(.invalidFieldInParameterList, 0x5, 0x26, 0x00),
        Condition(.parameterNotSupported(byte: 0), 0x5, 0x26, 0x01),
        Condition(.parameterValueInvalid(byte: 0), 0x5, 0x26, 0x02),
        Condition(.invalidReleaseOfPersistentReservation, 0x5, 0x26, 0x04),
        Condition(.tooManyTargetDescriptors, 0x5, 0x26, 0x06),
        Condition(.unsupportedTargetDescriptorTypeCode, 0x5, 0x26, 0x07),
        Condition(.tooManySegmentDescriptors, 0x5, 0x26, 0x08),
        Condition(.unsupportedSegmentDescriptorTypeCode, 0x5, 0x26, 0x09),
        Condition(.inlineDataLengthExceeded, 0x5, 0x26, 0x0B),
        Condition(.parameterListLengthError, 0x5, 0x1A, 0x00),
        Condition(.commandSequenceError, 0x5, 0x2C, 0x00),
        Condition(.incompatibleMediumInstalled, 0x5, 0x30, 0x00),
        Condition(.cannotWriteMediumIncompatibleFormat, 0x5, 0x30, 0x05),
        Condition(.savingParametersNotSupported, 0x5, 0x39, 0x00),
        Condition(.mediumRemovalPrevented, 0x5, 0x53, 0x02),
        Condition(.insufficientResources, 0x5, 0x55, 0x03),
        Condition(.insufficientRegistrationResources, 0x5, 0x55, 0x04),
        Condition(.mediumMayHaveChanged, 0x6, 0x28, 0x00),
        Condition(.powerOnOrReset, 0x6, 0x29, 0x00),
        Condition(.powerOnOccurred, 0x6, 0x29, 0x01),
        Condition(.busDeviceResetFunctionOccurred, 0x6, 0x29, 0x03),
        Condition(.iTNexusLossOccurred, 0x6, 0x29, 0x07),
        Condition(.modeParametersChanged, 0x6, 0x2A, 0x01),
        Condition(.reservationsPreempted, 0x6, 0x2A, 0x03),
        Condition(.reservationsReleased, 0x6, 0x2A, 0x04),
        Condition(.registrationsPreempted, 0x6, 0x2A, 0x05),
        Condition(.asymmetricAccessStateChanged, 0x6, 0x2A, 0x06),
        Condition(.implicitAsymmetricAccessStateTransitionFailed, 0x6, 0x2A, 0x07),
        Condition(.capacityDataHasChanged, 0x6, 0x2A, 0x09),
        Condition(.commandsClearedByAnotherInitiator, 0x6, 0x2F, 0x00),
        Condition(.thinProvisioningSoftThresholdReached, 0x6, 0x38, 0x07),
        Condition(.inquiryDataHasChanged, 0x6, 0x3F, 0x03),
        Condition(.deviceIdentifierChanged, 0x6, 0x3F, 0x05),
        Condition(.reportedLUNsDataHasChanged, 0x6, 0x3F, 0x0E),
        Condition(.writeProtected, 0x7, 0x27, 0x00),
        Condition(.softwareWriteProtected, 0x7, 0x27, 0x02),
        Condition(.spaceAllocationFailed, 0x7, 0x27, 0x07),
        Condition(.copyTargetDeviceNotReachable, 0xA, 0x0D, 0x02),
        Condition(.incorrectCopyTargetDeviceType, 0xA, 0x0D, 0x03),
        Condition(.commandAborted, 0xB, 0x00, 0x00),
        Condition(.unexpectedUnsolicitedData, 0xB, 0x0C, 0x0C),
        Condition(.notEnoughUnsolicitedData, 0xB, 0x0C, 0x0D),
        Condition(.invalidFieldInCommandInformationUnit, 0xB, 0x0E, 0x03),
        Condition(.protocolServiceCRCError, 0xB, 0x47, 0x05),
        Condition(.dataPhaseError, 0xB, 0x4B, 0x00),
        Condition(.dataOffsetError, 0xB, 0x4B, 0x05),
        Condition(.overlappedCommandsAttempted, 0xB, 0x4E, 0x00),
        Condition(.miscompare(), 0xE, 0x1D, 0x00),
    ]

    @Test("every condition has T10's sense key and codes", arguments: conditions)
    func codes(_ condition: Condition) {
        let fixed = condition.sense.encode(descriptor: false)
        #expect(fixed[2] & 0x0F == condition.key)
        #expect(fixed[12] == condition.asc)
        #expect(fixed[13] == condition.ascq)
        let descriptor = condition.sense.encode(descriptor: true)
        #expect(Array(descriptor[1...3]) == [condition.key, condition.asc, condition.ascq])
        #expect(SenseData(fixed) == condition.sense)
        #expect(SenseData(descriptor) == condition.sense)
    }

    @Test("no condition is written twice under two names but those that say so")
    func distinct() {
        let codes = Self.conditions.map { [$0.key, $0.asc, $0.ascq] }
        #expect(Set(codes).count == codes.count)
    }

    @Test("conditions with a position take it, and have none without")
    func optionalParts() {
        #expect(SenseData.unrecoveredReadError(lba: 9).information == 9)
        #expect(SenseData.unrecoveredReadError().information == nil)
        #expect(SenseData.miscompare(atByte: 0).information == 0)
        #expect(SenseData.formatInProgress(progress: 1).specific == .progress(1))
        #expect(SenseData.formatInProgress().specific == nil)
        #expect(SenseData.invalidFieldInCDB.specific == nil)
        #expect(
            SenseData.invalidFieldInCDB(byte: 1).specific
                == .fieldPointer(.init(isInCDB: true, byte: 1, bit: nil)))
    }

    @Test("additional sense codes describe themselves as T10 writes them")
    func description() {
        #expect(AdditionalSense.capacityDataHasChanged.description == "2Ah/09h")
        #expect(AdditionalSense.failurePredictionThresholdExceededFalse.description == "5Dh/FFh")
    }
}
