// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI
internal import SCSI
public import TargetCore

/// How a handler's TCMU_STS_* becomes the end of a block request. Only TCMU_STS_OK is GOOD: every other number, known
/// or not, is a failure.
public enum StatusMapping {
    /// SENSE_BUFFERSIZE: the bytes that a handler may write.
    public static let senseByteCount = 96

    /// Whether `status` is one that may end a command: TCMU_STS_NOT_HANDLED to TCMU_STS_TOO_MANY_TGT_DESC.
    static func isKnown(_ status: Int32) -> Bool {
        (TCMU_STS_NOT_HANDLED...TCMU_STS_TOO_MANY_TGT_DESC).contains(Int(status))
    }

    /// The outcome of a read, write, flush, unmap, write same, compare and write or block status.
    /// `sense` is the handler's sense buffer, which some statuses refer to.
    public static func outcome(_ status: Int32, sense: RawSpan) -> BlockOutcome {
        switch Int(status) {
        case TCMU_STS_OK: .good
        case TCMU_STS_MISCOMPARE: .miscompare(atByte: information(sense))
        case TCMU_STS_PASSTHROUGH_ERR: ownSense(sense, mayBeNoSense: false)
        default: failure(status, sense: sense)
        }
    }

    /// The outcome of a command handed over as a CDB.
    public static func passthroughOutcome(_ status: Int32, sense: RawSpan) -> BlockOutcome {
        switch Int(status) {
        case TCMU_STS_OK: .good
        case TCMU_STS_NOT_HANDLED: .notHandled
        case TCMU_STS_MISCOMPARE:
            .failed(
                .checkCondition,
                SenseData(.miscompare, .miscompareDuringVerifyOperation, information: information(sense)))
        case TCMU_STS_PASSTHROUGH_ERR: ownSense(sense, mayBeNoSense: true)
        default: failure(status, sense: sense)
        }
    }

    private static func failure(_ status: Int32, sense: RawSpan) -> BlockOutcome {
        switch Int(status) {
        case TCMU_STS_NO_RESOURCE: .failed(.taskSetFull, nil)
        case TCMU_STS_BUSY, TCMU_STS_TIMEOUT: .failed(.busy, nil)
        case TCMU_STS_FRMT_IN_PROGRESS:
            check(.notReady, .logicalUnitNotReadyFormatInProgress, specific: progress(sense))
        case TCMU_STS_TRANSITION: check(.notReady, .asymmetricAccessStateTransition)
        case TCMU_STS_FENCED: check(.notReady, .targetPortInStandbyState)
        case TCMU_STS_RD_ERR: check(.mediumError, .unrecoveredReadError)
        case TCMU_STS_WR_ERR: check(.mediumError, .writeError)
        case TCMU_STS_HW_ERR: check(.hardwareError, .internalTargetFailure)
        case TCMU_STS_EXPL_TRANSITION_ERR: check(.hardwareError, .setTargetPortGroupsCommandFailed)
        case TCMU_STS_CAPACITY_CHANGED: check(.unitAttention, .capacityDataHasChanged)
        case TCMU_STS_IMPL_TRANSITION_ERR:
            check(.unitAttention, .implicitAsymmetricAccessStateTransitionFailed)
        case TCMU_STS_CP_TGT_DEV_NOTCONN: check(.copyAborted, .copyTargetDeviceNotReachable)
        case TCMU_STS_INVALID_CP_TGT_DEV_TYPE: check(.copyAborted, .incorrectCopyTargetDeviceType)
        default: illegalRequest(status)
        }
    }

