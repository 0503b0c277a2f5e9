// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// How a command ended, in words.
enum SenseWords {
    /// `status` and the data segment of its SCSI Response: two bytes of length, then sense data (RFC 7143 11.4.7).
    static func sentence(_ status: Status, responseData: RawSpan) -> String {
        guard status == .checkCondition else { return words(status) }
        guard let sense = sense(responseData) else { return "CHECK CONDITION without sense data" }
        let deferred = sense.isDeferred ? ", of an earlier command" : ""
        return "CHECK CONDITION, \(words(sense.key)), \(words(sense.additional))\(deferred)"
    }

    /// Nil when there is none that can be read.
    static func sense(_ responseData: RawSpan) -> SenseData? {
        guard responseData.byteCount >= 2 else { return nil }
        let byteCount = Int(responseData.uint16(at: 0))
        guard byteCount > 0, byteCount <= responseData.byteCount - 2 else { return nil }
        return SenseData(responseData.extracting(2..<2 + byteCount))
    }

    private static func words(_ status: Status) -> String {
        switch status {
        case .good: "GOOD"
        case .checkCondition: "CHECK CONDITION"
        case .conditionMet: "CONDITION MET"
        case .busy: "BUSY: the logical unit takes no command now"
        case .reservationConflict: "RESERVATION CONFLICT: another initiator has reserved the logical unit"
        case .taskSetFull: "TASK SET FULL: the logical unit takes fewer commands at once, try a smaller --queue-depth"
        case .acaActive: "ACA ACTIVE"
        case .taskAborted: "TASK ABORTED: another initiator aborted it"
        }
    }

    private static func words(_ key: SenseKey) -> String {
        switch key {
        case .noSense: "NO SENSE"
        case .recoveredError: "RECOVERED ERROR"
        case .notReady: "NOT READY"
        case .mediumError: "MEDIUM ERROR"
        case .hardwareError: "HARDWARE ERROR"
        case .illegalRequest: "ILLEGAL REQUEST"
        case .unitAttention: "UNIT ATTENTION"
        case .dataProtect: "DATA PROTECT"
        case .blankCheck: "BLANK CHECK"
        case .vendorSpecific: "VENDOR SPECIFIC"
        case .copyAborted: "COPY ABORTED"
        case .abortedCommand: "ABORTED COMMAND"
        case .reserved: "reserved sense key"
        case .volumeOverflow: "VOLUME OVERFLOW"
        case .miscompare: "MISCOMPARE"
        case .completed: "COMPLETED"
        }
    }

    private static func words(_ additional: AdditionalSense) -> String {
        guard let name = names[additional] else { return "additional sense \(additional)" }
        return "\(name) (\(additional))"
    }

    /// What disks answer to reads and writes, by T10's names in small letters.
    private static let names: [AdditionalSense: String] = [
        .noAdditionalSenseInformation: "no additional sense information",
        .peripheralDeviceWriteFault: "peripheral device write fault",
        .logicalUnitNotReadyCauseNotReportable: "logical unit not ready, cause not reportable",
        .logicalUnitIsInProcessOfBecomingReady: "logical unit is in process of becoming ready",
        .logicalUnitNotReadyInitializingCommandRequired: "logical unit not ready, initializing command required",
        .logicalUnitNotReadyManualInterventionRequired: "logical unit not ready, manual intervention required",
        .logicalUnitNotReadyFormatInProgress: "logical unit not ready, format in progress",
        .targetPortInStandbyState: "target port in standby state",
        .targetPortInUnavailableState: "target port in unavailable state",
        .logicalUnitDoesNotRespondToSelection: "logical unit does not respond to selection",
        .logicalUnitCommunicationFailure: "logical unit communication failure",
        .logicalUnitCommunicationTimeOut: "logical unit communication time-out",
        .writeError: "write error",
        .writeErrorUnexpectedUnsolicitedData: "write error, unexpected unsolicited data",
        .writeErrorNotEnoughUnsolicitedData: "write error, not enough unsolicited data",
        .invalidFieldInCommandInformationUnit: "invalid field in command information unit",
        .unrecoveredReadError: "unrecovered read error",
        .invalidCommandOperationCode: "invalid command operation code",
        .accessDeniedNoAccessRights: "access denied, no access rights",
        .logicalBlockAddressOutOfRange: "logical block address out of range",
        .invalidFieldInCDB: "invalid field in CDB",
        .logicalUnitNotSupported: "logical unit not supported",
        .writeProtected: "write protected",
        .hardwareWriteProtected: "hardware write protected",
        .logicalUnitSoftwareWriteProtected: "logical unit software write protected",
        .spaceAllocationFailedWriteProtect: "space allocation failed write protect",
        .notReadyToReadyChangeMediumMayHaveChanged: "not ready to ready change, medium may have changed",
        .powerOnResetOrBusDeviceResetOccurred: "power on, reset, or bus device reset occurred",
        .powerOnOccurred: "power on occurred",
        .scsiBusResetOccurred: "SCSI bus reset occurred",
        .busDeviceResetFunctionOccurred: "bus device reset function occurred",
        .iTNexusLossOccurred: "I_T nexus loss occurred",
        .modeParametersChanged: "mode parameters changed",
        .reservationsPreempted: "reservations preempted",
        .reservationsReleased: "reservations released",
        .capacityDataHasChanged: "capacity data has changed",
        .commandsClearedByAnotherInitiator: "commands cleared by another initiator",
        .inquiryDataHasChanged: "inquiry data has changed",
        .reportedLUNsDataHasChanged: "reported LUNs data has changed",
        .mediumNotPresent: "medium not present",
        .logicalUnitFailure: "logical unit failure",
        .timeoutOnLogicalUnit: "timeout on logical unit",
        .internalTargetFailure: "internal target failure",
        .protocolServiceCRCError: "protocol service CRC error",
        .dataPhaseError: "data phase error",
        .systemResourceFailure: "system resource failure",
        .insufficientResources: "insufficient resources",
        .thinProvisioningSoftThresholdReached: "thin provisioning soft threshold reached",
    ]
}