    private static func illegalRequest(_ status: Int32) -> BlockOutcome {
        switch Int(status) {
        case TCMU_STS_NOT_HANDLED, TCMU_STS_INVALID_CMD: check(.illegalRequest, .invalidCommandOperationCode)
        case TCMU_STS_INVALID_CDB: check(.illegalRequest, .invalidFieldInCDB)
        case TCMU_STS_INVALID_PARAM_LIST: check(.illegalRequest, .invalidFieldInParameterList)
        case TCMU_STS_INVALID_PARAM_LIST_LEN: check(.illegalRequest, .parameterListLengthError)
        case TCMU_STS_RANGE: check(.illegalRequest, .logicalBlockAddressOutOfRange)
        case TCMU_STS_NOTSUPP_SAVE_PARAMS: check(.illegalRequest, .savingParametersNotSupported)
        case TCMU_STS_WR_ERR_INCOMPAT_FRMT: check(.illegalRequest, .cannotWriteMediumIncompatibleFormat)
        case TCMU_STS_NOTSUPP_TGT_DESC_TYPE: check(.illegalRequest, .unsupportedTargetDescriptorTypeCode)
        case TCMU_STS_NOTSUPP_SEG_DESC_TYPE: check(.illegalRequest, .unsupportedSegmentDescriptorTypeCode)
        case TCMU_STS_TOO_MANY_TGT_DESC: check(.illegalRequest, .tooManyTargetDescriptors)
        case TCMU_STS_TOO_MANY_SEG_DESC: check(.illegalRequest, .tooManySegmentDescriptors)
        // TCMU_STS_NO_LOCK_HOLDERS, TCMU_STS_ASYNC_HANDLED where it is no answer, and numbers of no meaning (some
        // handlers pass a negative errno).
        default: check(.hardwareError, .internalTargetFailure)
        }
    }

    private static func check(
        _ key: SenseKey, _ additional: AdditionalSense, specific: SenseKeySpecific? = nil
    ) -> BlockOutcome {
        .failed(.checkCondition, SenseData(key, additional, specific: specific))
    }
}

// What handlers leave in the sense buffer: fixed or descriptor format, SPC-4 4.5.
extension StatusMapping {
    private static let fixed: UInt8 = 0x70
    private static let descriptor: UInt8 = 0x72
    private static let headerByteCount = 8
    private static let additionalLengthOffset = 7

    /// Sense bytes of the handler's own, if they are any. `mayBeNoSense`: tapes tell filemarks with NO SENSE, but
    /// initiators take NO SENSE on a block as success.
    private static func ownSense(_ sense: RawSpan, mayBeNoSense: Bool) -> BlockOutcome {
        let code = responseCode(sense)
        guard code & 0x7C == fixed else { return check(.hardwareError, .internalTargetFailure) }
        let key = byte(sense, code < descriptor ? 2 : 1) & 0x0F
        guard mayBeNoSense || key != SenseKey.noSense.rawValue else {
            return check(.hardwareError, .internalTargetFailure)
        }
        return .failedWithStoreSense
    }

    /// Bytes of the sense data in `sense`: header and ADDITIONAL SENSE LENGTH, within the buffer.
    static func byteCount(_ sense: RawSpan) -> Int {
        min(sense.byteCount, headerByteCount + Int(byte(sense, additionalLengthOffset)))
    }

    /// INFORMATION of fixed format, where VALID is set.
    private static func information(_ sense: RawSpan) -> UInt64? {
        guard responseCode(sense) < descriptor, byte(sense, 0) & 0x80 != 0 else { return nil }
        return (3...6).reduce(0) { $0 << 8 | UInt64(byte(sense, $1)) }
    }

    /// PROGRESS INDICATION of fixed format, where SKSV is set.
    private static func progress(_ sense: RawSpan) -> SenseKeySpecific? {
        guard byte(sense, 15) & 0x80 != 0 else { return nil }
        return .progress(UInt16(byte(sense, 16)) << 8 | UInt16(byte(sense, 17)))
    }

    private static func responseCode(_ sense: RawSpan) -> UInt8 { byte(sense, 0) & 0x7F }

    private static func byte(_ sense: RawSpan, _ offset: Int) -> UInt8 {
        guard offset < sense.byteCount else { return 0 }
        // In bounds, and every bit pattern is a UInt8.
        return unsafe sense.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
}
